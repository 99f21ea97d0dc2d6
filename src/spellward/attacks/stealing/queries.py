"""What a thief asks a victim about: its own images in many forms, or pictures of nothing."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch.nn.functional import interpolate

from spellward.data import ImageTable, table_from_arrays
from spellward.models.augment import AUGMENTATIONS, varied

_CHUNK = 512


def asked_about(images: ImageTable, queries: int, seed: int) -> ImageTable:
    """So many questions about a table's images; each image comes again, augmented anew, when they run out."""
    variants = max(1, math.ceil(queries / len(images)))
    several = varied(images, variants, AUGMENTATIONS, seed)
    if queries >= len(several):
        return several
    rows = np.random.default_rng([seed, 0x0A5]).permutation(len(several))[:queries]
    return several.subset(np.sort(rows))


def synthetic(count: int, side: int, classes: tuple[str, ...], seed: int) -> ImageTable:
    """Smooth random shapes in random colours; their labels mean nothing.

    Args:
        count: How many.
        side: Of the square images, in pixels.
        classes: Names to carry along.
        seed: Of the shapes.
    """
    generator = torch.Generator().manual_seed(seed)
    parts = []
    for start in range(0, count, _CHUNK):
        size = min(_CHUNK, count - start)
        layers = [
            interpolate(torch.randn((size, 3, cells, cells), generator=generator), size=side, mode="bicubic")
            for cells in (3, 6, 12)
        ]
        # Hard edges between two textures, as objects have them.
        shape = (interpolate(torch.randn((size, 1, 4, 4), generator=generator), size=side, mode="bicubic") > 0).float()
        mixed = shape * layers[0] + (1 - shape) * (layers[1] + 0.5 * layers[2])
        parts.append((128 + 60 * mixed).clamp(0, 255).to(torch.uint8))
    return table_from_arrays(torch.cat(parts), np.arange(count) % len(classes), classes)
