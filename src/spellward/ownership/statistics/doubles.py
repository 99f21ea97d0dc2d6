"""Doubles: references with the suspect's opinion, for what being right gets an independent model.

A victim knows what it was trained on, and an independent suspect that is better than the references is right about it
too. Both then stand on the same side of the references, towards the true classes, and no row of answers says whether
the suspect has this from the victim or from the world. So it must not count. Each reference is given what the suspect
says of the class that the victim thinks likeliest, row by row, and keeps what it says of all others. Such a double is
as often of the victim's opinion as the suspect, and as sure of it, and has nothing else from the victim: a thief has to
be more like the victim than the doubles are.
"""

from __future__ import annotations

import numpy as np

from spellward.ownership.answers.outputs import Floats


def with_opinion(reference: Floats, suspect: Floats, victim: Floats) -> Floats:
    """A reference's rows with the suspect's value for the class that the victim thinks likeliest.

    Args:
        reference, suspect, victim: float64 [N, K], standardised rows, K of 3 or more.

    Returns:
        float64 [N, K], standardised rows.
    """
    rows, classes = np.arange(len(victim)), victim.shape[1]
    top = victim.argmax(axis=1)
    opinion = suspect[rows, top][:, None]
    others = reference.copy()
    others[rows, top] = 0.0
    others -= others.sum(axis=1, keepdims=True) / (classes - 1)
    others[rows, top] = 0.0
    size = np.square(others).sum(axis=1, keepdims=True)
    # A standardised row has a mean of zero and squares with a sum of K.
    room = np.maximum(classes - np.square(opinion) * classes / (classes - 1), 0.0)
    double: Floats = others * np.sqrt(room / np.maximum(size, 1e-12)) - opinion / (classes - 1)
    double[rows, top] = opinion[:, 0]
    return double
