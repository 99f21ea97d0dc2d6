"""Sizes that networks can take: sides up to a multiple, and batches that are always full.

Kernels may round differently for other batch sizes, so a batch of always the same size keeps pixels the same.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def pad_to_multiple(images: Tensor, multiple: int, least: int = 1) -> Tensor:
    """Repeats the last row and column up to a multiple.

    Args:
        images: uint8 or float [N, C, H, W].
        multiple: Of both sides.
        least: Of each side; a multiple itself.

    Returns:
        The same type; the images themselves if nothing is missing.
    """
    height, width = images.shape[2:]
    down = max(least, -(-height // multiple) * multiple) - height
    right = max(least, -(-width // multiple) * multiple) - width
    if not down and not right:
        return images
    return F.pad(images.float(), (0, right, 0, down), mode="replicate").to(images.dtype)


def fill_batch(rows: Tensor, size: int) -> Tensor:
    """Repeats the first of [N, ...] at the end until there are `size` rows."""
    if len(rows) == size:
        return rows
    return torch.cat([rows, rows[:1].expand(size - len(rows), *rows.shape[1:])])
