"""Masks made visible: a colour for each class, laid over the picture."""

from __future__ import annotations

import colorsys
import io

import numpy as np
from PIL import Image

from spellward.data.masks import IGNORE

_GOLDEN = 0.61803398875
_OPACITY = 0.55


def class_colours(count: int) -> np.ndarray:
    """Colours of `count` classes, uint8 [count, 3]: black for the background, then hues far from each other."""
    hues = [(0.02 + _GOLDEN * number) % 1.0 for number in range(max(0, count - 1))]
    colours = [(0.0, 0.0, 0.0), *(colorsys.hsv_to_rgb(hue, 0.85, 1.0) for hue in hues)]
    return (np.array(colours[:count]).reshape(-1, 3) * 255).round().astype(np.uint8)


def overlay(image: np.ndarray, ids: np.ndarray, classes: int) -> np.ndarray:
    """Lays the classes over a picture; the background stays as it is, and edges between classes are drawn full.

    Args:
        image: uint8 [H, W, 3].
        ids: uint8 [H, W], in [0, classes) or `IGNORE`.
        classes: K.

    Returns:
        uint8 [H, W, 3].
    """
    table = np.full((256, 3), 128, dtype=np.uint8)
    table[:classes] = class_colours(classes)
    colours = table[ids].astype(np.float32)
    edge = np.zeros(ids.shape, dtype=bool)
    edge[1:] |= ids[1:] != ids[:-1]
    edge[:, 1:] |= ids[:, 1:] != ids[:, :-1]
    share = np.where(edge, np.float32(1), np.float32(_OPACITY))[..., None] * (ids != 0)[..., None]
    colours -= image
    colours *= share
    colours += image
    return np.asarray(colours.round(), dtype=np.uint8)


def mask_png(ids: np.ndarray, classes: int) -> bytes:
    """A PNG whose values are the class ids, uint8 [H, W], shown in the classes' colours."""
    picture = Image.fromarray(ids, "P")
    table = np.full((256, 3), 128, dtype=np.uint8)
    table[:classes] = class_colours(classes)
    table[IGNORE] = 255
    picture.putpalette(table.tobytes())
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()
