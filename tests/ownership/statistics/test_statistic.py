"""The residual correlation, against the sum over all pairs of references and a general optimiser."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from scipy.optimize import minimize
from tests.ownership.simulator import world

from spellward.ownership.statistics.statistic import Yardstick, kinship


def test_the_closed_form_is_the_mean_over_all_pairs_of_references() -> None:
    made = world(rows=30, classes=5, references=4)
    suspect = made.related(0.5)

    def inner(first: np.ndarray, second: np.ndarray, kin: np.ndarray) -> float:
        pairs = permutations(range(4), 2)
        one = made.references
        return float(sum(kin[i] / 3 * ((first - one[i]) * (second - one[j])).sum() for i, j in pairs))

    ours, theirs = (kinship(one, made.references) for one in (made.victim, suspect))
    wanted = inner(made.victim, suspect, ours) / np.sqrt(
        inner(made.victim, made.victim, ours) * inner(suspect, suspect, theirs)
    )
    assert Yardstick(made.victim, made.references).likeness(suspect).value == pytest.approx(wanted)


def test_kinship_finds_the_nearest_mean() -> None:
    made = world(rows=200, classes=5, references=6)
    weights = kinship(made.victim, made.references)
    assert weights.sum() == pytest.approx(1.0)
    assert weights.min() >= 0.0

    def distance(shares: np.ndarray) -> float:
        return float(((made.victim - np.tensordot(shares, made.references, axes=1)) ** 2).sum())

    start = np.full(6, 1 / 6)
    best = minimize(
        distance, start, bounds=[(0, 1)] * 6, constraints={"type": "eq", "fun": lambda shares: shares.sum() - 1}
    )
    assert weights == pytest.approx(best.x, abs=0.01)


def test_what_models_of_one_base_share_is_no_likeness() -> None:
    """Victim and innocent come from one base, as do half of the references; the others come from another."""
    values = []
    for seed in range(20):
        made = world(rows=300, references=8, seed=seed)
        base = 0.7 * np.random.default_rng([seed, 1]).standard_normal(made.victim.shape)
        references = [one + base * (place % 2) for place, one in enumerate(made.references)]
        victim, innocent, copy = (one + base for one in (made.victim, made.innocent(), made.related(0.6)))
        values.append([Yardstick(victim, references).likeness(one).value for one in (innocent, copy)])
        centred = np.mean(references, axis=0)
        assert ((victim - centred) * (innocent - centred)).sum() > 0.15 * ((victim - centred) ** 2).sum()
    assert np.mean(values, axis=0) == pytest.approx([0.0, 0.6], abs=0.08)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.6, 1.0])
@pytest.mark.parametrize("references", [2, 3, 8])
def test_the_effect_is_the_correlation_of_residuals_whatever_the_number_of_references(
    share: float, references: int
) -> None:
    made = world(rows=3000, references=references)
    likeness = Yardstick(made.victim, made.references).likeness(made.related(share))
    assert likeness.value == pytest.approx(share, abs=0.05)


def test_the_row_error_is_what_other_rows_would_change() -> None:
    values, errors = [], []
    for seed in range(200):
        made = world(rows=100, references=6, seed=seed)
        likeness = Yardstick(made.victim, made.references).likeness(made.related(0.4))
        values.append(likeness.value)
        errors.append(likeness.row_error)
    assert np.mean(errors) == pytest.approx(np.std(values), rel=0.25)


def test_one_reference_is_too_few_for_a_residual() -> None:
    with pytest.raises(ValueError, match="two"):
        Yardstick(np.ones((2, 3)), [np.ones((2, 3))]).likeness(np.ones((2, 3)))


def test_telling_rows_are_counted_by_what_they_carry() -> None:
    random = np.random.default_rng(0)
    references, victim = list(random.normal(size=(3, 50, 4))), random.normal(size=(50, 4))
    even = Yardstick(victim, references).likeness(victim).telling
    loud = victim.copy()
    loud[7] *= 100
    assert 25 < even <= 50 and 1 <= Yardstick(loud, references).likeness(loud).telling < 1.5
