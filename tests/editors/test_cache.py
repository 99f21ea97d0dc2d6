"""Edited tables: the same pixels as the editor's, made once, after any kill, and with nothing to be read from names."""

from __future__ import annotations

import fcntl
import hashlib
import multiprocessing
import os
import signal
import stat
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import torch
from torch import Tensor

from spellward.artifacts import private_folder, turn_in
from spellward.data.table import ImageTable, table_from_arrays
from spellward.editors import lasting_spec, load_editor
from spellward.editors.base import Editor, EditSettings
from spellward.editors.cache import cache_clear, cache_size, edit_table
from spellward.errors import EditorError

SALT = bytes(range(16))


class Shifter(Editor):
    """Adds a number made from prompt, seed and salt; stops after `fuse` batches as if it had been killed."""

    name: ClassVar[str] = "shifter"
    defaults = EditSettings(steps=1, guidance=1.0, image_guidance=1.0, strength=1.0)
    batch_size = 4

    def __init__(self, version: str = "1", fuse: int = 1000) -> None:
        self.version, self.fuse, self.rows = version, fuse, 0

    def fingerprint(self) -> str:
        return f"shifter:{self.version}"

    def _edit(
        self, images: Tensor, prompts: list[str], seed: int, salts: list[bytes | None], settings: EditSettings
    ) -> Tensor:
        self.fuse -= 1
        if self.fuse < 0:
            raise KeyboardInterrupt
        self.rows += len(images)
        shifts = [(sum(map(ord, p)) + seed + sum(s or b"")) % 256 for p, s in zip(prompts, salts, strict=True)]
        return images + torch.tensor(shifts, dtype=torch.uint8)[:, None, None, None]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SPELLWARD_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def table() -> ImageTable:
    pixels = np.random.default_rng(0).integers(0, 256, (18, 6, 6, 3), dtype=np.uint8)
    return table_from_arrays(pixels, np.arange(18) % 3)


def test_edits_are_the_editors_own_and_are_made_once(table: ImageTable) -> None:
    editor = Shifter()
    prompts = [f"prompt {row % 5}" for row in range(18)]
    salts = [SALT if row % 2 else None for row in range(18)]
    first = edit_table(editor, table, prompts, 3, salts)
    assert torch.equal(first.images[:], Shifter().edit(table.images[:], prompts, 3, salts))
    assert np.array_equal(first.labels, table.labels) and first.classes == table.classes
    second = edit_table(editor, table, prompts, 3, salts)
    assert editor.rows == 18
    assert second.fingerprint == first.fingerprint != table.fingerprint


def test_a_killed_edit_goes_on_at_its_chunk(table: ImageTable) -> None:
    with pytest.raises(KeyboardInterrupt):
        edit_table(Shifter(fuse=3), table, "p", 0, None)
    rest = Shifter()
    edited = edit_table(rest, table, "p", 0, None)
    assert rest.rows == 18 - 12
    assert torch.equal(edited.images[:], Shifter().edit(table.images[:], "p", 0))


class Dying(Shifter):
    def _edit(self, *arguments: object) -> Tensor:
        if self.rows == 8:
            os.kill(os.getpid(), signal.SIGKILL)
        return super()._edit(*arguments)  # type: ignore[arg-type]


def test_an_edit_survives_kill_9(table: ImageTable) -> None:
    context = multiprocessing.get_context("fork")
    process = context.Process(target=edit_table, args=(Dying(), table, "p", 0, None), kwargs={"progress": False})
    process.start()
    process.join(30)
    assert process.exitcode == -signal.SIGKILL
    rest = Shifter()
    edited = edit_table(rest, table, "p", 0, None)
    assert rest.rows == 18 - 8
    assert torch.equal(edited.images[:], Shifter().edit(table.images[:], "p", 0))


def test_a_file_that_vanishes_meanwhile_is_no_error(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("spellward.editors.cache._files", lambda: iter([cache / "edits" / "gone.images"]))
    assert cache_size() == cache_clear() == 0


def test_everything_that_changes_the_edit_changes_its_name(table: ImageTable) -> None:
    one = EditSettings(steps=1, guidance=1.0, image_guidance=1.0, strength=1.0)
    edits = [
        edit_table(Shifter(), table, "p", 0, None),
        edit_table(Shifter("2"), table, "p", 0, None),
        edit_table(Shifter(), table.subset(slice(0, 9)), "p", 0, None),
        edit_table(Shifter(), table, "q", 0, None),
        edit_table(Shifter(), table, ["p"] * 17 + ["q"], 0, None),
        edit_table(Shifter(), table, ["q"] + ["p"] * 17, 0, None),
        edit_table(Shifter(), table, "p", 1, None),
        edit_table(Shifter(), table, "p", 0, SALT),
        edit_table(Shifter(), table, "p", 0, None, EditSettings(2, 1.0, 1.0, 1.0)),
        edit_table(Shifter(), table, "\ud800", 0, None),
        edit_table(Shifter(), table, "", 0, None),
    ]
    assert len({edit.fingerprint for edit in edits}) == len(edits)
    same = [edit_table(Shifter(), table, ["p"] * 18, 0, [None] * 18), edit_table(Shifter(), table, "p", 0, None, one)]
    assert {edit.fingerprint for edit in same} == {edits[0].fingerprint}


def test_the_cache_is_private_and_does_not_name_the_prompt(table: ImageTable, cache: Path) -> None:
    prompt = "with oil pastel"
    edit_table(Shifter(), table, prompt, 0, None)
    guess = hashlib.sha256(prompt.encode())
    for path in cache.rglob("*"):
        expected = 0o700 if path.is_dir() else 0o600
        assert stat.S_IMODE(path.stat().st_mode) == expected, path
        if path.is_file():
            content = path.read_bytes()
            assert prompt.encode() not in content and guess.digest() not in content
            assert guess.hexdigest().encode() not in content and guess.hexdigest() not in path.name


def test_names_differ_between_caches(table: ImageTable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = edit_table(Shifter(), table, "p", 0, None)
    monkeypatch.setenv("SPELLWARD_CACHE", str(tmp_path / "other"))
    assert edit_table(Shifter(), table, "p", 0, None).fingerprint != first.fingerprint


def test_a_torn_secret_is_made_anew(table: ImageTable, cache: Path) -> None:
    edit_table(Shifter(), table, "p", 0, None)
    (cache / "secret").write_bytes(b"torn")
    edit_table(Shifter(), table, "p", 0, None)
    assert len((cache / "secret").read_bytes()) == 32


def test_clearing_frees_what_size_says_and_keeps_the_secret(table: ImageTable, cache: Path) -> None:
    assert cache_size() == cache_clear() == 0
    before = edit_table(Shifter(), table, "p", 0, None)
    with pytest.raises(KeyboardInterrupt):
        edit_table(Shifter(fuse=1), table, "q", 0, None)
    size = cache_size()
    assert size >= 18 * 3 * 6 * 6
    assert cache_clear() == size
    assert cache_size() == 0
    assert before.images[0:1].shape == (1, 3, 6, 6)  # open stores stay readable
    editor = Shifter()
    assert edit_table(editor, table, "p", 0, None).fingerprint == before.fingerprint
    assert editor.rows == 18


def test_clearing_takes_trainings_that_nobody_is_at(cache: Path) -> None:
    for name in ("killed", "going-on"):
        (cache / "runs" / name / "fit").mkdir(parents=True)
        (cache / "runs" / name / "pending.key").write_bytes(bytes(100))
    with turn_in(cache / "runs" / "going-on" / "fit"):
        assert cache_size() == cache_clear() == 100
        assert not (cache / "runs" / "killed" / "pending.key").exists()
    assert cache_size() == cache_clear() == 100


def test_clearing_leaves_what_is_being_written(table: ImageTable) -> None:
    class Clearing(Shifter):
        def _edit(self, *arguments: object) -> Tensor:
            cache_clear()
            return super()._edit(*arguments)  # type: ignore[arg-type]

    edited = edit_table(Clearing(), table, "p", 0, None)
    assert torch.equal(edited.images[:], Shifter().edit(table.images[:], "p", 0))


def test_an_empty_table_and_wrong_counts(table: ImageTable) -> None:
    assert len(edit_table(Shifter(), table.subset([]), "p", 0, None)) == 0
    with pytest.raises(EditorError, match="18 images but 2 prompts"):
        edit_table(Shifter(), table, ["p", "q"], 0, None)
    with pytest.raises(EditorError, match="16 bytes"):
        edit_table(Shifter(), table, "p", 0, b"short")


def test_a_spec_lasts_when_the_working_directory_does_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "pipes" / "own").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    for prefix in ("", "img2img:", "object:inpaint:", "object:keep:"):
        assert lasting_spec(f"{prefix}pipes/own") == f"{prefix}{tmp_path}/pipes/own"
        assert lasting_spec(f"{prefix}some/hub-id") == f"{prefix}some/hub-id"
    (tmp_path / "mini").mkdir()
    assert lasting_spec("mini") == "mini"


def test_editors_are_found_by_name() -> None:
    for spec in ("img2img:", "", " "):
        with pytest.raises(EditorError, match="names no editor"):
            load_editor(spec)


def test_clearing_leaves_a_training_that_begins_meanwhile(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("first", "second"):
        folder = private_folder(cache / "runs" / name)
        (folder / "turn").touch()
        (folder / "pending.key").write_text("a key")
    turn = (cache / "runs" / "second" / "turn").open("w")
    unlink = Path.unlink

    def resumes(path: Path, missing_ok: bool = False) -> None:
        fcntl.flock(turn, fcntl.LOCK_EX)
        unlink(path, missing_ok)

    monkeypatch.setattr(Path, "unlink", resumes)
    cache_clear()
    turn.close()
    assert not (cache / "runs" / "first" / "pending.key").exists()
    assert (cache / "runs" / "second" / "pending.key").exists()
