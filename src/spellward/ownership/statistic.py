"""Residual correlation: what victim and suspect share beyond what all models of the task share.

METHODS (section 2) centres the victim on one half of the references and the suspect on the other half, because two
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

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

from spellward.ownership.outputs import Floats

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
    """

    value: float
    row_error: float


def kinship(model: Floats, references: Sequence[Floats]) -> Floats:
    """Weights, float64 [n], at least 0 with a sum of 1, that bring the mean of the references nearest to a model.

    Each reference's own part keeps the weight from resting on one: of m that are equally near, each gets 1/m.

    Args:
        model: float64 [N, C].
        references: One or more of the same shape.
    """
    heavy = _STRICT * max(float(np.linalg.norm(model)), 1.0)
    columns = np.stack([one.ravel() for one in references], axis=1)
    weights, _ = nnls(np.vstack([columns, np.full((1, len(references)), heavy)]), np.append(model.ravel(), heavy))
    normed: Floats = weights / weights.sum()
    return normed


def residual_correlation(
    victim: Floats, references: Sequence[Floats], suspect: Floats, detailed: NDArray[np.bool_] | None = None
) -> Likeness:
    """Residual correlation of victim and suspect.

    Args:
        victim: float64 [N, C], standardised rows.
        references: Two or more of the same shape.
        suspect: The same shape.
        detailed: bool [N], rows where the victim tells more than its class; all if not given.

    Raises:
        ValueError: If there are fewer than two references.
    """
    count = len(references)
    if count < 2:
        raise ValueError("A residual correlation needs two references.")
    evenly = np.full(count, 1 / count)
    kin_of_victim, kin_of_suspect = kinship(victim, references), kinship(suspect, references)

    def inner(first: Floats, second: Floats, weights: Floats) -> Floats:
        """The first is centred by weights, the second evenly on all others; per row."""
        centred = _rows(
            first - np.tensordot(weights, references, axes=1), second - np.tensordot(evenly, references, axes=1)
        )
        same = [
            share * _rows(first - one, second - one) / count for share, one in zip(weights, references, strict=True)
        ]
        products: Floats = (centred - np.sum(same, axis=0)) / (1 - 1 / count)
        return products

    own = np.mean([_rows(one - np.mean(references, axis=0), one).sum() for one in references]) * count / (count - 1)
    shared = inner(victim, suspect, kin_of_victim)
    of_victim, of_suspect = inner(victim, victim, kin_of_victim), inner(suspect, suspect, kin_of_suspect)
    least = _LEAST_SHARE * max(float(own), 0.0)
    size, other_size = max(float(of_victim.sum()), least), max(float(of_suspect.sum()), least)
    scale = float(np.sqrt(size * other_size))
    if scale <= 0.0:
        return Likeness(0.0, 1.0)
    value = float(shared.sum()) / scale
    # What one row changes in the ratio, to first order (delta method; zero for a copy, whose rows all agree).
    change = (shared - 0.5 * value * scale * (of_victim / size + of_suspect / other_size)) / scale
    error = float(np.sqrt((change**2).sum()))
    if detailed is not None:
        # Two good models that are right on the few rows where references err agree there without any spread. So the
        # error is never less than what chance gives to residuals of these sizes: with few telling rows, much.
        by_chance = (np.maximum(of_victim, 0.0) * np.maximum(of_suspect, 0.0))[~detailed].sum()
        error = max(error, float(np.sqrt(by_chance)) / scale)
    return Likeness(value, error)


def _rows(first: Floats, second: Floats) -> Floats:
    products: Floats = np.einsum("nc,nc->n", first, second)
    return products
