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


def _start(start: str, means: Means) -> Any:
    return {"base": means.base, "other": means.other, "scratch": f"{str(means.base).partition('?')[0]}?random"}[start]


def _taught(
    victim: VisionModel, means: Means, images: ImageTable, hears: Callable[[np.ndarray], np.ndarray], spec: Any
) -> VisionModel:
    return train(student(spec, victim, means), images, hears(answers(victim, images)), means, augment=())
