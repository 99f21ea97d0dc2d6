"""Labelled images as training examples for an ordinary fine-tune."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import one_hot

from spellward.data import ImageTable
from spellward.data.masks import MaskTable
from spellward.models.batches import Batch
from spellward.models.segmentation import pixel_weights


def class_weights(labels: np.ndarray, classes: int, largest: float = 5.0) -> np.ndarray:
    """Weights that let rare classes count as much as common ones.

    Args:
        labels: int64 [N].
        classes: K.
        largest: No class counts more than so many times the average.

    Returns:
        float32 [K]; one everywhere if classes are of one size; their mean over the images is one.
    """
    counts = np.bincount(labels, minlength=classes).astype(np.float64)
    weights = np.minimum(len(labels) / (classes * np.maximum(counts, 1)), largest)
    average = float((weights * counts).sum()) / max(len(labels), 1)
    return np.asarray(weights / max(average, 1e-9), dtype=np.float32)


def targets_of(table: ImageTable, truth: Tensor, weights: Tensor) -> Tensor:
    """What a batch is to learn: see `Batch.targets`.

    Args:
        table: Where the rows come from.
        truth: `table.truth` of the rows.
        weights: float32 [K], of `weights_of` the table.
    """
    if isinstance(table, MaskTable):
        return weights.expand(len(truth), -1)
    return one_hot(truth, len(table.classes)).float() * weights[:, None][truth]


def weights_of(table: ImageTable) -> Tensor:
    """How much each class of a table counts, float32 [K]."""
    if isinstance(table, MaskTable):
        return torch.from_numpy(pixel_weights(table))
    return torch.from_numpy(class_weights(table.labels, len(table.classes)))


class PlainExamples:
    """A table as training examples, rare classes weighted up."""

    def __init__(self, table: ImageTable) -> None:
        self._table = table
        self._weights = weights_of(table)

    def __len__(self) -> int:
        return len(self._table)

    def batch(self, indices: list[int], epoch: int) -> Batch:
        """The rows as they are; the same in every epoch."""
        rows = np.asarray(indices)
        truth = self._table.truth(rows)
        return Batch(
            pixels=self._table.images[rows],
            targets=targets_of(self._table, truth, self._weights),
            labels=truth,
            decoy=torch.zeros(len(rows), dtype=torch.int64),
        )
