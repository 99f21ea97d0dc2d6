"""Attacks on a tiny lock, whole."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from spellward.attacks.unlocking.table import ATTACKS
from spellward.data import ImageTable
from spellward.editors.mini import MiniEditor
from spellward.keys import Key
from spellward.locking import attacking
from spellward.locking.attacking import attack
from spellward.locking.lock import LockResult
from spellward.locking.public_base import public_base
from spellward.models import VisionModel


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


def test_attacks_and_the_public_base_run_where_the_machine_is_fastest(
    tiny_lock: LockResult, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    moved: list[torch.device] = []

    def find(name: str) -> torch.device:
        asked.append(name)
        return torch.device("cpu")

    def base(*args: object) -> VisionModel:
        made = public_base(*args)  # type: ignore[arg-type]
        monkeypatch.setattr(made.network, "to", moved.append)
        return made

    monkeypatch.setattr("spellward.locking.unlock.find_device", find)
    monkeypatch.setattr(attacking, "public_base", base)
    attack(tiny_lock.folder, tiny_lock.splits, tiny_lock.key, budgets=[0.2], only=["no-key"], effort="quick")
    assert asked == ["auto"] and moved == [torch.device("cpu")]
