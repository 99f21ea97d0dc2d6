"""Segmentation networks under the same roof as classifiers: uint8 images in, a map of logits out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from spellward.data.masks import IGNORE, MaskTable
from spellward.models.augment import augment
from spellward.models.vision import VisionModel

SEGMENTATION = MaskTable.task

_CHUNK_VALUES = 2**25
_WEIGHT_IMAGES = 512
_LARGEST_WEIGHT = 5.0


@dataclass
class SegmentationModel(VisionModel):
    """A `VisionModel` whose network gives logits [B, K, h, w]; class 0 is the background."""

    task: ClassVar[str] = SEGMENTATION

    def segment(self, images: Tensor) -> np.ndarray:
        """Class ids of every pixel.

        Args:
            images: uint8 [N, 3, H, W].

        Returns:
            uint8 [N, S, S], S being `input_size`.
        """
        chunk = maps_at_once(len(self.classes), self.input_size)
        parts = [
            self.logits(images[start : start + chunk]).argmax(axis=1).astype(np.uint8)
            for start in range(0, len(images), chunk)
        ]
        return np.concatenate(parts) if parts else np.zeros((0, self.input_size, self.input_size), np.uint8)

    def _outputs(self, inputs: Tensor) -> Tensor:
        return resize_logits(super()._outputs(inputs), (self.input_size, self.input_size))

    def _no_outputs(self) -> np.ndarray:
        return np.zeros((0, len(self.classes), self.input_size, self.input_size), np.float32)


def maps_at_once(classes: int, size: int) -> int:
    """How many maps of logits [classes, size, size] may be in memory at once; at least one."""
    return max(1, min(128, _CHUNK_VALUES // (classes * size**2)))


def maps_of_size(logits: np.ndarray, size: int) -> np.ndarray:
    """float32 [N, K, h, w] to [N, K, size, size]."""
    return resize_logits(torch.from_numpy(logits), (size, size)).numpy()


def resize_logits(logits: Tensor, size: tuple[int, int]) -> Tensor:
    """float32 [B, K, h, w] to [B, K, *size], bilinear, as the models' own post-processing does."""
    if tuple(logits.shape[-2:]) == size:
        return logits
    return F.interpolate(logits, size=size, mode="bilinear", align_corners=False)


def cross_entropy(logits: Tensor, truth: Tensor, weights: Tensor | None = None) -> Tensor:
    """Mean cross-entropy of images or of pixels.

    Args:
        logits: float [B, K], or [B, K, h, w], which are resized to the truth.
        truth: int64 [B], or [B, H, W] in which `IGNORE` does not count.
        weights: float [K], how much a pixel of each class counts; pixels alone.

    Returns:
        A scalar; zero where no pixel counts.
    """
    if truth.ndim == 1:
        return F.cross_entropy(logits, truth, weight=weights)
    resized = resize_logits(logits, (int(truth.shape[1]), int(truth.shape[2])))
    if bool((truth == IGNORE).all()):
        return 0.0 * resized.sum()
    return F.cross_entropy(resized, truth, weight=weights, ignore_index=IGNORE)


def pixel_weights(table: MaskTable) -> np.ndarray:
    """Weights that let small and rare classes count: the root of the inverse of their share of the pixels.

    Returns:
        float32 [K]; their mean over the classes is one, the largest is at most five times that of the background.
    """
    counts = np.zeros(len(table.classes), dtype=np.float64)
    rows = np.unique(np.linspace(0, len(table) - 1, min(len(table), _WEIGHT_IMAGES)).astype(int))
    for start in range(0, len(rows), 64):
        truth = table.masks[rows[start : start + 64]][:, 0].flatten()
        counts += np.bincount(truth[truth != IGNORE].numpy(), minlength=len(counts))[: len(counts)]
    weights = np.minimum(np.sqrt(counts.max() / np.maximum(counts, 1.0)), _LARGEST_WEIGHT)
    return np.asarray(weights / weights.mean(), dtype=np.float32)


def augment_masks(truth: Tensor, size: int, names: tuple[str, ...], rng: np.random.Generator) -> Tensor:
    """Moves masks as `augment` moves images of side `size` under a generator in the same state.

    Args:
        truth: int64 [B, S, S], or [B, 2, S, S] with instances; resized to `size` first, each pixel taking its nearest
            neighbour.
        size: Side of the images.
        names, rng: As for `augment`.

    Returns:
        int64 [B, size, size] or [B, 2, size, size].
    """
    maps = truth if truth.ndim == 4 else truth[:, None]
    if maps.shape[2] != size or maps.shape[3] != size:
        maps = F.interpolate(maps.float(), size=(size, size), mode="nearest-exact").long()
    moved = augment(maps, names, rng)
    return moved if truth.ndim == 4 else moved[:, 0]
