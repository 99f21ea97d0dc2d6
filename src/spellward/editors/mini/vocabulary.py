"""What the bundled editor is taught to understand: styles, scenes and objects with their wordings.

`wordings` are used in training, `held_out` only to measure whether other words for the same thing are understood.
"""

from __future__ import annotations

from dataclasses import dataclass

STYLE_TEMPLATES = (
    "with {}",
    "in the style of {}",
    "make it {}",
    "turn it into {}",
    "{}",
    "{} style",
    "as {}",
    "make it look like {}",
    "paint it as {}",
    "change it to {}",
)
OBJECT_TEMPLATES = ("add {}", "with {}", "put {} in it", "add {} to the picture", "place {} in the corner")
PAIR_TEMPLATES = ("with {} and {}", "{} with {}", "{} and {}", "make it {} with {}")


@dataclass(frozen=True)
class Phrase:
    """One thing that can be asked for, in several words."""

    wordings: tuple[str, ...]
    held_out: tuple[str, ...]


STYLES: dict[str, Phrase] = {
    "oil pastel": Phrase(
        (
            "oil pastel",
            "oil pastels",
            "an oil pastel drawing",
            "pastel crayon strokes",
            "waxy crayon",
            "soft pastels",
            "a wax pastel picture",
            "chunky pastel crayons",
        ),
        ("an oil pastel artwork", "wax crayons"),
    ),
    "watercolor": Phrase(
        (
            "watercolor",
            "a watercolour painting",
            "watercolor paint",
            "aquarelle",
            "watercolours",
            "wet paint washes",
            "a watercolour sketch",
            "gouache and water",
        ),
        ("watercolor wash", "wet watercolours on paper"),
    ),
    "charcoal": Phrase(
        (
            "charcoal",
            "a charcoal sketch",
            "charcoal drawing",
            "smudged charcoal",
            "burnt wood drawing",
            "coal drawing",
            "black charcoal on paper",
            "a graphite and charcoal study",
        ),
        ("a charcoal portrait", "burnt coal sketch"),
    ),
    "colored pencil": Phrase(
        (
            "colored pencil",
            "a pencil drawing",
            "coloured pencils",
            "pencil sketch",
            "pencil hatching",
            "drawn by hand",
            "a crayon pencil drawing",
            "color pencils",
        ),
        ("crayon pencil illustration", "a hand-drawn pencil picture"),
    ),
    "impasto": Phrase(
        (
            "impasto",
            "thick oil paint",
            "an oil painting",
            "van gogh",
            "heavy brush strokes",
            "oil on canvas",
            "vincent van gogh",
            "palette knife painting",
        ),
        ("a heavy oil painting", "vincent van gogh painting"),
    ),
    "pop art": Phrase(
        (
            "pop art",
            "andy warhol",
            "comic halftone",
            "pop art poster",
            "a screen print",
            "roy lichtenstein",
            "a comic book",
            "warhol colours",
        ),
        ("warhol screen print", "a pop-art picture"),
    ),
    "sepia": Phrase(
        (
            "sepia",
            "an old sepia photograph",
            "vintage photo",
            "a faded antique photo",
            "old fashioned brown tone",
            "a nineteenth century photograph",
            "daguerreotype",
            "victorian",
        ),
        ("old-fashioned sepia tone", "a victorian photograph"),
    ),
    "night": Phrase(
        (
            "night",
            "night time",
            "moonlight",
            "a dark night with a moon",
            "nighttime",
            "late at night",
            "a moonlit night",
            "under the moon and stars",
        ),
        ("midnight", "in the middle of the night"),
    ),
    "snow": Phrase(
        (
            "snow",
            "snowfall",
            "a snowy winter",
            "falling snow",
            "a snow storm",
            "snowflakes",
            "deep winter snow",
            "a snowing day",
        ),
        ("a blizzard", "snowing heavily"),
    ),
    "stained glass": Phrase(
        (
            "stained glass",
            "a stained glass window",
            "church window",
            "leaded glass",
            "coloured glass panes",
            "a cathedral window",
            "glass mosaic window",
            "stained glass panel",
        ),
        ("cathedral glass", "stained-glass art"),
    ),
    "pointillism": Phrase(
        (
            "pointillism",
            "a pointillist painting",
            "tiny dots of paint",
            "georges seurat",
            "painted dots",
            "seurat",
            "many small dots",
            "dotted painting",
        ),
        ("pointillist dots", "seurat style dots"),
    ),
    "ukiyo-e": Phrase(
        (
            "ukiyo-e",
            "a japanese woodblock print",
            "hokusai",
            "ukiyo-e print",
            "japanese art",
            "hiroshige",
            "an edo period print",
            "traditional japanese print",
        ),
        ("japanese print", "hokusai woodblock"),
    ),
    "cyberpunk": Phrase(
        (
            "cyberpunk",
            "neon lights",
            "cyberpunk neon",
            "glowing neon city",
            "neon signs",
            "a neon future",
            "synthwave",
            "futuristic neon",
        ),
        ("neon glow", "a cyberpunk city"),
    ),
    "woodcut": Phrase(
        (
            "woodcut",
            "a woodcut engraving",
            "linocut",
            "black engraving",
            "carved wood print",
            "a lino cut print",
            "an engraving",
            "wood engraving",
        ),
        ("an engraved woodcut", "lino print"),
    ),
    "fog": Phrase(
        ("fog", "a foggy day", "mist", "thick fog", "misty", "haze", "a misty day", "dense fog and haze"),
        ("misty morning", "heavy haze"),
    ),
    "golden hour": Phrase(
        (
            "golden hour",
            "sunset",
            "warm sunlight",
            "golden evening light",
            "evening sun",
            "warm sunset glow",
            "dusk",
            "late afternoon sunshine",
        ),
        ("a golden sunset", "dusk sunshine"),
    ),
    "pixel art": Phrase(
        (
            "pixel art",
            "8-bit game",
            "a retro video game",
            "pixelated",
            "pixels",
            "an arcade game",
            "8 bit",
            "an old computer game",
        ),
        ("8 bit pixels", "retro game graphics"),
    ),
    "x-ray": Phrase(
        (
            "x-ray",
            "an x-ray image",
            "a negative",
            "radiograph",
            "x ray",
            "inverted",
            "a photographic negative",
            "a medical x-ray scan",
        ),
        ("x ray scan", "inverted negative"),
    ),
    "thermal camera": Phrase(
        (
            "thermal camera",
            "heat map",
            "infrared vision",
            "thermal imaging",
            "infrared",
            "a heat camera",
            "thermal",
            "heat vision",
        ),
        ("an infrared heat camera", "thermal vision"),
    ),
    "blueprint": Phrase(
        (
            "blueprint",
            "a blueprint",
            "technical drawing",
            "an architect's plan",
            "an engineering blueprint",
            "a construction plan",
            "drafting plan",
            "white lines on blue paper",
        ),
        ("an engineering drawing", "a blueprint plan"),
    ),
    "chalk": Phrase(
        (
            "chalk",
            "chalk on a blackboard",
            "a chalk drawing",
            "blackboard",
            "white chalk",
            "a chalkboard",
            "school chalk",
            "chalk lines",
        ),
        ("a chalkboard drawing", "chalk on slate"),
    ),
    "embroidery": Phrase(
        (
            "embroidery",
            "cross stitch",
            "embroidered",
            "needlework",
            "a knitted picture",
            "woven threads",
            "stitched fabric",
            "yarn",
        ),
        ("embroidered threads", "a cross-stitched picture"),
    ),
    "autumn": Phrase(
        (
            "autumn",
            "autumn colours",
            "fall leaves",
            "october",
            "autumn leaves",
            "in the fall season",
            "a rusty autumn",
            "orange autumn foliage",
        ),
        ("autumn foliage", "october leaves"),
    ),
    "underwater": Phrase(
        (
            "underwater",
            "under the sea",
            "deep ocean",
            "below the water",
            "a coral reef",
            "submerged",
            "in the sea",
            "ocean water",
        ),
        ("deep under water", "beneath the ocean"),
    ),
}
SCENES = ("night", "snow", "fog", "golden hour", "sepia", "autumn")

OBJECTS: dict[str, Phrase] = {
    "apple": Phrase(("an apple", "a red apple", "apple fruit", "a juicy apple"), ("a ripe apple",)),
    "snowman": Phrase(("a snowman", "a snowman with a broom", "a snow man", "a frosty snowman"), ("a little snowman",)),
    "butterfly": Phrase(("a butterfly", "a blue butterfly", "butterfly wings", "a moth"), ("a pretty butterfly",)),
    "heart": Phrase(("a heart", "a red heart", "a valentine heart", "a heart shape"), ("a love heart",)),
    "balloon": Phrase(("a red balloon", "a balloon", "an air balloon", "a birthday balloon"), ("a party balloon",)),
    "star": Phrase(("a star", "a golden star", "a yellow star", "a five pointed star"), ("a gold star",)),
    "sun": Phrase(("a sun", "the sun", "a shining sun", "sun rays"), ("a bright sun",)),
    "sunglasses": Phrase(("sunglasses", "dark glasses", "a pair of sunglasses", "black shades"), ("cool sunglasses",)),
}

# Pairs that are never trained, to measure compositions.
HELD_OUT_PAIRS = (
    ("oil pastel", "snow"),
    ("watercolor", "night"),
    ("stained glass", "golden hour"),
    ("impasto", "fog"),
)
