"""What a thief adds to probabilities: it is measured or taken off, and a copy is found behind it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy.special import log_softmax, softmax
from tests.ownership.simulator import World, world

from spellward.ownership.answers.channel import listen
from spellward.ownership.answers.noised import noise_in, without_uniform
from spellward.ownership.answers.outputs import Floats
from spellward.ownership.statistics.case import Case
from spellward.ownership.statistics.default import default_test


def made(**changes: int) -> World:
    return world(**{"rows": 300, "classes": 10, "references": 4, **changes}, sharpness=8.0)


def noised(scores: Floats, size: float) -> Floats:
    return softmax(scores, axis=1) + size * np.random.default_rng(5).standard_normal(scores.shape)


def cut_off(outputs: Floats) -> Floats:
    positive = np.maximum(outputs, 0)
    return positive / positive.sum(axis=1, keepdims=True)


def zeros(scores: Floats, count: int) -> Floats:
    outputs = softmax(2 * scores, axis=1)
    outputs.ravel()[np.argsort(outputs, axis=None)[:count]] = 0.0
    return outputs


def verdict(one: World, suspect: Floats, references: int = 4) -> str:
    known = tuple(listen(softmax(reference, axis=1)) for reference in one.references[:references])
    return default_test(Case(listen(softmax(one.victim, axis=1)), known, listen(suspect))).verdict


@pytest.mark.parametrize("size", [1e-4, 1e-3, 1e-2])
@pytest.mark.parametrize("shown", [lambda outputs: outputs, cut_off, lambda outputs: np.maximum(outputs, 0)])
def test_noise_is_measured(size: float, shown: Callable[[Floats], Floats]) -> None:
    assert noise_in(shown(noised(2 * made().victim, size))) == pytest.approx(size, rel=0.3)


PLAIN: dict[str, Callable[[Floats], Floats]] = {
    "logits": lambda scores: scores,
    "log-probabilities": lambda scores: log_softmax(scores, axis=1),
    "probabilities": lambda scores: softmax(scores, axis=1),
    "single precision": lambda scores: softmax(30 * scores.astype(np.float32), axis=1).astype(np.float64),
    "three decimals": lambda scores: np.round(softmax(scores, axis=1), 3),
    "one decimal": lambda scores: np.round(softmax(scores, axis=1), 1),
    "cut off": lambda scores: np.maximum(softmax(scores, axis=1), 1e-3),
    "small ones left out": lambda scores: np.where(softmax(scores, axis=1) < 1e-3, 0, softmax(scores, axis=1)),
    "classes": lambda scores: np.eye(scores.shape[1])[scores.argmax(axis=1)],
    "regression": lambda scores: (scores - scores.mean(axis=1, keepdims=True)) / 100 + 1 / scores.shape[1],
    "all the same": lambda scores: np.full(scores.shape, 1 / scores.shape[1]),
    "nothing": lambda scores: np.full(scores.shape, np.nan),
}


@pytest.mark.parametrize("name", list(PLAIN))
@pytest.mark.parametrize("classes", [2, 10, 50])
def test_what_models_say_of_themselves_has_no_noise(name: str, classes: int) -> None:
    assert noise_in(PLAIN[name](made(classes=classes).victim)) == 0.0


@pytest.mark.parametrize("name", ["probabilities", "three decimals", "cut off", "classes", "all the same"])
def test_where_no_uniform_share_was_mixed_in_nothing_changes(name: str) -> None:
    outputs = PLAIN[name](made().victim)
    assert without_uniform(outputs) is outputs


@pytest.mark.parametrize("share", [0.01, 0.1, 0.5])
def test_a_uniform_share_is_taken_off(share: float) -> None:
    clean = softmax(2 * made().victim, axis=1)
    found = without_uniform((1 - share) * clean + share / clean.shape[1])
    assert np.allclose(found, clean, atol=1e-5) and np.allclose(found.sum(axis=1), 1)


@pytest.mark.parametrize("references", [1, 4])
@pytest.mark.parametrize("size", [1e-4, 1e-3, 3e-3])
def test_noise_on_probabilities_hides_no_copy(size: float, references: int) -> None:
    one = made()
    for shown in (noised(one.victim, size), cut_off(noised(one.victim, size))):
        assert verdict(one, shown, references) == "stolen"
    assert verdict(one, noised(one.innocent(), size), references) != "stolen"


@pytest.mark.parametrize("references", [1, 4])
def test_a_uniform_share_hides_no_copy(references: int) -> None:
    one = made()
    assert verdict(one, 0.9 * softmax(2 * one.victim, axis=1) + 0.01, references) == "stolen"
    assert verdict(one, 0.9 * softmax(2 * one.innocent(), axis=1) + 0.01, references) != "stolen"


@pytest.mark.parametrize("count", [1, 2, 5, 20])
@pytest.mark.parametrize("where", ["victim", "reference", "suspect"])
def test_a_few_zeros_change_nothing(where: str, count: int) -> None:
    one = made()
    held = {"victim": one.victim, "reference": one.references[0], "suspect": one.victim, "innocent": one.innocent()}
    told = {name: listen(zeros(scores, count if name == where else 0)) for name, scores in held.items()}
    others = tuple(listen(reference) for reference in one.references[1:])
    for suspect, expected in (("suspect", True), ("innocent", False)):
        finding = default_test(Case(told["victim"], (told["reference"], *others), told[suspect]))
        assert (finding.verdict == "stolen") is expected
