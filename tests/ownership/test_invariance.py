"""What a thief may do to outputs without any training must not change the verdict."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.ownership.simulator import World, softmax, world

from spellward.ownership.answers.channel import listen
from spellward.ownership.answers.outputs import Floats
from spellward.ownership.answers.standardise import standardise
from spellward.ownership.statistics.case import Case, Finding
from spellward.ownership.statistics.default import default_test


@cache
def some_world(references: int, classes: int) -> World:
    return world(rows=200, classes=classes, references=references, kin=0.1, seed=3)


def found(made: World, suspect: Floats) -> Finding:
    references = tuple(listen(one) for one in made.references)
    return default_test(Case(listen(made.victim), references, listen(suspect)))


def suspect_of(made: World, kind: str) -> Floats:
    return {"copy": made.victim, "fine-tuned": made.related(0.9), "independent": made.innocent()}[kind]


KINDS = ("copy", "fine-tuned", "independent")


@pytest.mark.parametrize("classes", [2, 10])
@pytest.mark.parametrize("references", [1, 2, 5])
@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=8, deadline=None)
@given(scale=st.floats(0.1, 10), shift=st.floats(-50, 50), probabilities=st.booleans())
def test_scale_shift_and_softmax_change_nothing(
    kind: str, references: int, classes: int, scale: float, shift: float, probabilities: bool
) -> None:
    made = some_world(references, classes)
    suspect = suspect_of(made, kind)
    plain = found(made, suspect)
    shifts = shift * np.sin(np.arange(len(suspect)))[:, None]
    changed = scale * suspect + shifts
    other = found(made, softmax(changed) if probabilities else changed)
    assert other.verdict == plain.verdict
    assert plain.p_value is not None and other.p_value is not None
    assert other.p_value == pytest.approx(plain.p_value, rel=0.05, abs=1e-9)


@pytest.mark.parametrize("classes", [2, 3, 10, 50])
@pytest.mark.parametrize("references", [1, 2, 5])
@pytest.mark.parametrize("kind", ["copy", "independent"])
@pytest.mark.parametrize("scale", [0.1, 0.5, 1.0, 2.0])
def test_rounding_to_three_decimals_keeps_the_verdict(kind: str, references: int, classes: int, scale: float) -> None:
    made = some_world(references, classes)
    suspect = suspect_of(made, kind)
    assert found(made, np.round(softmax(scale * suspect), 3)).verdict == found(made, suspect).verdict


@pytest.mark.parametrize("references", [2, 5])
@pytest.mark.parametrize("kind", ["copy", "independent"])
def test_classes_alone_and_the_top_few_are_compared_on_equal_terms(kind: str, references: int) -> None:
    made = world(rows=600, references=references, kin=0.1)
    suspect = suspect_of(made, kind)
    probabilities = softmax(suspect)
    least = np.sort(probabilities, axis=1)[:, -3, None]
    top = np.where(probabilities >= least, probabilities, 0.0)
    wanted = found(made, suspect).verdict
    assert found(made, top).channel == "the 3 likeliest classes"
    # Three classes may be too little to tell anything but a copy, which is then said.
    expected = (wanted,) if kind == "copy" else (wanted, "inconclusive")
    assert found(made, top).verdict in expected
    assert found(made, top / top.sum(axis=1, keepdims=True)).verdict in expected
    labels = np.eye(10)[suspect.argmax(axis=1)]
    assert found(made, labels).channel == "the class alone"
    # Classes alone do not tell a copy from whoever is right where the victim is.
    assert found(made, labels).verdict == (wanted if kind == "independent" else "inconclusive")


@pytest.mark.parametrize("kind", KINDS)
def test_victim_and_references_may_be_probabilities_too(kind: str) -> None:
    made = some_world(5, 10)
    suspect = suspect_of(made, kind)
    victim, references = listen(softmax(made.victim)), [listen(softmax(one)) for one in made.references]
    mixed = (listen(made.references[0]), *references[1:])
    assert default_test(Case(victim, mixed, listen(suspect))).verdict == found(made, suspect).verdict
    rounded = listen(np.round(softmax(made.victim), 3))
    assert default_test(Case(rounded, mixed, listen(suspect))).verdict == found(made, suspect).verdict


@given(scale=st.floats(0.1, 10), seed=st.integers(0, 99), classes=st.integers(2, 12))
def test_standardised_rows_do_not_change(scale: float, seed: int, classes: int) -> None:
    random = np.random.default_rng(seed)
    scores = random.standard_normal((20, classes))
    changed = scale * scores + random.standard_normal((20, 1))
    np.testing.assert_allclose(standardise(changed), standardise(scores), atol=1e-9)


def test_a_row_without_spread_says_nothing() -> None:
    assert not standardise(np.full((3, 4), 0.1)).any()
    assert not standardise(np.full((3, 2), 0.1)).any()
