"""Residual correlation: what victim and suspect share beyond what all models of the task share.

METHODS (section 2) centres the victim on one half of the references and the suspect on the other half, because two
models centred on the same reference correlate even if both are innocent. Here this is averaged over all pairs of two
different references, in closed form: for the inner product

    <A, C> = mean over i != j of (A - B_i) · (C - B_j)

what the references have of their own drops out, so that <V, V> is the victim's own part alone and
<V, S> / sqrt(<V, V> <S, S>) is a correlation: 1 for a copy however many references there are, about 0 for an
independent suspect. No seed and no choice of halves enters.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spellward.ownership.outputs import Floats

# A model that looks much closer to the common part than the references are has hardly a residual to compare; without
# this share of the references' own variance as a floor, noise divided by nearly nothing would count as a likeness.
_LEAST_SHARE = 0.25


@dataclass(frozen=True)
class Likeness:
    """How alike victim and suspect are beyond the references.

    Attributes:
        value: Residual correlation.
        row_error: Its standard error from the choice of rows.
    """

    value: float
    row_error: float


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
    mean = np.mean(references, axis=0)
    between = _rows(mean, mean) * count - np.mean([_rows(one, one) for one in references], axis=0)
    between = between / (count - 1)  # mean over i != j of B_i · B_j
    # What one reference has of its own, on average.
    own = float(np.mean([_rows(one, one).sum() for one in references]) - between.sum())

    def inner(first: Floats, second: Floats) -> Floats:
        products: Floats = _rows(first, second) - _rows(first, mean) - _rows(mean, second) + between
        return products

    shared, of_victim, of_suspect = inner(victim, suspect), inner(victim, victim), inner(suspect, suspect)
    least = _LEAST_SHARE * own
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
