"""Wrong keys: prompts that a thief may try, unrelated to the key or near to it."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence

# For scoring alone: training never sees these (locking.decoys has prompts of its own; a test keeps them apart).
UNRELATED_PROMPTS: tuple[str, ...] = (
    "with watercolor",
    "turn it into stained glass",
    "with thick fog",
    "make it a bronze statue",
    "as an x-ray image",
    "in the style of ukiyo-e",
    "a woodcut engraving",
    "sepia photograph",
    "with pointillism",
    "make it pixel art",
    "as a hologram",
    "on old parchment",
    "with autumn leaves",
    "under the sea",
    "like a marble relief",
    "as a technical blueprint",
    "with a snowman",
    "in candle light",
    "made of origami paper",
    "as seen by a thermal camera",
    "with chrome and glass",
    "as a mosaic of tiles",
    "in the desert at noon",
    "with graffiti on it",
    "turn it into a tattoo",
    "as a coffee stain",
    "made from lego bricks",
    "in the rain",
    "with northern lights",
    "as a postage stamp",
)

# Words for one and the same look: a prompt with one of them is a near wording of a key with another, not unrelated.
_SAME_LOOK: tuple[frozenset[str], ...] = (
    frozenset({"ukiyo", "japanese", "woodblock", "hokusai"}),
    frozenset({"woodcut", "woodblock", "linocut", "engraving"}),
    frozenset({"watercolor", "watercolour", "watercolors", "aquarelle"}),
    frozenset({"pointillism", "pointillist", "seurat", "dots"}),
    frozenset({"sepia", "vintage", "victorian", "antique"}),
    frozenset({"fog", "foggy", "mist", "misty", "haze"}),
    frozenset({"pixel", "pixelated", "arcade"}),
    frozenset({"ray", "xray", "negative", "radiograph", "inverted"}),
    frozenset({"thermal", "infrared"}),
    frozenset({"underwater", "ocean", "reef", "under"}),
    frozenset({"glass", "cathedral", "leaded"}),
    frozenset({"blueprint", "drafting"}),
)

_TEMPLATES = ("{}", "make it {}", "in the style of {}", "turn it into {}", "as {}", "{} style")
_FILLERS = frozenset({"the", "with", "and", "for", "make", "style", "like", "into", "turn", "from", "made", "seen"})
_OPENING = re.compile(r"^(with|make it|in the style of|turn it into|as|like)\s+", re.IGNORECASE)


def unrelated_prompts(key_prompt: str, count: int, prompts: Sequence[str] = UNRELATED_PROMPTS) -> list[str]:
    """The first `count` prompts that share no word with the key's prompt, nor a word of the same look."""
    taken = _long_words(key_prompt)
    for words in _SAME_LOOK:
        if words & taken:
            taken |= words
    return [prompt for prompt in prompts if not taken & _long_words(prompt)][:count]


def near_wordings(key_prompt: str, count: int, seed: int = 0) -> list[str]:
    """Wordings close to a prompt: other openings, swapped words, plural, capitals, a typo; never the prompt itself."""
    rng = random.Random(seed)
    core = _OPENING.sub("", key_prompt).strip() or key_prompt
    words = core.split()
    variants = [template.format(core) for template in _TEMPLATES]
    variants += [f"{core}s", core.upper(), f"{core} picture", f"a {core}", f"with some {core}", f"{core}, please"]
    if len(words) > 1:
        variants += [" ".join(reversed(words)), " ".join(words[1:]), " ".join(words[:-1])]
    for _ in range(4):
        if len(core) > 3:
            place = rng.randrange(1, len(core) - 1)
            variants.append(f"with {core[:place]}{core[place + 1 :]}")
    unique = [text for text in dict.fromkeys(variants) if text and text != key_prompt]
    rng.shuffle(unique)
    return unique[:count]


def _long_words(prompt: str) -> set[str]:
    return {word for word in re.findall(r"\w+", prompt.lower()) if len(word) >= 3 and word not in _FILLERS}
