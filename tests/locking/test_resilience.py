"""Locks that are killed, or run out of disk, go on where they stood."""

import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from spellward.artifacts import CACHE_VARIABLE, sha256_file
from spellward.data import load_splits
from spellward.errors import StorageError
from spellward.keys import Key
from spellward.locking.lock import lock
from spellward.models import FitSettings

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
    splits = load_splits("sample:fashion", limit=30)
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
