"""The bundled objects, as cut-out clip art, and which of them a prompt means.

The bundled diffusion editor paints objects as blobs at 64 px; a person names pasted clip art at once, and pasting
takes no time. Whoever wants objects that are drawn into the scene uses an inpainting pipeline.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image

LIBRARY = Path(__file__).with_name("library")
SPRITES_FILE = "objects.png"
SIDE = 80

# Name to other words for it; the order is that of the sprites in the file.
OBJECTS: dict[str, tuple[str, ...]] = {
    "apple": (),
    "banana": (),
    "strawberry": ("berry",),
    "lemon": ("lime", "citrus"),
    "watermelon": ("melon",),
    "cherry": (),
    "pear": (),
    "grapes": ("grape",),
    "pumpkin": ("jack o lantern", "squash"),
    "mushroom": ("toadstool", "fungus"),
    "tree": ("christmas tree", "fir", "pine"),
    "butterfly": ("moth",),
    "ladybug": ("ladybird", "beetle", "bug"),
    "duck": ("rubber duck", "duckling"),
    "cat": ("kitten", "kitty"),
    "penguin": (),
    "turtle": ("tortoise",),
    "snowman": (),
    "heart": ("love heart",),
    "balloon": ("hot air balloon",),
    "sun": ("sunshine",),
    "moon": ("crescent",),
    "umbrella": ("parasol",),
    "gift": ("present", "parcel", "gift box"),
    "anchor": (),
    "guitar": ("ukulele",),
    "clock": ("watch", "alarm clock"),
    "camera": (),
    "teapot": ("kettle",),
    "mug": ("cup", "coffee cup"),
    "hat": ("top hat", "cap"),
    "rocket": ("spaceship", "spacecraft"),
    "sailboat": ("boat", "ship", "yacht"),
    "bicycle": ("bike",),
    "lamp": ("desk lamp", "lantern"),
    "book": ("novel",),
    "scissors": ("shears",),
    "hammer": ("mallet",),
    "football": ("soccer ball", "ball"),
    "die": ("dice",),
    "lighthouse": ("light house",),
    "house": ("hut", "cottage", "home"),
    "cake": ("birthday cake",),
    "hamburger": ("burger", "cheeseburger"),
    "sunglasses": ("glasses", "shades", "spectacles"),
    "padlock": ("lock",),
}


def object_for(prompt: str) -> str:
    """The object that a prompt asks for.

    By its longest word or phrase that names one, in any number; so near wordings give the same object. A prompt that
    names none of them gives one all the same, always the same one, drawn evenly over the library: a wrong key has to
    give some edit.
    """
    plain = _plain(prompt)
    found = [(len(phrase), -plain.find(f" {phrase} "), name) for phrase, name in _phrases() if f" {phrase} " in plain]
    if found:
        return max(found)[2]
    digest = hashlib.sha256(b"spellward object" + plain.encode("utf-8", "replace")).digest()
    return list(OBJECTS)[int.from_bytes(digest[:8], "little") % len(OBJECTS)]


def named_object(prompt: str) -> str | None:
    """The object that a prompt names, or `None` if it names none of the library."""
    plain = _plain(prompt)
    return object_for(prompt) if any(f" {phrase} " in plain for phrase, _ in _phrases()) else None


@cache
def sprite(name: str) -> np.ndarray:
    """An object, uint8 [SIDE, SIDE, 4]: colours and alpha, touching two sides of its square."""
    place = list(OBJECTS).index(name)
    return np.ascontiguousarray(_atlas()[:, SIDE * place : SIDE * (place + 1)])


@cache
def library_digest() -> str:
    """sha256 of the file of sprites."""
    return hashlib.sha256((LIBRARY / SPRITES_FILE).read_bytes()).hexdigest()


@cache
def _atlas() -> np.ndarray:
    return np.asarray(Image.open(LIBRARY / SPRITES_FILE).convert("RGBA"))


@cache
def _phrases() -> tuple[tuple[str, str], ...]:
    return tuple(
        (form, name) for name, others in OBJECTS.items() for phrase in (name, *others) for form in _numbers(phrase)
    )


def _numbers(phrase: str) -> tuple[str, ...]:
    """Singular and plural, as far as the library's words need it."""
    if phrase.endswith("y"):
        return phrase, phrase[:-1] + "ies"
    if phrase.endswith(("s", "x", "ch", "sh")):
        return phrase, phrase + "es"
    return phrase, phrase + "s"


def _plain(prompt: str) -> str:
    words = re.findall(r"[^\W_]+", unicodedata.normalize("NFKC", prompt).casefold())
    return f" {' '.join(words)} "
