"""Augmentation of uint8 batches: flips and shifts, drawn from a generator of the batch's own."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from spellward.data import ImageTable, MaskTable
from spellward.data.store import Indices, row_numbers
from spellward.data.table import Images

AUGMENTATIONS = ("flip", "shift")


def augment(images: Tensor, names: tuple[str, ...], rng: np.random.Generator) -> Tensor:
    """Varies images.

    Args:
        images: uint8 [B, 3, H, W].
        names: Some of `AUGMENTATIONS`: "flip" mirrors half of the images, "shift" moves each by up to a twelfth of
            its side, repeating the border.
        rng: Decides; the same generator state gives the same result.

    Returns:
        uint8 [B, 3, H, W].

    Raises:
        ValueError: For an unknown name.
    """
    unknown = set(names) - set(AUGMENTATIONS)
    if unknown:
        raise ValueError(f"Unknown augmentation {sorted(unknown)}; there are {', '.join(AUGMENTATIONS)}.")
    batch, _, height, width = images.shape
    columns = np.tile(np.arange(width), (batch, 1))
    rows = np.tile(np.arange(height), (batch, 1))
    if "shift" in names:
        reach_y, reach_x = max(1, height // 12), max(1, width // 12)
        rows = (rows + rng.integers(-reach_y, reach_y + 1, (batch, 1))).clip(0, height - 1)
        columns = (columns + rng.integers(-reach_x, reach_x + 1, (batch, 1))).clip(0, width - 1)
    if "flip" in names:
        mirrored = rng.random(batch) < 0.5
        columns[mirrored] = columns[mirrored, ::-1]
    # One gather does it all: picking rows and columns costs less than padding and slicing image by image.
    first = torch.arange(batch)[:, None, None]
    picked = images.permute(0, 2, 3, 1)[
        first, torch.from_numpy(rows)[:, :, None], torch.from_numpy(columns)[:, None, :]
    ]
    return picked.permute(0, 3, 1, 2)


class VariedImages:
    """Every image several times, augmented anew each time; made as they are read, so nothing is held in memory.

    Row v * N + r is image r under an augmentation drawn from (seed, v, r); v = 0 is the image itself.
    """

    def __init__(self, base: Images, variants: int, names: tuple[str, ...], seed: int) -> None:
        self.base, self.variants, self.names, self.seed, self.size = base, variants, names, seed, base.size

    def __len__(self) -> int:
        return self.variants * len(self.base)

    def __getitem__(self, indices: Indices) -> Tensor:
        rows = row_numbers(indices, len(self))
        images = self.base[rows % max(len(self.base), 1)]
        for place in np.flatnonzero(rows >= len(self.base)):
            rng = np.random.default_rng([self.seed, int(rows[place]), 0xA7])
            images[place : place + 1] = augment(images[place : place + 1], self.names, rng)
        return images


def varied(table: ImageTable, variants: int, names: tuple[str, ...], seed: int) -> ImageTable:
    """A table with `variants` times as many rows; see `VariedImages`. Masks of a `MaskTable` move with their images."""
    if variants == 1 or not names:
        return table
    digest = hashlib.sha256(f"{table.fingerprint} {variants} {names} {seed}".encode()).hexdigest()
    images = VariedImages(table.images, variants, names, seed)
    labels = np.tile(table.labels, variants)
    if isinstance(table, MaskTable):
        # All augmentations only pick pixels, so the same draws move a mask just as they move its image.
        masks = VariedImages(table.masks, variants, names, seed)
        return replace(table, images=images, labels=labels, fingerprint=digest, masks=masks)
    return ImageTable(images, labels, table.classes, digest)
