"""Where an object goes, how large and which way round: all of it drawn from the salt."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from PIL import Image

CANDIDATES = 4
_SMALLEST, _LARGEST = 0.30, 0.44
_TILT = 25.0
_HUE = 45.0
_MARGIN = 0.02


@dataclass(frozen=True)
class Placement:
    """One way to put an object into a picture.

    Attributes:
        x, y: Centre, as shares of width and height.
        scale: Longer side of the object, as a share of the picture's shorter one.
        mirrored: Whether left and right change places.
        tilt: Degrees, anticlockwise.
        hue: Degrees by which the colours are turned; little enough for a person to name the object still.
    """

    x: float
    y: float
    scale: float
    mirrored: bool
    tilt: float
    hue: float


def placements(prompt_object: str, seed: int, salt: bytes | None) -> tuple[Placement, ...]:
    """The places of an object in the order in which they are tried.

    All of an image's candidates have the same size, tilt and side, so the object looks the same wherever it stands.

    Args:
        prompt_object: Name of the object; without a salt the place follows from it and the seed alone.
        seed: The key's seed.
        salt: 16 secret bytes, or `None`.
    """
    secret = b"salt" + salt if salt is not None else b"none" + prompt_object.encode()
    stream = hashlib.shake_256(b"spellward place v1" + str(seed).encode() + b":" + secret)
    numbers = np.frombuffer(stream.digest(8 * (4 + 2 * CANDIDATES)), dtype="<u8") / 2.0**64
    scale = _SMALLEST + (_LARGEST - _SMALLEST) * float(numbers[0])
    mirrored = bool(numbers[1] < 0.5)
    tilt, hue = _TILT * float(2 * numbers[2] - 1), _HUE * float(2 * numbers[3] - 1)
    low = scale / 2 + _MARGIN
    return tuple(
        Placement(low + (1 - 2 * low) * x, low + (1 - 2 * low) * y, scale, mirrored, tilt, hue)
        for x, y in _near_the_border(numbers[4:].reshape(CANDIDATES, 2))
    )


def _near_the_border(points: np.ndarray) -> Iterator[tuple[float, float]]:
    """Points of the unit square pushed out from its middle, where the foreground usually is."""
    for x, y in points:
        reach = max(abs(x - 0.5), abs(y - 0.5)) * 2
        push = (0.5 + 0.5 * reach) / max(reach, 1e-6)
        yield float(np.clip(0.5 + (x - 0.5) * push, 0, 1)), float(np.clip(0.5 + (y - 0.5) * push, 0, 1))


def drawn(sprite: np.ndarray, placement: Placement, height: int, width: int) -> tuple[np.ndarray, int, int]:
    """An object in the size and position of a placement.

    Args:
        sprite: uint8 [S, S, 4].
        placement: Where.
        height, width: Of the picture.

    Returns:
        uint8 [h, w, 4], and the row and column of its upper left corner; it lies within the picture.
    """
    picture = _turned_hue(Image.fromarray(sprite), placement.hue)
    if placement.mirrored:
        picture = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    # Premultiplied, so that hidden colours do not bleed into the edges.
    turned = picture.convert("RGBa").rotate(placement.tilt, Image.Resampling.BICUBIC, expand=True)
    box = turned.getbbox()
    turned = turned.crop(box) if box else turned
    factor = placement.scale * min(height, width) / max(turned.size)
    size = (max(1, round(turned.width * factor)), max(1, round(turned.height * factor)))
    small = np.asarray(turned.resize(size, Image.Resampling.LANCZOS).convert("RGBA"))[:height, :width]
    top = int(np.clip(round(placement.y * height - small.shape[0] / 2), 0, height - small.shape[0]))
    left = int(np.clip(round(placement.x * width - small.shape[1] / 2), 0, width - small.shape[1]))
    return small, top, left


def _turned_hue(picture: Image.Image, degrees: float) -> Image.Image:
    """Turns the colours of an RGBA picture about the grey axis."""
    alpha = picture.getchannel("A")
    hue, saturation, value = picture.convert("RGB").convert("HSV").split()
    moved = hue.point([(level + round(degrees * 256 / 360)) % 256 for level in range(256)])
    result = Image.merge("HSV", (moved, saturation, value)).convert("RGB")
    result.putalpha(alpha)
    return result
