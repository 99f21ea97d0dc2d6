"""Scores -> rows that a positive scale, a shift and softmax do not change."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.special import softmax

from spellward.ownership.answers.outputs import Floats

_SHARPNESS = 6.0
# Lets the likely classes count for more than all others together.
_WEIGHT = 6.0
_LARGE = 1e100


def standardise(scores: Floats) -> Floats:
    """Standardises each row over its classes: zero mean, unit variance.

    With two classes only the sign of a row would be left. There the log-odds are taken instead, scaled by their
    median size over all rows (one scale for the whole model, which is what a temperature changes) and squashed, so
    that a few very sure rows do not outweigh all others.

    Args:
        scores: float64 [N, K], finite logits or log-probabilities.

    Returns:
        float64 [N, K]; [N, 1] within [-1, 1] if K is 2. Rows without any spread are zero.
    """
    largest = np.abs(scores).max(initial=0.0)
    if largest > _LARGE:  # their squares would be infinite
        scores = scores / largest
    if scores.shape[1] == 2:
        odds = scores[:, 1:] - scores[:, :1]
        middle = float(np.median(np.abs(odds)))
        squashed: Floats = np.tanh(0.5 * odds / middle) if middle > 0 else np.sign(odds)
        return squashed
    centred = scores - scores.mean(axis=1, keepdims=True)
    spread = centred.std(axis=1, keepdims=True)
    # Where a row is constant up to rounding, its spread says nothing.
    flat = spread <= 1e-9 * (1 + np.abs(scores).max(axis=1, keepdims=True))
    standard: Floats = np.where(flat, 0.0, centred / np.where(flat, 1.0, spread))
    return standard


def likely(rows: Floats) -> Floats:
    """Softmax of standardised rows at one sharpness for all models: float64 [N, K], rows with a sum of one."""
    chances: Floats = softmax(_SHARPNESS * rows, axis=1)
    return chances


def emphasise(rows: Floats) -> Floats:
    """Adds to standardised rows their softmax at one sharpness for all models, so that likely classes count for more.

    A copy shares the whole row with the victim, a thief's student learns which classes the victim thinks likely, and
    hardly in what order it puts the others (benchmarks/TUNING.md).

    Args:
        rows: float64 [N, K], standardised; [N, 1], of two classes, stays as it is.

    Returns:
        float64 [N, 2 K], or [N, 1].
    """
    if rows.shape[1] == 1:
        return rows
    return np.concatenate([rows, _WEIGHT * likely(rows)], axis=1)


def leaning(victim: Floats, references: Sequence[Floats]) -> float:
    """Share of the squared difference between victim and mean reference that is the same in every row, in [0, 1].

    Args:
        victim: float64 [N, C].
        references: The same shape, each.
    """
    difference = victim - np.mean(references, axis=0)
    total = float(np.square(difference).sum())
    return float(len(difference) * np.square(difference.mean(axis=0)).sum()) / total if total > 0 else 0.0


def level(rows: Floats) -> Floats:
    """Takes from each column its mean: how far a model leans towards a class whatever it is shown.

    Models of one task and base lean alike more often than they make the same mistakes, and fine-tuning changes the
    leaning first. So levelled, independent models of the zoo spread by 0.05 to 0.07 instead of 0.07 to 0.09. Where
    models differ mainly in it (`leaning`), what is left of a shared leaning looks like a likeness: leave it in there.

    Args:
        rows: float64 [N, C].
    """
    levelled: Floats = rows - rows.mean(axis=0, keepdims=True)
    return levelled
