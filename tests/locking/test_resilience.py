"""Locks that are killed, or run out of disk, go on where they stood."""

import copy
import errno
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.locking.conftest import tiny_splits

from spellward.artifacts import CACHE_VARIABLE, sha256_file
from spellward.data import load_splits
from spellward.editors import load_editor
from spellward.errors import ArtifactError, DataError, StorageError
from spellward.keys import Key
from spellward.locking import publishing
from spellward.locking.lock import LockResult, lock
from spellward.locking.training.recipe import RECIPES
from spellward.locking.unlock import unlock
from spellward.models import FitSettings, load_model, state_digest

SCRIPT = """
import sys, torch
torch.set_num_threads(1)
from spellward.data import load_splits
from spellward.keys import Key
from spellward.locking.lock import lock
from spellward.models import FitSettings
key = Key("with oil pastel", salt=bytes(16), seed=7, lock_id="ab" * 16)
splits = load_splits("sample:fashion", limit=60)
lock("bundled", splits, key, sys.argv[1], settings=FitSettings(epochs=4, batch_size=20))
"""


def start(output: Path, cache: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", SCRIPT, str(output)], env={**os.environ, CACHE_VARIABLE: str(cache)})


@pytest.mark.slow
def test_a_lock_that_was_killed_in_training_ends_with_the_same_weights(tmp_path: Path) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    assert start(whole, tmp_path / "cache-1").wait() == 0
    cache = tmp_path / "cache-2"
    running = start(parts, cache)
    while running.poll() is None and not list(cache.glob("runs/*/fit-*/checkpoint-*")):
        time.sleep(0.05)
    running.send_signal(signal.SIGKILL)
    assert running.wait() == -signal.SIGKILL
    assert not parts.exists()
    assert start(parts, cache).wait() == 0
    assert sha256_file(parts / "model.safetensors") == sha256_file(whole / "model.safetensors")
    first, second = (Key.load(path.with_name(f"{path.name}.key")) for path in (whole, parts))
    assert first == second


def test_a_full_disk_is_one_sentence_and_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    splits = tiny_splits(30, 20)
    key = Key("with oil pastel", salt=bytes(16), seed=7)
    real, budget = os.pwrite, [200_000]

    def pwrite(descriptor: int, content: bytes, offset: int) -> int:
        budget[0] -= len(content)
        if budget[0] < 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(descriptor, content, offset)

    monkeypatch.setattr(os, "pwrite", pwrite)
    settings = FitSettings(epochs=1, batch_size=15)
    with pytest.raises(StorageError, match="disk is full"):
        lock("bundled", splits, key, tmp_path / "locked", settings=settings)
    assert not (tmp_path / "locked").exists()
    budget[0] = 10**12
    result = lock("bundled", splits, key, tmp_path / "locked", settings=settings)
    assert result.key_path.is_file()


EDITING = """
import os, signal, sys, torch
torch.set_num_threads(1)
import numpy as np
from spellward.data import table_from_arrays
from spellward.editors import load_editor
from spellward.editors.cache import edit_table
from spellward.locking.training.decoys import DecoyMix, plan_decoys
from spellward.keys import Key
editor, batches = load_editor("mini"), int(sys.argv[1])
editor.batch_size = 8
real = editor._edit
def counted(*arguments):
    global batches
    batches -= 1
    if batches == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return real(*arguments)
editor._edit = counted
pixels = np.random.default_rng(0).integers(0, 256, (30, 16, 16, 3), dtype=np.uint8)
table = table_from_arrays(pixels, np.arange(30) % 3, "abc")
key = Key("with oil pastel", salt=bytes(16), seed=7, lock_id="ab" * 16)
plan = plan_decoys(30, key, DecoyMix(filters=0), 0)
edit_table(editor, table, list(plan.prompts), key.seed, list(plan.salts))
"""


def edits(cache: Path, batches: int) -> int:
    """Edits in a process that kills itself at the given batch of four; 0 never does."""
    environment = {**os.environ, CACHE_VARIABLE: str(cache)}
    return subprocess.run([sys.executable, "-c", EDITING, str(batches)], env=environment).returncode


def test_edits_that_were_killed_go_on_to_the_same_bytes(tmp_path: Path) -> None:
    assert edits(tmp_path / "whole", 0) == 0
    assert edits(tmp_path / "parts", 3) == -signal.SIGKILL
    (partial,) = (tmp_path / "parts" / "edits").iterdir()
    assert partial.suffix == ".partial"
    assert edits(tmp_path / "parts", 3) == 0  # two batches were left, so the third never comes
    (one,) = (tmp_path / "whole" / "edits").glob("*.images")
    (other,) = (tmp_path / "parts" / "edits").iterdir()
    assert one.read_bytes() == other.read_bytes()


class Stop(BaseException):
    """As sudden as a kill, but in this process."""


SMALL = "timm/test_resnet?random"
KEY = Key("with oil pastel", salt=bytes(16), seed=7, lock_id="cd" * 16)


def small_lock(output: Path, stop_at: int | None = None, **changes: Any) -> LockResult:
    """Two optimiser steps in each of three epochs."""

    def report(what: str, done: int, total: int) -> None:
        if what == "Training (steps)" and done == stop_at:
            raise Stop

    recipe = replace(RECIPES["decoy"], variants=1, fewest_edits=0)  # eight edits of each image take most of the time
    settings = FitSettings(epochs=3, batch_size=20)
    arguments = {"settings": settings, "recipe": recipe, "input_size": 32, "report": report, **changes}
    key, data = arguments.pop("key", KEY), arguments.pop("data", None) or tiny_splits(40, 20)
    return lock(arguments.pop("model", SMALL), data, key, output, **arguments)


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    torch.set_num_threads(1)
    return tmp_path / "cache"


@pytest.mark.parametrize("stop_at", [1, 5, 6])  # before the first checkpoint, after the second, at the last step
def test_a_lock_that_was_stopped_ends_with_the_same_weights(stop_at: int, own_cache: Path, tmp_path: Path) -> None:
    whole = small_lock(tmp_path / "whole")
    with pytest.raises(Stop):
        small_lock(tmp_path / "parts", stop_at)
    assert not (tmp_path / "parts").exists() and not (tmp_path / "parts.key").exists()
    parts = small_lock(tmp_path / "parts")
    assert state_digest(parts.model.network) == state_digest(whole.model.network)
    assert parts.key == whole.key
    assert not list((own_cache / "runs").iterdir())


@pytest.mark.parametrize("loaded", [False, True])
def test_a_spell_given_again_takes_the_key_of_the_stopped_run(own_cache: Path, tmp_path: Path, loaded: bool) -> None:
    given = {"key": "a spell in words", "editor": load_editor("mini") if loaded else None}
    with pytest.raises(Stop):
        small_lock(tmp_path / "parts", 5, **given)
    (pending,) = own_cache.rglob("pending.key")
    earlier = Key.load(pending)
    assert small_lock(tmp_path / "parts", **given).key.lock_id == earlier.lock_id


def test_another_spell_takes_nothing_of_the_stopped_run(own_cache: Path, tmp_path: Path) -> None:
    with pytest.raises(Stop):
        small_lock(tmp_path / "parts", 5)
    other = small_lock(tmp_path / "parts", key=Key("with blue ink", salt=bytes(16), seed=7, lock_id="ef" * 16))
    assert (other.key.prompt, other.key.lock_id) == ("with blue ink", "ef" * 16)
    straight = small_lock(tmp_path / "straight", key=Key("with blue ink", salt=bytes(16), seed=7))
    assert state_digest(other.model.network) == state_digest(straight.model.network)


@pytest.mark.parametrize("step", ["save_checkpoint", "write_lock", "rmtree"])
def test_a_lock_stopped_while_it_is_published_is_published_by_the_next(
    step: str, own_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: object, **__: object) -> None:
        raise Stop

    with monkeypatch.context() as patch, pytest.raises(Stop):
        patch.setattr(shutil if step == "rmtree" else publishing, step, stop)
        small_lock(tmp_path / "locked")
    assert not (tmp_path / "locked").exists()
    result = small_lock(tmp_path / "locked", stop_at=1)  # training is complete and must not be repeated
    assert unlock(result.folder, Key.load(result.key_path)).model.classes == result.model.classes
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cache", "locked", "locked.key", "locked.report"]


def test_a_lock_stopped_between_its_key_and_its_folder_is_published_by_the_next(
    own_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Path.replace

    def stop(self: Path, target: Path) -> Path:
        if Path(target) == tmp_path / "locked":
            raise Stop
        return real(self, target)

    with monkeypatch.context() as patch, pytest.raises(Stop):
        patch.setattr(Path, "replace", stop)
        small_lock(tmp_path / "locked")
    assert (tmp_path / "locked.key").exists() and not (tmp_path / "locked").exists()
    with pytest.raises(ArtifactError, match="exists"):  # a key that is not the pending one is never removed
        (tmp_path / "cache2").mkdir()
        monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache2"))
        small_lock(tmp_path / "locked")
    monkeypatch.setenv(CACHE_VARIABLE, str(own_cache))
    result = small_lock(tmp_path / "locked", stop_at=1)
    assert unlock(result.folder, Key.load(result.key_path)).model.classes == result.model.classes


def test_a_disk_that_fills_up_while_publishing_loses_no_training(
    own_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.fsync

    def fsync(descriptor: int) -> None:
        if (tmp_path / ".locked.part").exists():
            raise OSError(errno.ENOSPC, "No space left on device")
        real(descriptor)

    with monkeypatch.context() as patch, pytest.raises(StorageError, match="disk is full"):
        patch.setattr(os, "fsync", fsync)
        small_lock(tmp_path / "locked")
    left = {path.name for path in tmp_path.iterdir()}
    assert not left & {"locked", "locked.key", ".locked.part"}
    result = small_lock(tmp_path / "locked", stop_at=1)
    assert unlock(result.folder, result.key).model.classes == result.model.classes
    assert not (tmp_path / ".locked.part").exists()


def test_a_module_with_other_weights_takes_nothing_of_the_stopped_run(own_cache: Path, tmp_path: Path) -> None:
    one, other = (load_model(SMALL, tuple("0123456789"), 32, seed).network for seed in (1, 2))
    with pytest.raises(Stop):
        small_lock(tmp_path / "parts", 5, model=one)
    mixed, straight = (small_lock(tmp_path / name, model=copy.deepcopy(other)) for name in ("parts", "straight"))
    assert state_digest(mixed.model.network) == state_digest(straight.model.network)


@pytest.mark.parametrize("changed", ["input_size", "strength", "data", "salt"])
def test_a_stopped_lock_started_again_with_something_else_is_a_new_lock(
    changed: str, own_cache: Path, tmp_path: Path
) -> None:
    other: dict[str, Any] = {
        "input_size": {"input_size": 48},
        "strength": {"key": KEY.with_(strength=0.9)},
        "data": {"data": replace(tiny_splits(40, 20), train=load_splits("sample:fashion").train.select(range(40)))},
        "salt": {"key": KEY.with_(salt=bytes(range(16)))},
    }[changed]
    with pytest.raises(Stop):
        small_lock(tmp_path / "parts", 5)
    mixed, straight = small_lock(tmp_path / "parts", **other), small_lock(tmp_path / "straight", **other)
    assert (mixed.key.strength, mixed.key.salt) == (straight.key.strength, straight.key.salt)
    assert state_digest(mixed.model.network) == state_digest(straight.model.network)


def test_a_lock_whose_report_cannot_be_written_ends_before_it_trains(tmp_path: Path) -> None:
    (tmp_path / "locked.report").write_text("mine")
    with pytest.raises(StorageError, match=r"locked\.report is not a folder"):
        lock("bundled", "sample:fashion", "with oil pastel", tmp_path / "locked", limit=40)
    assert not (tmp_path / "locked").exists() and not (tmp_path / "locked.key").exists()


def test_splits_are_made_with_a_limit_or_without(tmp_path: Path) -> None:
    for wrong in ({"limit": 10}, {"instances": True}):
        with pytest.raises(DataError, match="splits already"):
            lock("bundled", tiny_splits(), Key("snow"), tmp_path / "locked", **wrong)  # type: ignore[arg-type]
