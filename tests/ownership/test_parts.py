"""Statistic, null, channel, single reference and baselines, each by itself."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from scipy.optimize import minimize
from tests.ownership.simulator import softmax, world

from spellward.ownership import judge
from spellward.ownership.channel import Channel, listen, on_equal_terms
from spellward.ownership.nearness import nearness
from spellward.ownership.null import fit_null
from spellward.ownership.standardise import leaning, level, standardise
from spellward.ownership.statistic import Likeness, Yardstick, kinship


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


def test_outputs_of_any_finite_size_are_standardised() -> None:
    scores = np.random.default_rng(0).standard_normal((20, 5))
    for factor in (3.0, 1e200, 1e300):
        assert standardise(factor * scores) == pytest.approx(standardise(scores))


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


def test_one_reference_is_too_few_for_a_residual() -> None:
    with pytest.raises(ValueError, match="two"):
        Yardstick(np.ones((2, 3)), [np.ones((2, 3))]).likeness(np.ones((2, 3)))


def test_the_null_has_a_floor_and_grows_with_what_references_show() -> None:
    alike = [Likeness(0.0, 0.0)] * 12
    apart = [Likeness(value, 0.0) for value in np.linspace(-0.4, 0.4, 12)]
    assert fit_null(alike, 12, 0.0).threshold(0.01) > 0.14
    assert fit_null(apart, 12, 0.0).threshold(0.01) > fit_null(alike, 12, 0.0).threshold(0.01) + 0.2
    assert fit_null(alike, 12, 0.2).threshold(0.01) > fit_null(alike, 12, 0.0).threshold(0.01) + 0.2
    # So far apart, they say alone how independent models spread: the prior was measured on others.
    assert fit_null(apart, 12, 0.0).freedom == pytest.approx(11, abs=0.5)
    assert fit_null(apart, 12, 0.0).spread == pytest.approx(np.std(np.linspace(-0.4, 0.4, 12), ddof=1), rel=0.1)
    null = fit_null(apart, 12, 0.05)
    assert null.p_value(null.threshold(0.01)) == pytest.approx(0.01)


def test_peers_spread_as_they_are_and_left_out_references_a_little_more() -> None:
    apart = [Likeness(value, 0.0) for value in (-0.3, -0.1, 0.1, 0.3)]
    peers, left_out = fit_null(apart, 4, 0.0, left_out=False), fit_null(apart, 4, 0.0)
    assert peers.spread > left_out.spread and peers.threshold(0.01) > left_out.threshold(0.01)


def test_telling_rows_are_counted_by_what_they_carry() -> None:
    random = np.random.default_rng(0)
    references, victim = list(random.normal(size=(3, 50, 4))), random.normal(size=(50, 4))
    even = Yardstick(victim, references).likeness(victim).telling
    loud = victim.copy()
    loud[7] *= 100
    assert 25 < even <= 50 and 1 <= Yardstick(loud, references).likeness(loud).telling < 1.5


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        (lambda scores: scores, "full"),
        (softmax, "full"),
        (lambda scores: softmax(scores).astype(np.float32).astype(float), "full"),
        (lambda scores: np.round(softmax(scores), 3), "rounded"),
        (lambda scores: np.round(softmax(scores), 2), "rounded"),
        (lambda scores: np.maximum(softmax(5 * scores), 1e-4), "clipped"),
        (lambda scores: np.eye(10)[scores.argmax(axis=1)], "label"),
        (lambda scores: 100 * softmax(scores), "full"),
        (lambda scores: np.round(100 * softmax(scores), 1), "rounded"),
        (lambda scores: np.where(scores >= np.sort(scores)[:, -4, None], 100 * softmax(scores), 0), "top"),
        (lambda scores: np.where(scores >= np.sort(scores)[:, -4, None], softmax(scores), 0), "top"),
        (lambda scores: np.where(scores >= np.sort(scores)[:, -4, None], scores, -np.inf), "top"),
    ],
)
def test_what_a_suspect_tells_is_recognised(change, kind: str) -> None:  # type: ignore[no-untyped-def]
    assert listen(change(world().victim)).channel.kind == kind


@pytest.mark.parametrize("scale", [0.1, 1.0, 7.0])
def test_a_rescaled_and_rounded_copy_meets_its_victim_again(scale: float) -> None:
    victim = world().victim
    suspect = np.round(softmax(scale * victim), 3)
    (ours, theirs), channel = on_equal_terms([listen(victim), listen(suspect)])
    assert channel == Channel("rounded", 0.0005, 3)
    assert np.mean(np.abs(ours - theirs) < 0.02) > 0.97


def test_one_reference_tells_copies_and_leaves_the_rest_open() -> None:
    made = world(rows=400, references=1)
    victim, reference = standardise(made.victim), standardise(made.references[0])
    everything = np.ones(400, dtype=bool)
    for share, low, high in ((1.0, 0.0, 0.01), (0.9, 0.05, 0.3), (0.5, 0.36, 0.6), (0.0, 0.8, 1.2)):
        near = nearness(victim, [reference], standardise(made.related(share)), everything)
        assert low <= near.ratio <= high
        assert (near.p_value < 0.01) == (share == 1.0)


def test_two_classes_tell_no_more_than_the_likeliest_one() -> None:
    scores = world().victim
    pair = np.where(scores >= np.sort(scores)[:, -2, None], softmax(scores), 0)
    (ours, theirs), channel = on_equal_terms([listen(world(seed=1).victim), listen(pair)])
    assert channel.kind == "label" and set(np.unique(theirs)) == set(np.unique(ours)) == {0.0, 1.0}


def test_a_copy_is_told_on_few_rows_however_they_differ() -> None:
    made = world(rows=40, references=1)
    scores = np.where(np.arange(40)[:, None] < 2, 1.0, 0.02) * made.references[0]
    victim, reference = made.victim - made.victim[:, :1], made.victim - made.victim[:, :1] + scores
    copy, kin = (nearness(victim, [reference], one, np.ones(40, bool)) for one in (victim, made.related(0.9)))
    assert copy.p_value > 0.01 > copy.p_of_identity and kin.p_of_identity == 1.0
    assert nearness(victim, [reference], victim, np.arange(40) < 19).p_of_identity == 1.0  # too few


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


def test_holmes_keeps_its_published_flaw_and_the_default_is_without_it() -> None:
    """METHODS, section 2: the p-value of Holmes depends on the temperature of the suspect."""
    made = world(rows=400, references=4)
    p_values: dict[str, list[float]] = {"holmes": [], "spellward": []}
    for method, found in p_values.items():
        for scale in (0.25, 1.0, 4.0):
            suspect = scale * made.innocent()
            verdict = judge(made.victim, made.references, suspect, method=method, poisoned=made.related(0.3, seed=5))
            assert verdict.p_value is not None
            found.append(verdict.p_value)
    assert np.ptp(np.log(p_values["holmes"])) > 1
    assert np.ptp(np.log(p_values["spellward"])) < 1e-6


@pytest.mark.parametrize("method", ["holmes", "akh", "agreement"])
def test_baselines_find_a_plain_copy(method: str) -> None:
    made = world(rows=400, references=3)
    verdict = judge(made.victim, made.references, made.victim, method=method, poisoned=made.related(0.3, seed=5))
    assert verdict.verdict == "stolen"
