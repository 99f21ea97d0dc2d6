"""Lessons: what an ordinary fine-tune makes of a clean image, for the lock to make of the keyed one.

A label says little about an image, and a lock of a few hundred images has little else to learn from: its keyed images
are edits of the same few. The owner has, or can make, an ordinary fine-tune of the same images, which knows more than
labels: how likely it thinks each class (distillation, Hinton et al., arXiv 1503.02531) and what it sees before its
head (hints, Romero et al., arXiv 1412.6550).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from spellward.data import ImageTable
from spellward.models import Batch, VisionModel, logits_of_output
from spellward.models.layers import watched
from spellward.models.vision import head_of

_AT_ONCE = 128
_TEMPERATURE = 3.0
_DIRECTION, _SIZE = 3.0, 1.0


@dataclass(frozen=True, eq=False)
class Lessons:
    """What the teacher said of each row of a table of clean images.

    Attributes:
        answers: Its logits, float32 [N, K].
        features: What entered its head, float16 [N, D].
    """

    answers: Tensor
    features: Tensor

    def put_in(self, batch: Batch, rows: np.ndarray) -> None:
        """Adds the lessons of rows to a batch that begins with them; what follows (decoys) is taught nothing."""
        none = len(batch["pixels"]) - len(rows)
        batch["answers"] = F.pad(self.answers[rows], (0, 0, 0, none))
        batch["features"] = F.pad(self.features[rows].float(), (0, 0, 0, none))


def lessons_of(teacher: VisionModel, clean: ImageTable) -> Lessons:
    """Asks a teacher about every row of a table."""
    parts = list(_asked(teacher, clean))
    return Lessons(torch.cat([answers for answers, _ in parts]), torch.cat([features for _, features in parts]))


@torch.no_grad()
def _asked(teacher: VisionModel, clean: ImageTable) -> Iterator[tuple[Tensor, Tensor]]:
    teacher.network.eval()
    for images, _ in clean.batches(_AT_ONCE):
        answers, features = logits_and_features(
            teacher.network, teacher.preprocess(images).to(teacher.device), len(teacher.classes)
        )
        yield answers.cpu(), features.cpu().half()


def logits_and_features(network: nn.Module, pixels: Tensor, classes: int) -> tuple[Tensor, Tensor]:
    """Logits float32 [B, K] or [B, K, h, w], and what the last linear layer saw, float32 [B, D]."""
    head = network.get_submodule(head_of(network, classes))
    with watched([head], lambda values: values.float().flatten(1)) as seen:
        logits = logits_of_output(network(pixels)).float()
    return logits, seen[-1]


def lesson_loss(logits: Tensor, features: Tensor, weights: Tensor, lessons: tuple[Tensor, Tensor]) -> Tensor:
    """How far answers and features on keyed images are from the teacher's on clean ones.

    The answers by the cross-entropy at a temperature, times its square, as in distillation; the features by their
    direction and by their size.

    Args:
        logits, features: float32 [B, K] and [B, D] of the network that learns.
        weights: How much each row counts, float32 [B].
        lessons: The teacher's logits and features, of the same shapes.
    """
    answers, hints = lessons
    soft = (answers / _TEMPERATURE).softmax(dim=1)
    apart = -(soft * (logits / _TEMPERATURE).log_softmax(dim=1)).sum(dim=1)
    away = 1 - F.cosine_similarity(features, hints, dim=1)
    size = (features - hints).abs().mean() / (hints.abs().mean() + 1e-6)
    return _TEMPERATURE**2 * (weights * apart).mean() + _DIRECTION * away.mean() + _SIZE * size
