from __future__ import annotations

import numpy as np
from tests.ownership.simulator import world

from spellward.ownership.answers.standardise import standardise
from spellward.ownership.statistics.sequential import bet, row_cosines, weighted_mean


def test_stopping_at_any_row_keeps_the_error_rate() -> None:
    """2000 innocents right at the threshold: at most 5 % may ever reach a wealth of 20."""
    random = np.random.default_rng(0)
    stopped = 0
    for seed in range(2000):
        weights = random.uniform(0, 1, 300)
        # Two-valued cosines have the largest variance, so this is the hardest case.
        cosines = np.where(random.uniform(size=300) < 0.6, 1.0, -1.0)
        stopped += bet(cosines, weights, threshold=0.2, alpha=0.05, seed=seed) is not None
    assert stopped / 2000 < 0.05 + 2 * np.sqrt(0.05 * 0.95 / 2000)


def test_copies_need_few_rows_and_innocents_never_stop() -> None:
    needed = []
    for seed in range(10):
        made = world(rows=300, references=6, seed=seed)
        victim, suspect = standardise(made.victim), standardise(made.innocent())
        references = [standardise(one) for one in made.references]
        copied = row_cosines(victim, references, victim)
        assert weighted_mean(*copied) > 0.6
        needed.append(bet(*copied, threshold=0.3, alpha=0.01, seed=seed) or 300)
        assert bet(*row_cosines(victim, references, suspect), threshold=0.3, alpha=0.01) is None
    assert np.median(needed) <= 50


def test_weights_depend_on_victim_and_references_only() -> None:
    made = world(rows=40, references=3)
    one = row_cosines(made.victim, made.references, made.innocent(1))[1]
    other = row_cosines(made.victim, made.references, made.innocent(2))[1]
    np.testing.assert_array_equal(one, other)


def test_rows_without_a_residual_bet_nothing() -> None:
    flat = np.zeros((30, 4))
    cosines, weights = row_cosines(flat, [flat, flat], flat)
    assert not weights.any()
    assert bet(cosines, weights, 0.2, 0.01) is None
