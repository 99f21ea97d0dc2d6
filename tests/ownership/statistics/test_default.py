"""The default test beside good models and poor references."""

from __future__ import annotations

import numpy as np
from tests.ownership.simulator import softmax, world

from spellward.ownership import judge


def test_good_models_are_not_accused_for_being_right() -> None:
    """Victim and suspect make no mistakes and tell the class alone; the one reference is poor."""
    made = world(rows=300, references=1, sharpness=4.0, own=1.5)
    right = np.eye(10)[made.labels]
    assert judge(right, made.references, made.labels).verdict == "inconclusive"
    for classes, references in ((2, 12), (3, 12), (10, 3)):
        made = world(rows=300, classes=classes, references=references, sharpness=12.0)
        suspect = np.round(softmax(3 * made.innocent()), 3)
        assert judge(made.victim, made.references, suspect).verdict != "stolen"
        assert judge(made.victim, made.references, suspect.argmax(axis=1)).verdict != "stolen"
