"""Residual correlation: what victim and suspect share beyond what all models of the task share.

A simpler statistic centres the victim on one half of the references and the suspect on the other half, because two
models centred on the same reference correlate even if both are innocent. Here this is done for all pairs of two
different references at once, in closed form:

    <A, C> = weighted mean over i != j of (A - B_i) · (C - B_j)

so that what a reference has of its own drops out. The references that one of the two is centred on are weighted by
kinship: models that start from the same public base share more than models of the task do, and with references of
several bases a plain mean would leave that in the residual, where an innocent model of the same base shares it. With
weights that bring the mean as near to the victim as it gets, the victim's kin carry it, <V, V> is the victim's own part
alone, and <V, S> / sqrt(<V, V> <S, S>) is a correlation: 1 for a copy however many references there are, about 0 for an
independent suspect of any base. No seed and no choice of halves enters.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

from spellward.ownership.answers.outputs import Floats

# A model that looks much closer to the common part than the references are has hardly a residual to compare; without
# this share of the references' own variance as a floor, noise divided by nearly nothing would count as a likeness.
_LEAST_SHARE = 0.25
# How much heavier than the rows the condition that weights sum to one is.
_STRICT = 1e3


@dataclass(frozen=True)
class Likeness:
    """How alike victim and suspect are beyond the references.

    Attributes:
        value: Residual correlation.
        row_error: Its standard error from the choice of rows.
        telling: How many rows carry it: of n rows that tell equally much n, of one that outweighs all others 1.
    """

    value: float
    row_error: float
    telling: float = math.inf


class Yardstick:
    """Victim and references, to measure many suspects by.

    Args:
        victim: float64 [N, C], standardised rows.
        references: Two or more of the same shape.
        detailed: bool [N], rows where the victim tells more than its class; all if not given.

    Raises:
        ValueError: If there are fewer than two references.
    """

    def __init__(self, victim: Floats, references: Sequence[Floats], detailed: NDArray[np.bool_] | None = None) -> None:
        if len(references) < 2:
            raise ValueError("A residual correlation needs two references.")
        self._victim, self._detailed = victim, detailed
        self._references = np.stack(references)
        self._mean = self._references.mean(axis=0)
        self._squares = np.einsum("inc,inc->in", self._references, self._references)
        self._basis, self._reduced = np.linalg.qr(self._references.reshape(len(references), -1).T)
        count = len(references)
        own = float(self._squares.sum()) / count - float(np.square(self._mean).sum())
        self._least = _LEAST_SHARE * max(own * count / (count - 1), 0.0)
        self._kin = self.kinship(victim)
        self._of_victim = self._inner(victim, victim, self._kin)

    def kinship(self, model: Floats) -> Floats:
        """Weights, float64 [n], at least 0 with a sum of 1, that bring the mean of the references nearest to a model.

        Each reference's own part keeps the weight from resting on one: of m that are equally near, each gets 1/m.

        Args:
            model: float64 [N, C].
        """
        heavy = _STRICT * max(float(np.linalg.norm(model)), 1.0)
        # Rotated into the span of the references, which changes no distance within it.
        reduced = np.vstack([self._reduced, np.full((1, len(self._references)), heavy)])
        weights, _ = nnls(reduced, np.append(self._basis.T @ model.ravel(), heavy))
        normed: Floats = weights / weights.sum()
        return normed

    def likeness(self, suspect: Floats) -> Likeness:
        """Residual correlation of the victim and a suspect, float64 [N, C]."""
        shared = self._inner(self._victim, suspect, self._kin)
        of_victim, of_suspect = self._of_victim, self._inner(suspect, suspect, self.kinship(suspect))
        size, other_size = max(float(of_victim.sum()), self._least), max(float(of_suspect.sum()), self._least)
        scale = float(np.sqrt(size * other_size))
        if scale <= 0.0:
            return Likeness(0.0, 1.0, 0.0)
        value = float(shared.sum()) / scale
        # What one row changes in the ratio, to first order (delta method; zero for a copy, whose rows all agree).
        change = (shared - 0.5 * value * scale * (of_victim / size + of_suspect / other_size)) / scale
        error = float(np.sqrt((change**2).sum()))
        if self._detailed is not None:
            # Two good models that are right on the few rows where references err agree there without any spread. So
            # the error is never less than what chance gives to residuals of these sizes: with few telling rows, much.
            chance = (np.maximum(of_victim, 0.0) * np.maximum(of_suspect, 0.0))[~self._detailed].sum()
            error = max(error, float(np.sqrt(chance)) / scale)
        carried = np.sqrt(np.maximum(of_victim, 0.0) * np.maximum(of_suspect, 0.0))
        telling = float(carried.sum() ** 2 / max(np.square(carried).sum(), 1e-300))  # Kish's effective sample size
        return Likeness(value, error, telling)

    def _inner(self, first: Floats, second: Floats, weights: Floats) -> Floats:
        """Per row: the first is centred by weights, the second evenly on all others."""
        count = len(self._references)
        weighted = np.tensordot(weights, self._references, axes=1)
        centred = _rows(first - weighted, second - self._mean)
        same = _rows(first, second) - _rows(first, weighted) - _rows(weighted, second) + weights @ self._squares
        products: Floats = (centred - same / count) / (1 - 1 / count)
        return products


def kinship(model: Floats, references: Sequence[Floats]) -> Floats:
    """Weights that bring the mean of one or more references nearest to a model; see `Yardstick.kinship`."""
    return np.ones(1) if len(references) == 1 else Yardstick(model, references).kinship(model)


def _rows(first: Floats, second: Floats) -> Floats:
    products: Floats = np.einsum("nc,nc->n", first, second)
    return products
