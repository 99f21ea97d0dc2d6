"""What all models share that are better than the references: taken out, since it is no sign of theft.

The mean of noisy references is not what a better model says: standardised rows and likely classes are no linear
functions of the scores, so noise draws their mean away from it. A victim that is better than its references, having
learnt the probes, say, and an innocent suspect that is better, having learnt from more images, then both stand on the
same side of that mean, and the residual correlation takes it for a likeness. But the way there is known: it leads from
the mean of the references' rows to the rows of their consensus, and to first order no reference's own part is in it. So
all rows are projected off it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from spellward.ownership.answers.outputs import Floats
from spellward.ownership.statistics.nearness import consensus

# How much of each reference's own part is taken away: all of it, and half.
_STEPS = (1.0, 0.5)


def betterment(references: Sequence[Floats], see: Callable[[Floats], Floats]) -> Floats:
    """Orthonormal directions into which better models move, float64 [D, N * C] with D of 0 to 2.

    Args:
        references: float64 [N, K], standardised rows, one or more.
        see: What the test looks at, from standardised rows to float64 [N, C].
    """
    middle = consensus(references)
    seen = np.mean([see(one) for one in references], axis=0)
    ways = [np.mean([see(one + step * (middle - one)) for one in references], axis=0) - seen for step in _STEPS]
    basis, sizes, _ = np.linalg.svd(np.stack([way.ravel() for way in ways], axis=1), full_matrices=False)
    directions: Floats = basis[:, sizes > 1e-6 * max(float(sizes[0]), 1e-12)].T
    return directions


def keeping_up(victim: Floats, references: Sequence[Floats]) -> float:
    """How often references name the class that the others' consensus names, as a part of how often the victim does.

    About one where they are as good as the victim, however hard the inputs are. Where they are much worse, what is
    known of how independent models differ was learnt from models that differ for other reasons.

    Args:
        victim: float64 [N, K], standardised rows.
        references: Two or more of the same shape.
    """
    theirs, its = 0.0, 0.0
    for left, one in enumerate(references):
        named = consensus([other for place, other in enumerate(references) if place != left]).argmax(axis=1)
        theirs += float((one.argmax(axis=1) == named).mean())
        its += float((victim.argmax(axis=1) == named).mean())
    return theirs / max(its, 1e-12)


def without(rows: Floats, directions: Floats) -> Floats:
    """Rows projected off orthonormal directions.

    Args:
        rows: float64 [N, C].
        directions: float64 [D, N * C].
    """
    flat = rows.ravel()
    left: Floats = flat - directions.T @ (directions @ flat)
    return left.reshape(rows.shape)
