"""One tiny lock for all tests that look at a finished one."""

from __future__ import annotations

from pathlib import Path

import pytest

from spellward.artifacts import CACHE_VARIABLE
from spellward.data import load_splits
from spellward.keys import Key
from spellward.locking.lock import LockResult, lock
from spellward.models import FitSettings

PROMPT = "zanzibar quicksilver brocade"
SALT = bytes(range(200, 216))
SEED = 1_928_374_650


@pytest.fixture(scope="session")
def tiny_lock(tmp_path_factory: pytest.TempPathFactory) -> LockResult:
    folder: Path = tmp_path_factory.mktemp("lock")
    patch = pytest.MonkeyPatch()
    patch.setenv(CACHE_VARIABLE, str(folder / "cache"))
    splits = load_splits("sample:fashion", limit=60)
    key = Key(PROMPT, salt=SALT, seed=SEED)
    result = lock("bundled", splits, key, folder / "locked", settings=FitSettings(epochs=1, batch_size=30))
    patch.undo()
    return result
