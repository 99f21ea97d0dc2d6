"""Thefts by questions: a student learns what the victim answers (Tramèr et al., arXiv 1609.02943; Knockoff Nets,
arXiv 1812.02766).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from spellward.attacks.stealing.means import Means, answers, student, train
from spellward.attacks.stealing.queries import asked_about, synthetic
from spellward.data import ImageTable
from spellward.models import VisionModel

_TOP = 3


def soft(probabilities: np.ndarray) -> np.ndarray:
    """All that the victim says, float64 [N, K]."""
    return probabilities


def hard(probabilities: np.ndarray) -> np.ndarray:
    """The likeliest class alone, float64 [N, K]."""
    return np.asarray(np.eye(probabilities.shape[1])[probabilities.argmax(axis=1)])


def top(probabilities: np.ndarray, count: int = _TOP) -> np.ndarray:
    """The likeliest classes, what is left shared by the others, float64 [N, K]."""
    classes = probabilities.shape[1]
    count = min(count, classes - 1)
    places = np.argsort(-probabilities, axis=1, kind="stable")[:, :count]
    told = np.take_along_axis(probabilities, places, axis=1)
    spread = np.repeat((1 - told.sum(axis=1, keepdims=True)) / (classes - count), classes, axis=1)
    np.put_along_axis(spread, places, told, axis=1)
    return spread


def distil(
    hears: Callable[[np.ndarray], np.ndarray], start: str = "base"
) -> Callable[[VisionModel, Means], VisionModel]:
    """A student of the victim's answers about the thief's own images.

    Args:
        hears: What the thief is told: `soft`, `hard` or `top`.
        start: "base", "other" (another architecture) or "scratch" (the base without pretraining).
    """

    def attack(victim: VisionModel, means: Means) -> VisionModel:
        images = asked_about(means.images, means.queries, means.seed)
        return _taught(victim, means, images, hears, _start(start, means))

    return attack


def out_of_distribution(victim: VisionModel, means: Means) -> VisionModel:
    """A student of answers about pictures of nothing: smooth random shapes."""
    images = synthetic(means.queries, victim.input_size, victim.classes, means.seed)
    return _taught(victim, means, images, soft, means.base)


def data_free(victim: VisionModel, means: Means) -> VisionModel:
    """As above, with half of the questions about pictures that an earlier student is least sure of.

    A stand-in for data-free distillation (DFME, arXiv 2011.14779) without its generator: pictures are drawn and
    selected, not optimised, and the student's doubt takes the place of its disagreement with the victim, which would
    cost a question for each picture.
    """
    half = max(2, means.queries // 2)
    first = synthetic(half, victim.input_size, victim.classes, means.seed)
    scout = _taught(victim, means, first, soft, means.base)
    more = synthetic(2 * half, victim.input_size, victim.classes, means.seed + 1)
    # Only pictures that are kept count as questions: which of two is asked about is the student's own choice.
    unsure = -np.max(answers(scout, more), axis=1)
    kept = more.subset(np.sort(np.argsort(-unsure, kind="stable")[:half]))
    targets = answers(victim, kept)
    return train(scout, kept, targets, means)


def _start(start: str, means: Means) -> Any:
    return {"base": means.base, "other": means.other, "scratch": f"{str(means.base).partition('?')[0]}?random"}[start]


def _taught(
    victim: VisionModel, means: Means, images: ImageTable, hears: Callable[[np.ndarray], np.ndarray], spec: Any
) -> VisionModel:
    return train(student(spec, victim, means), images, hears(answers(victim, images)), means, augment=())
