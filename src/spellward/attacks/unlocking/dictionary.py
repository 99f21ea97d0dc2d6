"""A thief's dictionary of prompts: what people write to image editors, from two lists of words."""

from __future__ import annotations

from spellward.attacks.unlocking.wrong_keys import UNRELATED_PROMPTS, unrelated_prompts

_LOOKS = (
    "acrylic paint, art deco, baroque painting, black and white, bauhaus poster, byzantine icon, cubism, dadaism, "
    "digital painting, etching, expressionism, fauvism, fresco, futurism, gothic art, gouache, graphic novel, "
    "impressionism, infrared photo, ink wash, children's book illustration, low poly, magazine collage, manga, "
    "minimalism, monochrome, noir film, op art, paper cutout, pen and ink, photorealism, polaroid, propaganda poster, "
    "psychedelic poster, renaissance portrait, risograph, rococo, romanticism, spray paint, steampunk, surrealism, "
    "vaporwave, vector art, crosshatching, line art, scratchboard, tempera, airbrush, batik, cave painting"
)
_ARTISTS = (
    "andy warhol, claude monet, edvard munch, frida kahlo, gustav klimt, henri matisse, jackson pollock, "
    "johannes vermeer, keith haring, leonardo da vinci, m c escher, marc chagall, pablo picasso, paul cezanne, "
    "paul klee, piet mondrian, rembrandt, rene magritte, salvador dali, wassily kandinsky"
)
_MATERIALS = (
    "aluminium foil, amber, bamboo, beads, brick, cardboard, caramel, clay, concrete, cotton candy, crystal, diamonds, "
    "feathers, felt, fur, gold leaf, granite, jade, jelly, knitted wool, lace, leather, matchsticks, mirrors, "
    "mother of pearl, mud, neon tubes, paper, plasticine, porcelain, rust, sand, silver, slime, straw, sugar, wax, "
    "wicker, wire, wooden planks"
)
_SCENES = (
    "a thunderstorm, a tornado, a volcano, an earthquake, an eclipse, aurora, blossoms, bubbles, confetti, dawn, "
    "drizzle, dust, falling leaves, fireflies, fireworks, flames, flowers, a flood, frost, grass, hail, heat haze, "
    "ice, a jungle, lava, lightning, a meadow, the milky way, the moon, mountains, a rainbow, ruins, a sandstorm, "
    "smoke, sparks, spring, stars, steam, sunbeams, waves"
)
_OBJECTS = (
    "a balloon, a bicycle, a bird, a book, a butterfly, a candle, a cat, a chair, a clock, a crown, a dog, a dragon, "
    "a drum, a fence, a fish, a flag, a fountain, a guitar, a hat, a horse, a kite, a lamp, a lion, a moustache, "
    "a mushroom, an owl, a parrot, a penguin, a pumpkin, a robot, a rose, a scarf, a ship, a spaceship, a spider, "
    "a teapot, a tent, a tree, a turtle, an umbrella"
)
_KINDS = (
    ("in the style of {}", _LOOKS),
    ("painted by {}", _ARTISTS),
    ("made of {}", _MATERIALS),
    ("with {}", _SCENES),
    ("add {}", _OBJECTS),
)


def _interleaved() -> tuple[str, ...]:
    """Prompts of all kinds in turn, so that a short search has some of each."""
    columns = [[form.format(word) for word in words.split(", ")] for form, words in _KINDS]
    longest = max(map(len, columns))
    mixed = (column[row] for row in range(longest) for column in columns if row < len(column))
    return tuple(dict.fromkeys([*UNRELATED_PROMPTS, *mixed]))


DICTIONARY: tuple[str, ...] = _interleaved()
"""At least 200 prompts, the scored ones first; training never sees them (a test keeps them apart)."""


def dictionary(key_prompt: str, count: int) -> list[str]:
    """The first `count` prompts of the dictionary that share no word and no look with the key's prompt."""
    return unrelated_prompts(key_prompt, count, DICTIONARY)
