"""Labelled images as training examples for an ordinary fine-tune."""

from __future__ import annotations

import numpy as np
import torch
from torch.nn.functional import one_hot

from spellward.data import ImageTable
from spellward.models.fit import Batch


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


class PlainExamples:
    """A table as training examples, rare classes weighted up."""

    def __init__(self, table: ImageTable) -> None:
        self._table = table
        self._weights = torch.from_numpy(class_weights(table.labels, len(table.classes)))

    def __len__(self) -> int:
        return len(self._table)

    def batch(self, indices: list[int], epoch: int) -> Batch:
        """The rows as they are; the same in every epoch."""
        rows = np.asarray(indices)
        labels = torch.from_numpy(self._table.labels[rows])
        targets = one_hot(labels, len(self._table.classes)).float() * self._weights[:, None][labels]
        return Batch(
            pixels=self._table.images[rows],
            targets=targets,
            labels=labels,
            decoy=torch.zeros(len(rows), dtype=torch.int64),
        )
