"""One contract for all attacks, and planted secrets that each kind has to find."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from tests.attacks.unlocking.conftest import CLASSES, Negative, coloured, success

from spellward.attacks.unlocking.cheap_filters import FILTERS
from spellward.attacks.unlocking.guessing import rank
from spellward.attacks.unlocking.table import ATTACKS
from spellward.attacks.unlocking.thief import Guess, Thief
from spellward.attacks.unlocking.tuning import Tuning, tune
from spellward.data import ImageTable
from spellward.editors.mini import MiniEditor
from spellward.errors import ModelError
from spellward.models import VisionModel, load_model, state_digest

Accuracy = Callable[[Callable[[torch.Tensor], np.ndarray]], float]
KINDS = {attack.guesses for attack in ATTACKS.values()} - {""}


@pytest.fixture(scope="module")
def editor() -> MiniEditor:
    return MiniEditor()


@pytest.fixture
def equipped(thief: Thief, editor: MiniEditor) -> Thief:
    guesses = [Guess(f"guess {name}", FILTERS[name]) for name in ("blur", "grey", "warm")]
    return replace(thief, editor=editor, guesses=dict.fromkeys(KINDS, guesses))


@pytest.fixture(scope="module")
def inverted_lock(base: VisionModel) -> VisionModel:
    """A lock whose key is the negative: right on inverted images, wrong on clean ones."""
    images = coloured(96, 1)
    return tune(base, FILTERS["invert"](images.images[:]), images.labels, Tuning(3e-3), 60, 0)


@pytest.mark.parametrize("name", ATTACKS)
def test_every_attack_gives_scores_and_leaves_everything_as_it_was(
    name: str, trained: VisionModel, equipped: Thief, test_images: ImageTable
) -> None:
    before = [state_digest(one.network) for one in (trained, equipped.base)]
    loots = [ATTACKS[name].run(trained, equipped) for _ in range(2)]
    pixels = test_images.images[:10]
    scores = [loot.predict(pixels) for loot in loots]
    assert scores[0].shape == (10, len(CLASSES))
    assert np.isfinite(scores[0]).all()
    np.testing.assert_allclose(scores[0], scores[1], atol=1e-5)  # the same thief finds the same
    assert loots[0].setting == loots[1].setting != ""
    assert [state_digest(one.network) for one in (trained, equipped.base)] == before


@pytest.mark.parametrize("name", ATTACKS)
def test_every_attack_is_measured_against_one_that_runs_on_the_base(name: str) -> None:
    assert any("classification" in ATTACKS[one].tasks for one in ATTACKS[name].on_base)
    assert any("segmentation" in ATTACKS[one].tasks for one in ATTACKS[name].on_base) or len(ATTACKS[name].tasks) == 1
    for one in ATTACKS[name].on_base:
        assert ATTACKS[one].on_base == (one,)  # it is what it is measured against
        assert not ATTACKS[one].guesses


@pytest.mark.parametrize("name", ["remap", "linear-probe", "fine-tuning", "head-tuning", "extraction"])
def test_a_permuted_head_hides_nothing(name: str, trained: VisionModel, thief: Thief, accuracy: Accuracy) -> None:
    lock = trained.copy()
    head = lock.network.get_submodule(lock.head)
    with torch.no_grad():
        for parameter in head.parameters():
            parameter.copy_(parameter[[1, 2, 0]])
    assert accuracy(trained.logits) > 0.9
    assert accuracy(lock.logits) < 0.1
    patient = replace(thief, effort=replace(thief.effort, steps=40))
    assert accuracy(ATTACKS[name].run(lock, patient).predict) > 0.9


def test_a_zeroed_head_is_replaced(trained: VisionModel, thief: Thief, accuracy: Accuracy) -> None:
    lock = trained.copy()
    torch.nn.init.zeros_(lock.network.get_submodule(lock.head).weight)
    assert accuracy(lock.logits) < 0.5
    assert accuracy(ATTACKS["linear-probe"].run(lock, thief).predict) > 0.9


@pytest.mark.parametrize("name", ["filters", "key-inversion"])
def test_a_lock_that_a_filter_opens_is_opened(
    name: str, inverted_lock: VisionModel, thief: Thief, accuracy: Accuracy
) -> None:
    assert accuracy(inverted_lock.logits) < 0.5
    patient = replace(thief, effort=replace(thief.effort, steps=50))
    assert accuracy(ATTACKS[name].run(inverted_lock, patient).predict) > 0.9


def test_the_one_right_key_among_many_is_found(inverted_lock: VisionModel, thief: Thief) -> None:
    wrong = [Guess(f"prompt {number}", FILTERS["grey"]) for number in range(5)]
    right = Guess("prompt 5", FILTERS["invert"])
    many = replace(thief, labelled=coloured(90, 2))  # more than the first look, so the best are looked at again
    assert rank(inverted_lock, many, [*wrong, right])[0] is right
    armed = replace(thief, guesses={"near-wordings": [*wrong, right]})
    assert ATTACKS["near-wordings"].run(inverted_lock, armed).setting == "prompt 5"


def test_what_counts_as_success_is_passed_in(inverted_lock: VisionModel, thief: Thief) -> None:
    """A thief who wants wrong answers keeps the clean images."""
    contrary = replace(thief, success=lambda scores, labels: -success(scores, labels))
    guesses = [Guess("negative", FILTERS["invert"]), Guess("nothing", lambda images: images)]
    assert rank(inverted_lock, contrary, guesses)[0].name == "nothing"


def test_a_base_of_another_architecture_is_refused(trained: VisionModel, thief: Thief) -> None:
    other = replace(thief, base=load_model("timm/test_efficientnet?random", CLASSES, 32))
    with pytest.raises(ModelError, match="Name the base"):
        ATTACKS["stitching"].run(trained, other)


def test_prompt_inversion_searches_any_editor(inverted_lock: VisionModel, thief: Thief, accuracy: Accuracy) -> None:
    with pytest.raises(ModelError, match="no editor"):
        ATTACKS["prompt-inversion"].run(inverted_lock, thief)
    loot = ATTACKS["prompt-inversion"].run(inverted_lock, replace(thief, editor=Negative()))
    assert accuracy(loot.predict) > 0.9
    assert loot.setting.startswith("spell ")
