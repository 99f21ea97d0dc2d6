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
from spellward.models.vision import head_of

_AT_ONCE = 128
_SIDE = 16
_TEMPERATURE = 3.0
_DIRECTION, _SIZE = 3.0, 1.0


@dataclass(frozen=True, eq=False)
class Lessons:
    """What the teacher said of each row of a table of clean images.

    Attributes:
        answers: Its logits, float32 [N, K] or, of maps, [N, K, h, w] (`coarse`).
        features: What entered its head, float16 [N, D] or [N, D, h, w].
    """

    answers: Tensor
    features: Tensor

    def put_in(self, batch: Batch, rows: np.ndarray) -> None:
        """Adds the lessons of rows to a batch that begins with them; what follows (decoys) is taught nothing."""
        none = len(batch["pixels"]) - len(rows)
        batch["answers"] = _and_nothing(self.answers[rows], none)
        batch["features"] = _and_nothing(self.features[rows].float(), none)


def _and_nothing(said: Tensor, rows: int) -> Tensor:
    return torch.cat([said, torch.zeros((rows, *said.shape[1:]))])


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
        yield coarse(answers).cpu(), coarse(features).cpu().half()


def coarse(maps: Tensor) -> Tensor:
    """Maps [B, D, h, w] averaged to at most `_SIDE` on a side, so that those of all images fit into memory; rows
    [B, D] as they are.
    """
    if maps.ndim < 4 or max(maps.shape[-2:]) <= _SIDE:
        return maps
    return F.adaptive_avg_pool2d(maps, _SIDE)


def logits_and_features(network: nn.Module, pixels: Tensor, classes: int) -> tuple[Tensor, Tensor]:
    """Logits float32 [B, K] or [B, K, h, w], and what the last layer saw, float32 [B, D] or [B, D, h, w]."""
    seen: list[Tensor] = []
    head = network.get_submodule(head_of(network, classes))
    hook = head.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    try:
        logits = logits_of_output(network(pixels)).float()
    finally:
        hook.remove()
    return logits, seen[-1].float() if logits.ndim > 2 else seen[-1].float().flatten(1)


def lesson_loss(logits: Tensor, features: Tensor, weights: Tensor, lessons: tuple[Tensor, Tensor]) -> Tensor:
    """How far answers and features on keyed images are from the teacher's on clean ones.

    The answers by the cross-entropy at a temperature, times its square, as in distillation; the features by their
    direction and by their size. Of maps, each pixel is an answer of its own.

    Args:
        logits, features: float32 [B, K] and [B, D] of the network that learns, or [B, K, h, w] and [B, D, h, w].
        weights: How much each row counts, float32 [B]; of maps, how much each class does, [B, K].
        lessons: The teacher's logits and features, of the same shapes or `coarse`.
    """
    answers, hints = lessons
    logits, features = coarse(logits), coarse(features)
    if answers.ndim > 2:
        # A pixel counts as much as the class that the teacher sees there.
        weights = (answers.softmax(dim=1) * weights[:, :, None, None]).sum(dim=1)
    soft = (answers / _TEMPERATURE).softmax(dim=1)
    apart = -(soft * (logits / _TEMPERATURE).log_softmax(dim=1)).sum(dim=1)
    away = 1 - F.cosine_similarity(features, hints, dim=1)
    size = (features - hints).abs().mean() / (hints.abs().mean() + 1e-6)
    return _TEMPERATURE**2 * (weights * apart).mean() + _DIRECTION * away.mean() + _SIZE * size
