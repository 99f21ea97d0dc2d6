"""Relearning from the answers that a lock is surest of."""

from __future__ import annotations

import numpy as np

from spellward.attacks.unlocking.relearning import surest


def test_the_surest_of_every_predicted_class() -> None:
    scores = np.array([[5.0, 0.0], [1.0, 0.0], [0.0, 9.0], [0.0, 2.0], [3.0, 0.0], [0.1, 0.0]])
    assert surest(scores, 0.5).tolist() == [0, 2, 4]
    assert surest(np.zeros((0, 2)), 0.5).tolist() == []
