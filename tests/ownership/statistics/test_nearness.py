"""Nearness, where there is one reference or few rows."""

from __future__ import annotations

import numpy as np
from tests.ownership.simulator import world

from spellward.ownership.answers.standardise import standardise
from spellward.ownership.statistics.nearness import nearness


def test_one_reference_tells_copies_and_leaves_the_rest_open() -> None:
    made = world(rows=400, references=1)
    victim, reference = standardise(made.victim), standardise(made.references[0])
    everything = np.ones(400, dtype=bool)
    for share, low, high in ((1.0, 0.0, 0.01), (0.9, 0.05, 0.3), (0.5, 0.36, 0.6), (0.0, 0.8, 1.2)):
        near = nearness(victim, [reference], standardise(made.related(share)), everything)
        assert low <= near.ratio <= high
        assert (near.p_value < 0.01) == (share == 1.0)


def test_a_copy_is_told_on_few_rows_however_they_differ() -> None:
    made = world(rows=40, references=1)
    scores = np.where(np.arange(40)[:, None] < 2, 1.0, 0.02) * made.references[0]
    victim, reference = made.victim - made.victim[:, :1], made.victim - made.victim[:, :1] + scores
    copy, kin = (nearness(victim, [reference], one, np.ones(40, bool)) for one in (victim, made.related(0.9)))
    assert copy.p_value > 0.01 > copy.p_of_identity and kin.p_of_identity == 1.0
    assert nearness(victim, [reference], victim, np.arange(40) < 19).p_of_identity == 1.0  # too few
