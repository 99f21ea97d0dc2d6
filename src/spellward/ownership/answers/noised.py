"""Probabilities that something was added to: noise, or a share of the uniform distribution.

Neither changes an answer much, and both hide a copy where logarithms are compared: those of the small probabilities
are then logarithms of what was added. So noise is measured, and what does not stand out from it counts as not told;
and a uniform share is taken off again.
"""

from __future__ import annotations

import numpy as np

from spellward.ownership.answers.outputs import Floats

_OF_NORMAL = 0.6745
"""Median of the absolute value of a standard normal variable."""
_MOST_NOISE = 0.05
_FEW = 20
_NEAR_ZERO = (0.005, 0.2)
"""Share of half-normal values below a tenth of their median: 0.05. Of probabilities, which crowd near zero on any
scale, it is more than a third; of rounded ones or those cut off at some value it is none."""
_SUMS = 0.01
_CLOSE, _PILE = 1.05, 0.2
_TOLD_APART = 1e-6


def noise_in(outputs: Floats) -> float:
    """Standard deviation of what looks like noise on probabilities: negative ones, or zeros where these were cut off.

    Args:
        outputs: float64 [N, K], finite or not.

    Returns:
        0.0 where none is seen: in logits, in probabilities, also rounded ones, and beyond a twentieth.
    """
    if not np.isfinite(outputs).all():
        return 0.0
    size = _size(outputs)
    if not 0 < size <= _MOST_NOISE:
        return 0.0
    reach, classes = 6 * size, outputs.shape[1]
    slack = reach * np.sqrt(classes) + _SUMS
    off = outputs.sum(axis=1) - 1
    # What is negative in the outputs of a model itself adds up to one exactly, if its rows add up to about one at all.
    own = outputs.min() < 0 and np.abs(off).max() < _TOLD_APART
    inside = outputs.min() >= -reach and outputs.max() <= 1 + reach
    # Without the negative values each class has 0.4 standard deviations more on average.
    summed = off.min() >= -slack and off.max() <= slack + 0.4 * size * classes
    return size if inside and summed and not own else 0.0


def without_uniform(outputs: Floats) -> Floats:
    """Takes off a uniform share: probabilities pile up just above it, and nowhere else.

    Args:
        outputs: float64 [N, K] probabilities.

    Returns:
        The same where there is none. Otherwise no value below a millionth: what the share was is known as well as that.
    """
    least = float(outputs.min())
    if least <= _TOLD_APART or least * outputs.shape[1] >= 1 - _TOLD_APART:
        return outputs
    # Where several are the same least of their row they were cut off there, or rounded.
    above = outputs[outputs > outputs.min(axis=1, keepdims=True) * (1 + 1e-9)]
    if len(above) < _FEW or (above <= _CLOSE * least).mean() < _PILE:
        return outputs
    rest = np.maximum(outputs - least, _TOLD_APART)
    shares: Floats = rest / rest.sum(axis=1, keepdims=True)
    return shares


def _size(outputs: Floats) -> float:
    negative = -outputs[outputs < 0]
    if len(negative):
        noise = negative
    else:
        # Half of the noise on probabilities of nearly zero was cut off, and as many values are the other half.
        cut = int((outputs == 0).sum())
        positive = np.sort(outputs[outputs > 0])
        if not _FEW <= cut <= len(positive):
            return 0.0
        noise = positive[:cut]
    middle = float(np.median(noise))
    if len(noise) >= _FEW and not _NEAR_ZERO[0] <= (noise < 0.1 * middle).mean() <= _NEAR_ZERO[1]:
        return 0.0
    return middle / _OF_NORMAL
