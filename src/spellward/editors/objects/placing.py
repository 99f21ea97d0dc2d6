"""Where an object goes, how large and which way round: all of it drawn from the salt."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
from PIL import Image

_SMALLEST, _LARGEST = 0.30, 0.42
# Under a salt an object may stand on its head. Where it stands is little to choose from, since the foreground is in the
# way of most places: with tilts of 40 degrees at most, one salt in about 150 drew nearly the right one's picture.
_TILT, _TILT_UNSALTED, _HUE = 180.0, 40.0, 60.0
_GRID = 9
_MARGIN = 0.02


@dataclass(frozen=True)
class Look:
    """How an object looks under a salt, wherever it stands.

    Attributes:
        scale: Its longer side, as a share of the picture's shorter one.
        mirrored: Whether left and right change places.
        tilt: Degrees, anticlockwise.
        hue: Degrees by which the colours are turned; little enough for a person to name the object still.
    """

    scale: float
    mirrored: bool
    tilt: float
    hue: float


@dataclass(frozen=True)
class Placement:
    """An object's look, and its places in the order in which they are tried: centres as shares of width and height.

    The first is the salt's own; then a grid over the picture follows, the nearest to it first, for images whose
    foreground is in the way.
    """

    look: Look
    places: tuple[tuple[float, float], ...]


def placement(name: str, seed: int, salt: bytes | None) -> Placement:
    """The placement of an object.

    Args:
        name: Of the object; without a salt the placement follows from it and the seed alone.
        seed: The key's seed.
        salt: 16 secret bytes, or `None`.
    """
    secret = b"salt" + salt if salt is not None else b"none" + name.encode()
    stream = hashlib.shake_256(b"spellward place v1" + str(seed).encode() + b":" + secret)
    numbers = np.frombuffer(stream.digest(8 * 6), dtype="<u8") / 2.0**64
    scale = _SMALLEST + (_LARGEST - _SMALLEST) * float(numbers[0])
    tilt = _TILT if salt is not None else _TILT_UNSALTED
    look = Look(scale, bool(numbers[1] < 0.5), tilt * float(2 * numbers[2] - 1), _HUE * float(2 * numbers[3] - 1))
    low = scale / 2 + _MARGIN
    own = low + (1 - 2 * low) * _near_the_border(numbers[4:6])
    line = np.linspace(low, 1 - low, _GRID)
    grid = np.stack(np.meshgrid(line, line), axis=-1).reshape(-1, 2)
    nearest = grid[np.argsort(np.square(grid - own).sum(axis=1), kind="stable")]
    return Placement(look, tuple((float(x), float(y)) for x, y in (own, *nearest)))


def _near_the_border(point: np.ndarray) -> np.ndarray:
    """A point of the unit square pushed out from its middle, where the foreground usually is."""
    reach = max(float(np.abs(point - 0.5).max()) * 2, 1e-6)
    return np.clip(0.5 + (point - 0.5) * (0.5 + 0.5 * reach) / reach, 0, 1)


def drawn(sprite: np.ndarray, look: Look, height: int, width: int) -> np.ndarray:
    """An object in its look, for a picture of a given size.

    Args:
        sprite: uint8 [S, S, 4].
        look: How it looks.
        height, width: Of the picture.

    Returns:
        uint8 [h, w, 4], not larger than the picture.
    """
    picture = _turned_hue(Image.fromarray(sprite), look.hue)
    if look.mirrored:
        picture = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    # Premultiplied, so that hidden colours do not bleed into the edges.
    turned = picture.convert("RGBa").rotate(look.tilt, Image.Resampling.BICUBIC, expand=True)
    box = turned.getbbox()
    turned = turned.crop(box) if box else turned
    factor = look.scale * min(height, width) / max(turned.size)
    size = (max(1, round(turned.width * factor)), max(1, round(turned.height * factor)))
    return np.asarray(turned.resize(size, Image.Resampling.LANCZOS).convert("RGBA"))[:height, :width]


def corner(place: tuple[float, float], drawing: np.ndarray, height: int, width: int) -> tuple[int, int]:
    """Row and column of the upper left corner of a drawing [h, w, 4] that is centred at a place, inside the picture."""
    x, y = place
    top = int(np.clip(round(y * height - drawing.shape[0] / 2), 0, height - drawing.shape[0]))
    left = int(np.clip(round(x * width - drawing.shape[1] / 2), 0, width - drawing.shape[1]))
    return top, left


def _turned_hue(picture: Image.Image, degrees: float) -> Image.Image:
    """Turns the colours of an RGBA picture about the grey axis."""
    alpha = picture.getchannel("A")
    hue, saturation, value = picture.convert("RGB").convert("HSV").split()
    moved = hue.point([(level + round(degrees * 256 / 360)) % 256 for level in range(256)])
    result = Image.merge("HSV", (moved, saturation, value)).convert("RGB")
    result.putalpha(alpha)
    return result
