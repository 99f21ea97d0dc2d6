from __future__ import annotations

import contextlib
import errno
import os
import stat
from pathlib import Path

import numpy as np
import pytest

from spellward import artifacts
from spellward.artifacts import (
    atomic_write,
    beside,
    cache_root,
    check_outside,
    check_place,
    named_output,
    private_folder,
    run_name,
    safe_join,
    turn_in,
)
from spellward.errors import ArtifactError, StorageError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    (folder / "deep").mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    return folder


@pytest.mark.parametrize("path", ["", "/etc/passwd", "../x", "a/../../x", "a\\b", "a\0b", "link/x"])
def test_paths_that_leave_their_folder_are_refused(folder: Path, path: str) -> None:
    (folder / "link").symlink_to(folder.parent)
    with pytest.raises(ArtifactError, match="leaves its folder"):
        safe_join(folder, path)


def test_links_that_lead_in_a_circle_are_refused(folder: Path) -> None:
    (folder / "one").symlink_to("two")
    (folder / "two").symlink_to("one")
    for path in ("one", "one/weights"):
        with pytest.raises(ArtifactError, match=r"leads in a circle; the artifact is broken or hostile\."):
            safe_join(folder, path)


def test_paths_inside_their_folder_are_joined(folder: Path) -> None:
    assert safe_join(folder, "deep/weights") == folder / "deep" / "weights"
    assert safe_join(folder, "new.json") == folder / "new.json"


def test_a_place_is_tried_and_nothing_is_left_there(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    check_place(tmp_path / "new" / "deep" / "folder")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    with pytest.raises(StorageError, match="a part of the path is a file"):
        check_place(tmp_path / "file" / "folder")


@pytest.mark.parametrize("number", [errno.ENOENT, errno.EINVAL, errno.EACCES])
def test_whatever_a_file_system_answers_is_a_storage_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def refuse(**_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(artifacts.tempfile, "TemporaryFile", refuse)
    with pytest.raises(StorageError, match=r"Cannot write .*new: .*\. Name another folder"):
        check_place(tmp_path / "new")


@pytest.mark.parametrize("mode", [0o600, 0o644])
def test_a_file_has_its_mode_whatever_the_umask(tmp_path: Path, mode: int) -> None:
    for mask in (0, 0o077):
        before = os.umask(mask)
        try:
            atomic_write(tmp_path / "file", "text", mode)
        finally:
            os.umask(before)
        assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == mode


def test_a_failed_write_keeps_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    atomic_write(tmp_path / "file", b"old")

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageError, match="disk is full"):
        atomic_write(tmp_path / "file", b"new")
    assert (tmp_path / "file").read_bytes() == b"old"
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("number", sorted(artifacts._STORAGE_ERRORS))
def test_storage_errors_name_the_path_and_what_to_do(number: int) -> None:
    with pytest.raises(StorageError, match=r"Cannot write out/x: .*\. .*\."), artifacts.storage_errors("out/x"):
        raise OSError(number, "whatever")


def test_other_errors_pass_through() -> None:
    with pytest.raises(FileNotFoundError), artifacts.storage_errors("out"):
        raise FileNotFoundError(errno.ENOENT, "whatever")


def test_a_path_through_a_file_is_a_storage_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file" / "x", tmp_path / "none" / "x", tmp_path / ("x" * 300)):
        with pytest.raises(StorageError, match="Cannot write"):
            atomic_write(path, "text")


def test_where_nothing_can_be_made_is_a_storage_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the system calls it: /proc says that there is no such file."""
    with pytest.raises(StorageError, match=r"Cannot write /proc/e3\.png: .*\. .*\."):
        atomic_write("/proc/e3.png", b"")
    (tmp_path / "circle").symlink_to("circle")
    (tmp_path / "dangling").symlink_to("nowhere")
    for path in (Path("/proc/x/spellward"), tmp_path / "circle", tmp_path / "circle" / "x", tmp_path / "dangling"):
        with pytest.raises(StorageError, match=f"Cannot write {path}"):
            private_folder(path)


def test_digests_are_those_of_sha256(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"abc")
    expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert artifacts.sha256_file(tmp_path / "file") == expected


@pytest.mark.parametrize(
    "error", [OSError(errno.ENOSPC, "full"), KeyboardInterrupt(), None], ids=["full", "stopped", "done"]
)
def test_a_new_folder_is_there_as_a_whole_or_not_at_all(tmp_path: Path, error: BaseException | None) -> None:
    output, left = tmp_path / "deep" / "locked", tmp_path / "deep" / ".locked.part"
    left.mkdir(parents=True)
    (left / "old").touch()  # of a run that was killed
    expected = contextlib.nullcontext() if error is None else pytest.raises((StorageError, KeyboardInterrupt))
    with expected, artifacts.new_folder(output) as folder:
        folder.mkdir()
        (folder / "file").touch()
        assert not output.exists()
        if error is not None:
            raise error
    found = [path.relative_to(output.parent).as_posix() for path in sorted(output.parent.rglob("*"))]
    assert found == ([] if error is not None else ["locked", "locked/file"])


def test_a_private_folder_is_closed_to_others(tmp_path: Path) -> None:
    path = private_folder(tmp_path / "a" / "b")
    assert stat.S_IMODE(path.stat().st_mode) == 0o700
    path.chmod(0o755)
    assert stat.S_IMODE(private_folder(path).stat().st_mode) == 0o700


def test_a_shared_folder_is_never_closed_to_others(tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o1777)
    (tmp_path / "file").write_text("")
    for path in (shared, tmp_path / "file"):
        with pytest.raises(StorageError, match="not a folder of your own"):
            private_folder(path)
    assert stat.S_IMODE(shared.stat().st_mode) == 0o1777


def test_the_cache_stands_where_the_user_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPELLWARD_CACHE", str(tmp_path / "mine"))
    assert cache_root() == tmp_path / "mine"
    monkeypatch.delenv("SPELLWARD_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_root() == tmp_path / "xdg" / "spellward"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_root() == tmp_path / ".cache" / "spellward"


def test_a_folder_with_other_things_in_it_is_no_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = tmp_path / "project"
    (project / "runs").mkdir(parents=True)
    (project / "train.py").write_text("")
    mode = project.stat().st_mode
    monkeypatch.setenv("SPELLWARD_CACHE", str(project))
    with pytest.raises(StorageError, match=r"holds other things, such as train\.py"):
        cache_root()
    assert project.stat().st_mode == mode and (project / "train.py").exists()
    (tmp_path / "earlier" / "runs").mkdir(parents=True)  # of a version that left no tag
    (tmp_path / "earlier" / ".CACHEDIR.TAG.x").write_text("")  # which another process is writing
    monkeypatch.setenv("SPELLWARD_CACHE", str(tmp_path / "earlier"))
    assert (cache_root() / "CACHEDIR.TAG").is_file()
    (tmp_path / "earlier" / "note.txt").write_text("")
    assert cache_root() == tmp_path / "earlier"


def test_what_fails_during_a_turn_is_not_blamed_on_the_folder(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="the body's") as raised, turn_in(tmp_path):
        raise OSError(errno.ENAMETOOLONG, "the body's")
    assert not isinstance(raised.value, StorageError)
    with turn_in(tmp_path):  # it was given back
        pass


def test_an_output_among_the_data_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for output, data in ((tmp_path / "new", tmp_path), (Path("new"), "."), (Path("a/../new"), str(tmp_path))):
        with pytest.raises(ArtifactError, match="Name an output outside"):
            check_outside(output, data)
    for elsewhere in (tmp_path, tmp_path.parent / "new", tmp_path.with_name(f"{tmp_path.name}-locked")):
        check_outside(elsewhere, tmp_path)
    check_outside(tmp_path / "new", "sample:fashion")
    check_outside(tmp_path / "new", {"train": tmp_path})


def test_an_output_is_a_place_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert named_output("~/new") == tmp_path / "new"
    with pytest.raises(ArtifactError, match="Name an output outside"):
        check_outside(tmp_path / "new", "~")
    for nowhere in (".", "..", "/", "a/..", "~nobody-of-this-name/new"):
        with pytest.raises(ArtifactError, match="Name"):
            named_output(nowhere)


def test_what_stands_beside_a_folder_is_named_after_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "locked" / "inner").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "locked")
    assert beside(Path(), ".report") == tmp_path / "locked.report"
    monkeypatch.chdir("inner")
    assert beside(Path(".."), ".report") == tmp_path / "locked.report"
    assert beside(Path("other"), ".report") == Path("other.report")


def test_numbers_of_numpy_name_the_run_that_plain_ones_do() -> None:
    assert run_name(np.int64(3), {"rate": np.float64(0.5)}, (1,)) == run_name(3, {"rate": 0.5}, [1])
