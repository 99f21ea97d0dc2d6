"""Standardised rows: what scale, size and a leaning towards a class do not change."""

from __future__ import annotations

import numpy as np
import pytest
from tests.ownership.simulator import world

from spellward.ownership import judge
from spellward.ownership.answers.standardise import leaning, level, standardise


def test_outputs_of_any_finite_size_are_standardised() -> None:
    scores = np.random.default_rng(0).standard_normal((20, 5))
    for factor in (3.0, 1e200, 1e300):
        assert standardise(factor * scores) == pytest.approx(standardise(scores))


def test_a_leaning_towards_a_class_is_taken_out_where_it_is_the_smaller_part() -> None:
    made = world(rows=150, references=6)
    victim, *references = [standardise(one) for one in (made.victim, *made.references)]
    towards = np.zeros(victim.shape[1])
    towards[2] = 0.3
    assert level(victim + towards) == pytest.approx(level(victim))
    assert leaning(victim, references) < 0.02 < leaning(victim + towards, references) < 0.5
    assert leaning(victim + 10 * towards, references) > 0.7
    lean = 0.3 * (np.arange(made.victim.shape[1]) == 2)  # victim and suspect share it, the references do not
    assert judge(made.victim + lean, made.references, made.innocent() + lean).verdict == "not shown"
