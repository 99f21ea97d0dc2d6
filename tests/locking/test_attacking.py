"""Attacks on a tiny lock, whole: figures that add up, a cache that is used, and silence about the spell."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.attacks.unlocking.conftest import Negative, coloured

from spellward.artifacts import CACHE_VARIABLE, cache_root
from spellward.attacks.unlocking.dictionary import dictionary
from spellward.attacks.unlocking.table import ATTACKS
from spellward.data import ImageTable
from spellward.editors.mini import MiniEditor
from spellward.keys import Key
from spellward.locking import attacking
from spellward.locking.attack_results import AttackReport, AttackRow, HonestRow
from spellward.locking.attacking import Target, attack, run_attack
from spellward.locking.guesses import wrong_key_guesses
from spellward.locking.honest_use import AFTER_EDITING, BEFORE_EDITING, OTHERWISE_EDITED, edited_otherwise, honest_use
from spellward.locking.lock import LockResult
from spellward.models import VisionModel, load_model

SPEC = "timm/test_resnet?random"
PROMPT, SALT, SEED = "zanzibar quicksilver brocade", bytes(range(200, 216)), 1_928_374_650
KEY = Key(PROMPT, salt=SALT, seed=SEED)


@pytest.fixture(scope="module")
def editor() -> MiniEditor:
    return MiniEditor()


@pytest.fixture(scope="module")
def target(editor: MiniEditor) -> Target:
    train, test = coloured(120, 0), coloured(30, 1)
    model, base = (load_model(SPEC, train.classes, 32, seed) for seed in (0, 1))
    guesses = {kind: some[:2] for kind, some in wrong_key_guesses(KEY, editor).items()}
    return Target(model, base, train, test, editor, None, guesses, "lock")


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    return tmp_path / "cache"


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
    monkeypatch.setattr(attacking, "ATTACKS", {"fine-tuning": replace(ATTACKS["fine-tuning"], run=None)})  # type: ignore[arg-type]
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


def test_few_images_are_drawn_from_all_classes(
    tiny_lock: LockResult, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Class folders give test images sorted by class."""
    seen: list[ImageTable] = []

    def honest(model: VisionModel, key: Key, editor: MiniEditor, images: ImageTable) -> Iterator[tuple]:
        seen.append(images)
        yield 1, 1, "unchanged", 0.5

    test = tiny_lock.splits.test
    sorted_test = test.select(np.argsort(tiny_lock.splits.test["label"], kind="stable"))
    monkeypatch.setattr(attacking, "honest_use", honest)
    monkeypatch.setattr(attacking, "_HONEST_IMAGES", 40)
    splits = replace(tiny_lock.splits, test=sorted_test, train=tiny_lock.splits.train.select(range(50)))
    with pytest.warns(UserWarning, match="50 training images are not the 60"):
        attack(tiny_lock.folder, splits, tiny_lock.key, budgets=[0.2], only=["no-key"], effort="quick")
    assert len(seen[0]) == 40 and len(set(seen[0].labels.tolist())) == len(set(test["label"]))


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

    monkeypatch.setattr(attacking, "_result", result)
    assert run_attack(target, "no-key", 0.1).base == 0.7  # as successful as fine-tuning, and surer
    assert run_attack(target, "fine-tuning", 0.1).base == 0.9


def test_an_attack_that_a_network_cannot_take_does_not_end_the_others(
    tiny_lock: LockResult, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(model: VisionModel, thief: object) -> None:
        raise IndexError("too many indices")

    monkeypatch.setitem(ATTACKS, "remap", replace(ATTACKS["remap"], run=fails))  # type: ignore[arg-type]
    found = attack(
        tiny_lock.folder,
        tiny_lock.splits,
        tiny_lock.key,
        budgets=[0.2],
        only=["remap", "no-key"],
        effort="quick",
        images=20,
    )
    assert [row.name for row in found.rows] == ["no-key"]
    assert "IndexError: too many indices" in found.skipped["remap"]


def test_a_thief_has_the_share_it_was_given_and_never_the_same_image_twice(target: Target) -> None:
    thief = target.thief(0.1, "quick", 0)
    assert np.bincount(thief.labelled.labels).tolist() == [4, 4, 4]
    labelled, unlabelled = (set(map(bytes, table.images[:].numpy())) for table in (thief.labelled, thief.unlabelled))
    assert len(labelled) == 12 and not labelled & unlabelled
    assert len(target.thief(0.001, "quick", 0).labelled) == 6  # never fewer than two of a class
    assert len(target.thief(0.999, "quick", 0).unlabelled) > 0


def test_a_stranger_edits_as_strongly_as_the_key(editor: MiniEditor) -> None:
    key = KEY.with_(strength=0.9)
    guess = wrong_key_guesses(key, editor)["wrong-prompts"][0]
    images, settings = coloured(2, 0).images[:], replace(editor.defaults, strength=0.9)
    expected = editor.edit(images, dictionary(PROMPT, 1)[0], 0, None, settings)
    assert torch.equal(guess.apply(images), expected)


def test_wrong_keys_are_wrong_and_their_names_say_nothing(editor: MiniEditor) -> None:
    found = wrong_key_guesses(KEY, editor, other_editors=[MiniEditor(precision="fp32")])
    assert set(found) == {attack.guesses for attack in ATTACKS.values()} - {""}
    assert len(found["wrong-prompts"]) >= 200 and len(found["wrong-prompts-known-salt"]) >= 200
    names = " ".join(guess.name for some in found.values() for guess in some)
    assert not any(word in names for word in [*PROMPT.split(), SALT.hex(), str(SEED)])
    images = coloured(2, 0).images[:]
    right = editor.edit(images, PROMPT, SEED, SALT)
    for kind, some in found.items():
        edited = [guess.apply(images) for guess in some[:3]]
        assert all(picture.shape == images.shape and picture.dtype == torch.uint8 for picture in edited)
        if kind != "other-editor":
            assert not any(torch.equal(picture, right) for picture in edited)


class _Brightness(torch.nn.Module):
    """Says "bright" of images whose mean is above the middle."""

    def __init__(self) -> None:
        super().__init__()
        self.head = torch.nn.Linear(1, 2)

    def forward(self, pixel_values: torch.Tensor) -> torch.Tensor:
        mean = pixel_values.mean(dim=(1, 2, 3))[:, None]
        return torch.cat([-mean, mean], dim=1)


def test_honest_use_has_a_row_for_every_change(editor: MiniEditor, target: Target) -> None:
    model = VisionModel(_Brightness(), "", ("dark", "bright"), 32, (0.5,) * 3, (0.5,) * 3, "head")  # type: ignore[arg-type]
    few = target.test.subset(range(6))
    edited = editor.edit(few.images[:], PROMPT, SEED, SALT)
    table = ImageTable(few.images, model.logits(edited).argmax(axis=1), model.classes, "")
    rows = list(honest_use(model, KEY, editor, table))
    assert [name for *_, name, _ in rows] == ["unchanged", *BEFORE_EDITING, *AFTER_EDITING, OTHERWISE_EDITED]
    assert [(done, total) for done, total, *_ in rows] == [(number, len(rows)) for number in range(1, len(rows) + 1)]
    assert rows[0][3] == 1.0
    assert all(0 <= accuracy <= 1 for *_, accuracy in rows)
    otherwise = edited_otherwise(editor, KEY)
    assert otherwise is not None and otherwise[1] == KEY
    assert {one.fingerprint().split(":")[1] for one in (otherwise[0], editor)} == {"bf16", "fp32"}
    otherwise = edited_otherwise(Negative(), KEY)
    assert otherwise is not None and otherwise[1].steps == 2


def test_an_editor_that_knows_one_way_has_no_other_to_be_measured(target: Target) -> None:
    class Once(Negative):
        max_steps = 1

    assert edited_otherwise(Once(), KEY) is None
    model = VisionModel(_Brightness(), "", ("dark", "bright"), 32, (0.5,) * 3, (0.5,) * 3, "head")  # type: ignore[arg-type]
    names = [name for *_, name, _ in honest_use(model, KEY, Once(), target.test.subset(range(6)))]
    assert names == ["unchanged", *BEFORE_EDITING, *AFTER_EDITING]


def test_reports_round_trip_exactly() -> None:
    row = AttackRow("remap", 0.01, 40, 0.1, 0.3, 0.1 - 0.3, "outputs", 1.25)
    report = AttackReport(
        (row,), (HonestRow("JPEG 90", 0.7, -0.1),), (0.1, 0.2), 0.8, 0.1, 1000, "quick", 3, "bundled", {"a": "b"}, {}
    )
    assert AttackReport.from_json(report.to_json()) == report
    assert report.largest == row
    for broken in ('{"format": "spellward-attacks-1"}', "{}", report.to_json().replace('"seed"', '"sead"')):
        with pytest.raises(ValueError, match="report"):
            AttackReport.from_json(broken)
    assert json.loads(report.to_json())["rows"][0]["gain"] == row.gain
