"""References that are one model, and references that do not do the task."""

from __future__ import annotations

import numpy as np
import pytest
from tests.ownership.simulator import softmax, world

from spellward.errors import DataError
from spellward.ownership import judge
from spellward.ownership.answers.standardise import standardise
from spellward.ownership.statistics.quality import keeping_up


@pytest.mark.parametrize("noise", [0.0, 0.05])
@pytest.mark.parametrize("who", ["references", "peers"])
def test_the_same_model_twice_is_refused(who: str, noise: float) -> None:
    made = world(references=6)
    again = made.references[2] + noise * np.random.default_rng(0).standard_normal(made.victim.shape)
    references, peers = made.references, [made.innocent(20), made.innocent(21)]
    (references if who == "references" else peers).append(again)
    with pytest.raises(DataError, match=r"Reference 3 and .* all but the same"):
        judge(made.victim, references, made.innocent(), peers=peers)


def test_models_of_one_base_and_models_that_tell_classes_are_taken() -> None:
    made = world(references=4, kin=0.6)
    kin = [made.innocent(seed) for seed in range(4)]
    assert judge(made.victim, kin, made.innocent(9)).verdict != "stolen"
    easy = world(rows=40, references=4, sharpness=30.0)
    labels = [np.eye(10)[one.argmax(axis=1)] for one in easy.references]
    assert np.array_equal(labels[0], labels[1])
    assert judge(np.eye(10)[easy.victim.argmax(axis=1)], labels, easy.innocent()).verdict != "stolen"


def test_models_that_hardly_hang_on_the_inputs_are_not_taken_for_one() -> None:
    made, random = world(classes=3, references=2), np.random.default_rng(2)
    same = np.array([2.0, -1.0, -1.0])
    idle = [same + 0.01 * random.standard_normal(made.victim.shape) for _ in range(4)]
    assert judge(made.victim, [*made.references, *idle], made.innocent()).verdict != "stolen"
    with pytest.raises(DataError, match="all but the same"):
        judge(made.victim, [*made.references, *idle, idle[0]], made.innocent())


def test_references_that_do_not_do_the_task_show_nothing() -> None:
    """What the task's models share is then all the victim's own, and an innocent has it too."""
    made = world(references=8)
    random = np.random.default_rng(1)
    idle = [softmax(random.standard_normal(made.victim.shape)) for _ in range(8)]
    verdict = judge(made.victim, idle, made.innocent(), opinions_count=True)
    assert verdict.verdict == "inconclusive" and "8 of 8" in verdict.reason
    for few in (1, 2, 3, 4):
        some = [*made.references[:few], *idle[few:]]
        assert judge(made.victim, some, made.innocent(), opinions_count=True).verdict != "stolen"
    assert judge(made.victim, made.references, made.victim, opinions_count=True).verdict == "stolen"


@pytest.mark.parametrize("references", [1, 4])
@pytest.mark.parametrize("change", [lambda one: one, lambda one: 1e30 * one, lambda one: softmax(0.5 * one)])
def test_the_victim_among_its_references_is_refused(references: int, change) -> None:  # type: ignore[no-untyped-def]
    made = world(references=references)
    given = [*made.references[1:], change(made.victim)]
    with pytest.raises(DataError, match=f"Reference {references} says all but the same as the victim"):
        judge(made.victim, given, made.innocent())


@pytest.mark.parametrize("victim", [np.ones((300, 10)), np.tile(np.arange(10.0), (300, 1)), np.eye(10)[[3] * 300]])
def test_a_victim_that_says_the_same_of_all_is_refused(victim: np.ndarray) -> None:
    made = world()
    with pytest.raises(DataError, match="same of every input"):
        judge(victim, made.references, made.innocent())


@pytest.mark.parametrize("references", [1, 2, 3, 5, 12])
def test_beside_much_worse_references_only_near_copies_are_found(references: int) -> None:
    """Good models are near one another, and all on one side of references that see less and err more."""
    for seed in range(5):
        random = np.random.default_rng([seed, references])
        truth = 3.0 * np.eye(10)[random.integers(0, 10, 150)] + 0.8 * random.standard_normal((150, 10))
        hard = random.gamma(1.5, 1.0, size=(150, 1))
        # One reference cannot show that it is worse, so there the margin alone has to do.
        own = 0.3 if references == 1 else 0.15
        good = [truth + own * hard * random.standard_normal(truth.shape) for _ in range(2)]
        poor = [0.7 * truth + 1.5 * hard * random.standard_normal(truth.shape) for _ in range(references)]
        assert judge(good[0], poor, good[1]).verdict != "stolen"
        assert judge(good[0], poor, np.round(softmax(good[0]), 3)).verdict == "stolen"


def test_references_keep_up_with_their_equals_alone() -> None:
    made = world(references=6, sharpness=2.0)
    equal, *rows = [standardise(one) for one in (made.victim, *made.references)]
    assert keeping_up(equal, rows) == pytest.approx(1.0, abs=0.15)
    better = standardise(made.common + 0.1 * (made.victim - made.common))
    poor = [standardise(made.common + 3 * (one - made.common)) for one in made.references]
    assert keeping_up(better, poor) < 0.75
