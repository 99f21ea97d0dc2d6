"""A test that may stop at any query and keeps its error rate: betting against the suspect's innocence.

Row after row, in a seeded order, a wealth of 1 is multiplied by 1 + lambda x. If x has a mean of zero or less, wealth
is a supermartingale whatever the bets, as long as each is fixed before its row is seen, and exceeds 1/alpha ever with
probability at most alpha (Ville; Waudby-Smith and Ramdas, JRSS B 86, 2024, sections 4.1 and B.2 for the bets).

x is the weighted row cosine of victim's and suspect's residuals, less the value that an independent model exceeds with
probability alpha. So two errors add up: that of the null over models, and that of the rows.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from spellward.ownership.answers.outputs import Floats
from spellward.ownership.statistics.statistic import kinship

# Never more than this share of what could be lost is bet.
_BOLDNESS = 0.75
# What a bettor believes before the first row; it counts as much as one row.
_FIRST_MEAN, _FIRST_VARIANCE = 0.3, 0.15


def row_cosines(victim: Floats, references: Sequence[Floats], suspect: Floats) -> tuple[Floats, Floats]:
    """Cosine of the residuals of each row, and its weight.

    The victim is centred on its kin in one half of the references, the suspect on the other half, and the other way
    round.

    Args:
        victim, suspect: float64 [N, C], standardised rows.
        references: Two or more of the same shape.

    Returns:
        Cosines [N] in [-1, 1], and weights [N] in [0, 1]: large where the victim is unlike the references. They
        depend on victim and references only.
    """
    halves = [references[start::2] for start in (0, 1)]
    cosines, sizes = [], []
    for first, second in (halves, halves[::-1]):
        ours = victim - np.tensordot(kinship(victim, first), first, axes=1)
        theirs = suspect - np.mean(second, axis=0)
        size = np.linalg.norm(ours, axis=1)
        scale = size * np.linalg.norm(theirs, axis=1)
        cosines.append(np.divide((ours * theirs).sum(axis=1), scale, out=np.zeros(len(size)), where=scale > 1e-12))
        sizes.append(size)
    size = np.mean(sizes, axis=0)
    positive = size[size > 1e-12]
    # Rows in the upper quarter count in full: scaled by the largest one, all others would bet next to nothing.
    usual = float(np.quantile(positive, 0.75)) if len(positive) else 1.0
    weights = np.minimum(size / usual, 1.0)
    return np.clip(np.mean(cosines, axis=0), -1.0, 1.0), weights


def weighted_mean(cosines: Floats, weights: Floats) -> float:
    """The effect that the bets are about: mean cosine, by weight."""
    return float((cosines * weights).sum() / max(float(weights.sum()), 1e-12))


def bet(cosines: Floats, weights: Floats, threshold: float, alpha: float, seed: int = 0) -> int | None:
    """Bets that the weighted mean cosine exceeds a threshold.

    Args:
        cosines: float64 [N] in [-1, 1].
        weights: float64 [N] in [0, 1], known before the suspect is asked.
        threshold: What an independent model does not exceed, in (-1, 1).
        alpha: Error rate.
        seed: Of the order of rows.

    Returns:
        Rows until the wealth reached 1/alpha; `None` if it never did.
    """
    order = np.random.default_rng(seed).permutation(len(cosines))
    gains = (weights * (cosines - threshold))[order]
    most = _BOLDNESS / (1 + threshold)
    mean, squares, wealth = _FIRST_MEAN, _FIRST_VARIANCE + _FIRST_MEAN**2, 0.0
    for row, gain in enumerate(gains, start=1):
        # The growth-optimal bet to second order (aGRAPA), from earlier rows alone.
        stake = min(max(mean / max(squares, 1e-12), 0.0), most)
        wealth += float(np.log1p(stake * gain))
        if wealth >= -np.log(alpha):
            return row
        mean += (gain - mean) / (row + 1)
        squares += (gain**2 - squares) / (row + 1)
    return None
