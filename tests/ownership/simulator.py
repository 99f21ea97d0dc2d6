"""Outputs of made-up models: what all models of a task share, what kin share, and what each has of its own."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from spellward.ownership.answers.outputs import Floats


@dataclass(frozen=True)
class World:
    """One victim, its references, and innocents.

    Attributes:
        victim: float64 [N, K] logits.
        references: As many of the same shape.
        labels: int64 [N], the true classes.
        seed: Of everything.
        own: Size of what each model has of its own, beside a common part of size one.
        kin: Correlation between what innocents and victim have of their own, beyond the references.
    """

    victim: Floats
    references: list[Floats]
    labels: np.ndarray
    residual: Floats
    common: Floats
    own: float
    kin: float
    seed: int

    def innocent(self, seed: int = 0, scale: float = 1.0) -> Floats:
        """An independent model; its residual correlates with the victim's by `kin`."""
        return scale * self.related(self.kin, seed)

    def related(self, share: float, seed: int = 0) -> Floats:
        """A model whose residual correlates with the victim's by `share`."""
        random = np.random.default_rng([self.seed, 7, seed])
        fresh = random.standard_normal(self.victim.shape)
        return self.common + self.own * (share * self.residual + np.sqrt(1 - share**2) * fresh)


def world(
    rows: int = 300,
    classes: int = 10,
    references: int = 4,
    *,
    sharpness: float = 4.0,
    own: float = 0.7,
    kin: float = 0.0,
    seed: int = 0,
) -> World:
    """Makes a world.

    Args:
        rows, classes, references: N, K and the number of references.
        sharpness: How far the true class stands out in the common part: 2 gives many mistakes, 12 hardly any.
        own: Size of a model's own part.
        kin: Correlation of innocents with the victim.
        seed: Of everything.
    """
    random = np.random.default_rng([seed, rows, classes, references])
    labels = random.integers(0, classes, rows)
    common = random.standard_normal((rows, classes))
    # Sure and unsure inputs, as in any real task.
    common[np.arange(rows), labels] += sharpness * random.uniform(0.2, 1.2, rows)
    residual = random.standard_normal((rows, classes))
    others = [common + own * random.standard_normal((rows, classes)) for _ in range(references)]
    return World(common + own * residual, others, labels, residual, common, own, kin, seed)


def softmax(scores: Floats) -> Floats:
    shifted = np.exp(scores - scores.max(axis=1, keepdims=True))
    return shifted / shifted.sum(axis=1, keepdims=True)
