"""Scores -> rows that a positive scale, a shift and softmax do not change."""

from __future__ import annotations

import numpy as np
from scipy.special import softmax

from spellward.ownership.outputs import Floats

_SHARPNESS = 3.0
# Makes both parts of a row vary about as much between models.
_WEIGHT = 3.0


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


def emphasise(rows: Floats) -> Floats:
    """Adds to standardised rows their softmax at one sharpness for all models, so that likely classes count for more.

    A copy shares the whole row with the victim, a thief's student learns which classes the victim thinks likely, and
    hardly in what order it puts the others. On one half of the zoo (benchmarks/zoo.py, `tune`) copies stood out as
    far as with rows alone and students further; on the other half no student was found all the same.

    Args:
        rows: float64 [N, K], standardised; [N, 1], of two classes, stays as it is.

    Returns:
        float64 [N, 2 K], or [N, 1].
    """
    if rows.shape[1] == 1:
        return rows
    return np.concatenate([rows, _WEIGHT * softmax(_SHARPNESS * rows, axis=1)], axis=1)
