"""Keys of runs that were killed: gone on with, and never lost."""

from __future__ import annotations

from pathlib import Path

import pytest

from spellward.artifacts import CACHE_VARIABLE
from spellward.errors import ArtifactError
from spellward.keys import Key
from spellward.locking.publishing import PENDING, resume_key, work_folder


@pytest.fixture
def output(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    return tmp_path / "locked"


def killed(output: Path) -> Key:
    """What is left by a run that was killed after it had written its key and before its folder appeared."""
    key = Key("with oil pastel", salt=bytes(16), seed=3, lock_id="0" * 32)
    key.save(work_folder(output) / PENDING)
    key.with_(weights_digest="1" * 64).save(output.with_name("locked.key"))
    return key


def test_the_same_spell_goes_on_with_salt_and_seed(output: Path) -> None:
    key = killed(output)
    resumed = resume_key(output, Key("with oil pastel"))
    assert (resumed.salt, resumed.seed, resumed.lock_id) == (key.salt, key.seed, key.lock_id)
    assert not output.with_name("locked.key").exists()  # it is written again when the run ends


@pytest.mark.parametrize("other", [Key("in thick fog"), Key("with oil pastel", salt=bytes([1]) * 16)])
def test_another_key_leaves_the_earlier_one_where_it_is(other: Key, output: Path) -> None:
    killed(output)
    with pytest.raises(ArtifactError, match=r"locked\.key exists"):
        resume_key(output, other)
    assert Key.load(output.with_name("locked.key")).prompt == "with oil pastel"
