"""Attacks with a budget on a lock and on its base: figures that add up, and a cache that is used."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.attacks.unlocking.conftest import coloured
from tests.locking.conftest import KEY

from spellward.artifacts import cache_root
from spellward.attacks.unlocking.table import ATTACKS
from spellward.editors.mini import MiniEditor
from spellward.errors import ModelError
from spellward.locking.measuring import attack_target
from spellward.locking.measuring.attack_target import Target, run_attack
from spellward.locking.measuring.guesses import wrong_key_guesses
from spellward.models import load_model

SPEC = "timm/test_resnet?random"


@pytest.fixture(scope="module")
def target(editor: MiniEditor) -> Target:
    train, test = coloured(120, 0), coloured(30, 1)
    model, base = (load_model(SPEC, train.classes, 32, seed) for seed in (0, 1))
    guesses = {kind: some[:2] for kind, some in wrong_key_guesses(KEY, editor).items()}
    return Target(model, base, train, test, editor, None, guesses, "lock")


def test_a_row_adds_up_and_the_second_time_comes_from_the_cache(
    target: Target, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = run_attack(target, "fine-tuning", 0.1, effort="quick")
    assert (row.name, row.labelled, row.images) == ("fine-tuning", 0.1, 12)
    assert 0 <= row.accuracy <= 1 and 0 <= row.base <= 1
    assert row.gain == row.accuracy - row.base
    files = sorted((cache / "attacks").iterdir())
    assert len(files) == 2  # the lock's and the base's
    assert all(path.stat().st_mode & 0o077 == 0 for path in files)
    monkeypatch.setattr(attack_target, "ATTACKS", {"fine-tuning": replace(ATTACKS["fine-tuning"], run=None)})  # type: ignore[arg-type]
    assert run_attack(target, "fine-tuning", 0.1, effort="quick") == row


def test_the_base_is_measured_once_for_all_locks_and_their_keys(target: Target, cache: Path) -> None:
    run_attack(target, "remap", 0.1, effort="quick")
    other = replace(target, model=load_model(SPEC, target.model.classes, 32, 7), guesses={}, keys="other")
    before = len(list((cache_root() / "attacks").iterdir()))
    run_attack(other, "remap", 0.1, effort="quick")
    assert len(list((cache_root() / "attacks").iterdir())) == before + 1


@pytest.mark.parametrize("name", ["wrong-prompts", "prompt-inversion"])
def test_what_another_key_or_editor_gave_is_not_taken(name: str, target: Target, cache: Path) -> None:
    def results() -> int:
        run_attack(target, name, 0.1, effort="quick")
        return len(list((cache / "attacks").iterdir()))

    before = results()
    assert results() == before
    run_attack(replace(target, keys="other"), name, 0.1, effort="quick")
    assert results() == before + 1


def test_the_base_against_itself_gains_nothing(target: Target, cache: Path) -> None:
    itself = replace(target, model=target.base)
    for name in ("remap", "linear-probe", "fine-tuning"):
        assert run_attack(itself, name, 0.1, effort="quick").gain == 0


def test_the_test_images_do_not_choose_what_a_lock_is_measured_against(
    target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = {"fine-tuning": (0.9, [0.5, -1.0]), "head-tuning": (0.7, [0.5, -0.5]), "linear-probe": (0.8, [0.4, -0.1])}

    def result(name: str, *_: object) -> dict[str, object]:
        accuracy, hope = found.get(name, (0.3, None))
        return {"accuracy": accuracy, "hope": hope, "setting": "", "seconds": 0.0}

    monkeypatch.setattr(attack_target, "_result", result)
    assert run_attack(target, "no-key", 0.1).base == 0.7  # as successful as fine-tuning, and surer
    assert run_attack(target, "fine-tuning", 0.1).base == 0.9


def test_where_one_attack_fails_on_the_base_the_thief_takes_another(
    target: Target, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise ModelError("no layer sees one row for each image")

    kinds = ATTACKS["no-key"].on_base
    for number, kind in enumerate(kinds, 1):
        monkeypatch.setitem(ATTACKS, kind, replace(ATTACKS[kind], run=fails))  # type: ignore[arg-type]
        if number < len(kinds):
            assert run_attack(target, "no-key", 0.2, effort="quick", seed=number).base > 0
    with pytest.raises(ModelError, match="no layer sees"):
        run_attack(target, "no-key", 0.2, effort="quick", seed=len(kinds))


def test_a_thief_has_the_share_it_was_given_and_never_the_same_image_twice(target: Target) -> None:
    thief = target.thief(0.1, "quick", 0)
    assert np.bincount(thief.labelled.labels).tolist() == [4, 4, 4]
    labelled, unlabelled = (set(map(bytes, table.images[:].numpy())) for table in (thief.labelled, thief.unlabelled))
    assert len(labelled) == 12 and not labelled & unlabelled
    assert len(target.thief(0.001, "quick", 0).labelled) == 6  # never fewer than two of a class
    assert len(target.thief(0.999, "quick", 0).unlabelled) > 0
