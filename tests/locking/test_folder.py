"""`lock.json` and the training record: what is written is read again, and what was touched is refused."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

import pytest
from datasets import Dataset
from PIL import Image

from spellward.artifacts import sha256_file
from spellward.errors import ArtifactError, KeyRefusedError
from spellward.keys import Key
from spellward.locking.folder import LOCK_FILE, LockRecord, read_lock, write_lock
from spellward.locking.pairing import pair
from spellward.locking.settings_file import TrainingRecord, report_folder, splits_as_locked
from spellward.models import FitSettings

ID = "ab" * 16
KEY = Key("zanzibar", lock_id=ID, editor_fingerprint="of mini")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    locked = tmp_path / "locked"
    (locked / "deep").mkdir(parents=True)
    (locked / "model.safetensors").write_bytes(b"weights")
    (locked / "config.json").write_text("{}")
    (locked / "deep" / "notes.txt").write_text("one more")
    write_lock(locked, ID, "decoy", 3)
    return locked


def edit(path: Path, **changes: Any) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_round_trip(folder: Path) -> None:
    record = read_lock(folder)
    assert (record.lock_id, record.recipe, record.recipe_version) == (ID, "decoy", 3)
    assert set(record.files) == {"model.safetensors", "config.json", "deep/notes.txt"}
    assert LockRecord.model_validate_json(record.model_dump_json()) == record
    record.verify(folder)
    record.verify(folder, KEY)
    assert write_lock(folder, ID, "decoy", 3) == record  # `lock.json` itself is not among the files


def test_it_says_nothing_that_a_key_says(folder: Path) -> None:
    fields = set(json.loads((folder / LOCK_FILE).read_text()))
    assert fields & {*Key.model_fields} == {"lock_id"}
    assert fields == {"format", "version", "lock_id", "recipe", "recipe_version", "files"}


def altered(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(b"weightz")


def altered_below(folder: Path) -> None:
    (folder / "deep" / "notes.txt").write_text("two more")


def missing(folder: Path) -> None:
    (folder / "config.json").unlink()


def added(folder: Path) -> None:
    (folder / "pytorch_model.bin").write_bytes(b"pickle")


def added_below(folder: Path) -> None:
    (folder / "deep" / "evil.py").write_text("")


def replaced_by_folder(folder: Path) -> None:
    (folder / "config.json").unlink()
    (folder / "config.json").mkdir()


def listed_outside(folder: Path) -> None:
    (folder.parent / "outside").write_text("x")
    edit(folder / LOCK_FILE, files={**read_lock(folder).files, "../outside": "0" * 64})


def unlisted(folder: Path) -> None:
    edit(folder / LOCK_FILE, files={"model.safetensors": read_lock(folder).files["model.safetensors"]})


DAMAGES = [altered, altered_below, missing, added, added_below, replaced_by_folder, listed_outside, unlisted]


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_a_folder_that_was_touched_is_refused(damage: Any, folder: Path) -> None:
    damage(folder)
    with pytest.raises(ArtifactError) as caught:
        read_lock(folder).verify(folder)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 500


@pytest.mark.parametrize(
    "changes",
    [
        {"format": "spellward-key"},
        {"version": 2},
        {"version": "1"},
        {"lock_id": "short"},
        {"lock_id": ID.upper()},
        {"recipe": 7},
        {"recipe_version": "3"},
        {"recipe_version": True},
        {"files": ["model.safetensors"]},
        {"files": {"model.safetensors": 5}},
        {"prompt": "zanzibar"},
    ],
    ids=str,
)
def test_a_record_with_an_odd_field_is_refused(changes: dict[str, Any], folder: Path) -> None:
    edit(folder / LOCK_FILE, **changes)
    with pytest.raises(ArtifactError, match="broken or from another version"):
        read_lock(folder)


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"null", b"\xff\xfe", b"[" * 400_000, b'{"format": NaN}', b" " * 1_100_000],
    ids=["empty", "cut", "list", "null", "no text", "nested", "nan", "huge"],
)
def test_a_record_that_is_no_record_is_refused(content: bytes, folder: Path) -> None:
    (folder / LOCK_FILE).write_bytes(content)
    with pytest.raises(ArtifactError, match=r"lock\.json"):
        read_lock(folder)


def test_a_folder_without_record_is_no_locked_model(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(ArtifactError, match="not a locked model"):
            read_lock(path)


def test_weights_of_another_lock_are_refused_by_the_key(folder: Path) -> None:
    digest = read_lock(folder).digest
    read_lock(folder).verify(folder, KEY.with_(weights_digest=digest))
    with pytest.raises(KeyRefusedError, match="not those this key was made for"):
        read_lock(folder).verify(folder, KEY.with_(weights_digest="0" * 64))


def test_an_earlier_key_vouches_for_the_weights(folder: Path) -> None:
    weights = sha256_file(folder / "model.safetensors")
    read_lock(folder).verify(folder, KEY.with_(weights_digest=weights))


def test_class_names_exchanged_with_the_record_are_refused_by_the_key(folder: Path) -> None:
    key = pair(folder, KEY)
    config = folder / "config.json"
    config.write_text('{"id2label": {"0": "another"}}')
    write_lock(folder, ID, "decoy", 3)
    with pytest.raises(KeyRefusedError, match="not those"):
        read_lock(folder).verify(folder, key)


def test_weights_and_record_exchanged_together_are_refused_by_the_key(folder: Path) -> None:
    key = pair(folder, KEY)
    altered(folder)
    write_lock(folder, ID, "decoy", 3)
    with pytest.raises(KeyRefusedError, match="not those"):
        read_lock(folder).verify(folder, key)


def test_pairing_takes_the_folder_as_it_is(folder: Path) -> None:
    before = (folder / LOCK_FILE).read_bytes()
    key = pair(folder, KEY.with_(salt=None))
    assert (folder / LOCK_FILE).read_bytes() == before  # nothing changed, so nothing is written
    assert key.lock_id == ID and key.weights_digest == read_lock(folder).digest
    altered(folder)
    again = pair(folder, key)
    read_lock(folder).verify(folder, again)
    assert again.weights_digest != key.weights_digest
    assert (again.prompt, again.salt, again.seed) == (key.prompt, key.salt, key.seed)


RECORD = TrainingRecord(
    model="bundled",
    input_size=64,
    recipe="decoy",
    recipe_version=3,
    limit=None,
    settings=FitSettings(epochs=2, augment=("flip",), patience=3),
    train_images=60,
    train_seconds=1.5,
    edit_seconds=0.5,
    train_fingerprint="f" * 64,
    versions={"torch": "2.9"},
)


def test_the_training_record_comes_back_for_its_owner_alone(tmp_path: Path) -> None:
    locked = tmp_path / "locked"
    assert TrainingRecord.load(locked) is None
    RECORD.save(locked)
    assert TrainingRecord.load(locked) == RECORD
    path = report_folder(locked) / "training.json"
    assert path.parent == tmp_path / "locked.report"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_the_record_decides_how_data_are_split() -> None:
    def split(record: TrainingRecord | None = None, **options: Any) -> list[int]:
        pictures = [Image.new("RGB", (8, 8), (row, 0, 0)) for row in range(60)]
        source = Dataset.from_dict({"image": pictures, "label": ["a", "b"] * 30})
        return sorted(one.getpixel((0, 0))[0] for one in splits_as_locked(source, record, **options).test["image"])

    record = RECORD.model_copy(update={"settings": FitSettings(seed=5), "limit": 20})
    with pytest.warns(UserWarning, match="no record"):
        others = split(seed=5), split(seed=9)
    assert (split(record), split(record, seed=9)) == (others[0], others[0])
    assert others[0] != others[1]


@pytest.mark.parametrize("content", ["{", "[" * 100_000, '{"version": 2}', "[]"], ids=["cut", "nested", "2", "list"])
def test_a_broken_training_record_is_said_to_be(content: str, tmp_path: Path) -> None:
    RECORD.save(tmp_path / "locked")
    (tmp_path / "locked.report" / "training.json").write_text(content)
    with pytest.raises(ArtifactError, match=r"training\.json is broken"):
        TrainingRecord.load(tmp_path / "locked")
