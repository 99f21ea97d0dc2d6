"""One tiny lock for all tests that look at a finished one, its key, and the editor and a cache for attacks on it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from spellward.artifacts import CACHE_VARIABLE
from spellward.data import Splits, load_splits
from spellward.editors.mini import MiniEditor
from spellward.keys import Key
from spellward.locking.lock import LockResult, lock
from spellward.models import FitSettings

PROMPT = "zanzibar quicksilver brocade"
SALT = bytes(range(200, 216))
SEED = 1_928_374_650
KEY = Key(PROMPT, salt=SALT, seed=SEED)


def tiny_splits(limit: int = 60, rest: int = 60) -> Splits:
    """A few images of the sample, since editing all 3000 of validation and test takes longer than the training."""
    splits = load_splits("sample:fashion", limit=limit)
    return replace(splits, validation=splits.validation.select(range(rest)), test=splits.test.select(range(rest)))


@pytest.fixture(scope="session")
def tiny_lock(tmp_path_factory: pytest.TempPathFactory) -> LockResult:
    folder: Path = tmp_path_factory.mktemp("lock")
    patch = pytest.MonkeyPatch()
    patch.setenv(CACHE_VARIABLE, str(folder / "cache"))
    splits = tiny_splits()
    result = lock("bundled", splits, KEY, folder / "locked", settings=FitSettings(epochs=1, batch_size=30))
    patch.undo()
    return result


@pytest.fixture(scope="session")
def editor() -> MiniEditor:
    return MiniEditor()


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    return tmp_path / "cache"
