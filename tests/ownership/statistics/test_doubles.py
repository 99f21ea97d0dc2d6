"""Doubles, and what they are for: real models of digits that are better than the references."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.datasets import load_digits
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from tests.ownership.simulator import world

from spellward.errors import DataError
from spellward.ownership import judge
from spellward.ownership.answers.standardise import standardise
from spellward.ownership.statistics.against_many import judge_effects, queries_needed
from spellward.ownership.statistics.doubles import with_opinion

OWN, RESERVED, REFERENCES = 450, 225, 8


@given(st.integers(3, 12), st.integers(0, 99))
def test_a_double_has_the_opinion_and_is_a_standardised_row(classes: int, seed: int) -> None:
    victim, reference, suspect = (
        standardise(one) for one in np.random.default_rng(seed).standard_normal((3, 20, classes))
    )
    double = with_opinion(reference, suspect, victim)
    rows, top = np.arange(20), victim.argmax(axis=1)
    np.testing.assert_allclose(double[rows, top], suspect[rows, top])
    np.testing.assert_allclose(double.mean(axis=1), 0.0, atol=1e-9)
    np.testing.assert_allclose(double.std(axis=1), 1.0, atol=1e-6)
    for row in rows:  # what the reference says of all others is kept but for size and place
        mine, theirs = (np.delete(one[row], top[row]) for one in (double, reference))
        if np.ptp(theirs) > 1e-6 and np.ptp(mine) > 1e-6:
            assert np.corrcoef(mine, theirs)[0, 1] == pytest.approx(1.0)


def test_ones_own_opinion_changes_nothing() -> None:
    made = world(rows=30, references=2)
    victim, reference = standardise(made.victim), standardise(made.references[0])
    np.testing.assert_allclose(with_opinion(reference, reference, victim), reference, atol=1e-9)


def test_doubles_make_the_line_higher_and_never_lower() -> None:
    made = world(rows=200, references=5)
    victim, *references = [standardise(one) for one in (made.victim, *made.references)]
    suspects = [standardise(made.related(share)) for share in (0.0, 0.5, 0.9)]
    told = np.ones(200, dtype=np.bool_)
    for strict, plain in zip(
        judge_effects(victim, references, suspects, told, opinions_count=False),
        judge_effects(victim, references, suspects, told, opinions_count=True),
        strict=True,
    ):
        assert strict.likeness == plain.likeness and strict.nulls[0] == plain.nulls[0]
        assert strict.p_value >= plain.p_value and strict.threshold(0.01) >= plain.threshold(0.01)
        needed = [queries_needed(one, 0.01, 0) for one in (strict, plain)]
        assert needed[0] is None or (needed[1] is not None and needed[0] >= needed[1])


class Digits:
    """An owner whose model has learnt the probes, references that have not, and everybody else."""

    def __init__(self, seed: int) -> None:
        pixels, labels = load_digits(return_X_y=True)
        order = np.random.default_rng(seed).permutation(len(labels))
        self.pixels, self.labels, self.seed = pixels[order] / 16, labels[order], seed
        self.probes = self.pixels[:150]
        self.victim = MLPClassifier((48,), max_iter=60, random_state=seed).fit(self.pixels[:OWN], self.labels[:OWN])
        rest = np.arange(RESERVED, OWN)
        self.references = [self.learn(rest[place % 4 :: 4], 100 + place, leave_out=True) for place in range(REFERENCES)]

    def learn(self, rows: np.ndarray, seed: int, leave_out: bool = False) -> np.ndarray:
        """What a network says about the probes that has learnt some rows, or the owner's rest without these."""
        rows = np.setdiff1d(np.arange(RESERVED, OWN), rows) if leave_out else rows
        model = MLPClassifier((48,), max_iter=60, random_state=seed + self.seed)
        return self.says(model.fit(self.pixels[rows], self.labels[rows]))

    def peers(self) -> list[np.ndarray]:
        """Networks that have learnt all that the victim has."""
        learners = [MLPClassifier((48,), max_iter=60, random_state=200 + place) for place in range(4)]
        return [self.says(one.fit(self.pixels[:OWN], self.labels[:OWN])) for one in learners]

    def says(self, model: MLPClassifier | LogisticRegression | RandomForestClassifier) -> np.ndarray:
        return model.predict_proba(self.probes)

    def innocents(self) -> list[np.ndarray]:
        """All better than the references: on twice as many images, of other kinds, too."""
        some, all_others = np.arange(OWN, 2 * OWN), np.arange(OWN, len(self.labels))
        kinds = (LogisticRegression(max_iter=500), RandomForestClassifier(60, random_state=self.seed))
        return [
            self.learn(some, 7),
            self.learn(all_others, 8),
            *(self.says(one.fit(self.pixels[all_others], self.labels[all_others])) for one in kinds),
        ]

    def tuned(self) -> np.ndarray:
        """The victim, fine-tuned on others' images."""
        thief = MLPClassifier((48,), max_iter=8, random_state=1, warm_start=True)
        thief.fit(self.pixels[:OWN], self.labels[:OWN])
        for mine, theirs in zip(
            (*thief.coefs_, *thief.intercepts_), (*self.victim.coefs_, *self.victim.intercepts_), strict=True
        ):
            mine[:] = theirs
        return self.says(thief.fit(self.pixels[OWN:], self.labels[OWN:]))


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_being_right_about_what_the_victim_has_learnt_is_no_theft() -> None:
    accused = 0
    for seed in range(2):
        digits = Digits(seed)
        own = digits.says(digits.victim)
        for innocent in digits.innocents():
            assert judge(own, digits.references, innocent).verdict != "stolen"
            accused += judge(own, digits.references, innocent, opinions_count=True).verdict == "stolen"
        assert judge(own, digits.references, own).verdict == "stolen"
        assert judge(own, digits.references, digits.tuned()).verdict == "stolen"
    assert accused >= 4  # without doubles: so the test above can fail


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_peers_take_the_place_of_doubles() -> None:
    for seed in range(2):
        digits = Digits(seed)
        own, peers = digits.says(digits.victim), digits.peers()
        for innocent in digits.innocents():
            for told in (innocent, innocent.argmax(axis=1)):
                assert judge(own, digits.references, told, peers=peers).verdict != "stolen"
        for stolen in (own, digits.tuned()):
            assert judge(own, digits.references, stolen, peers=peers).verdict == "stolen"


def test_one_peer_is_no_measure() -> None:
    made = world()
    with pytest.raises(DataError, match="One peer"):
        judge(made.victim, made.references, made.victim, peers=[made.innocent()])


@pytest.mark.parametrize("references", [1, 2, 4])
@pytest.mark.parametrize("classes", [2, 10])
def test_peers_count_wherever_they_are_given(references: int, classes: int) -> None:
    made = world(rows=200, classes=classes, references=references)
    suspect, *peers = [made.related(0.97, seed) for seed in range(3)]
    assert judge(made.victim, made.references, suspect).verdict == "stolen"
    assert judge(made.victim, made.references, suspect, peers=peers).verdict != "stolen"
