"""Files and folders that Spellward writes: atomic, private where they must be, one process at a time."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path, PurePosixPath
from typing import Any

from spellward.errors import ArtifactError, StorageError

_CACHE_TAG = "CACHEDIR.TAG"
_TAG_TEXT = "Signature: 8a477f597d28d172789f06e886806bc55\n# The cache of Spellward.\n"
_CACHE_FOLDERS = {"attacks", "edits", "parquet", "prepared", "public", "runs", "secret"}
CACHE_VARIABLE = "SPELLWARD_CACHE"
_HASH_BYTES = 1 << 20
_TURN = "turn"
_KEPT = "What was finished before is kept; run again."
_STORAGE_ERRORS = {
    errno.ENOSPC: ("the disk is full", f"Free some space. {_KEPT}"),
    errno.EDQUOT: ("the disk quota is used up", f"Free some space. {_KEPT}"),
    errno.EFBIG: ("the file would be too large for this disk", f"Use another disk. {_KEPT}"),
    errno.EIO: ("the disk does not answer as it should", f"Use another disk. {_KEPT}"),
    errno.EROFS: ("the file system is read-only", "Name another folder."),
    errno.EACCES: ("permission is denied", "Name another folder, or change its permissions."),
    errno.EPERM: ("permission is denied", "Name another folder, or change its permissions."),
    errno.ENOTDIR: ("a part of the path is a file, not a folder", "Name another folder."),
    errno.EISDIR: ("it is a folder", "Name a file."),
    errno.EBUSY: ("it is a folder, or in use", "Name a file."),
    errno.ENAMETOOLONG: ("the name is too long", "Use a shorter one."),
}


@contextlib.contextmanager
def storage_errors(path: str | Path) -> Iterator[None]:
    """Turns a full or read-only disk into one or two sentences.

    Raises:
        StorageError: For an OSError that says that nothing can be written at `path`.
    """
    try:
        yield
    except OSError as error:
        reason, advice = _STORAGE_ERRORS.get(error.errno or 0, ("", ""))
        if not reason:
            raise
        raise StorageError(f"Cannot write {path}: {reason}. {advice}") from error


@contextlib.contextmanager
def write_errors(path: str | Path) -> Iterator[None]:
    """As `storage_errors`, around what does nothing but write: there any OSError says that `path` cannot be written.

    File systems that are none, such as /proc, answer in ways of their own: that there is no such file, say.

    Raises:
        StorageError: For any OSError.
    """
    try:
        with storage_errors(path):
            yield
    except OSError as error:
        reason = (error.strerror or "nothing can be made there").lower()
        raise StorageError(f"Cannot write {path}: {reason}. Name another folder.") from error


def atomic_write(path: str | Path, content: bytes | str, mode: int = 0o644) -> None:
    """Writes a file so that a kill or a full disk leaves the old one or the new one, never a part.

    Args:
        path: The file; its folder must exist.
        content: Text is written as UTF-8.
        mode: Permissions, whatever the umask says; set before there is any content.

    Raises:
        StorageError: If the disk is full, cannot be written, or the folder does not exist.
    """
    path = Path(path)
    raw = content.encode("utf-8") if isinstance(content, str) else content
    with write_errors(path):
        if not path.parent.exists():
            raise StorageError(
                f"Cannot write {path}: the folder {path.parent} does not exist. Make it, or name another."
            )
        descriptor, scratch = tempfile.mkstemp(prefix=f".{path.name[:40]}.", dir=path.parent)
        try:
            with os.fdopen(descriptor, "wb") as file:
                os.fchmod(file.fileno(), mode)
                file.write(raw)
                file.flush()
                os.fsync(file.fileno())
            Path(scratch).replace(path)
        except BaseException:
            Path(scratch).unlink(missing_ok=True)
            raise


def sha256_file(path: str | Path) -> str:
    """Digest of a file, hexadecimal, read in pieces."""
    digest = hashlib.sha256()
    with Path(path).open("rb") as file:
        while block := file.read(_HASH_BYTES):
            digest.update(block)
    return digest.hexdigest()


def private_folder(path: str | Path) -> Path:
    """Makes a folder that its owner alone can enter (mode 0700); an existing one is closed to others.

    Raises:
        StorageError: If it cannot be made, or exists as a file or as a folder that many share, such as /tmp.
    """
    path = Path(path)
    with write_errors(path):
        if path.exists():
            status = path.stat()
            shared = status.st_mode & stat.S_ISVTX or path.resolve() == Path(path.anchor or "/")
            if not path.is_dir() or shared or status.st_uid != os.getuid():
                raise StorageError(f"{path} is not a folder of your own. Name another, which will be made private.")
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.chmod(0o700)
    return path


@contextlib.contextmanager
def new_folder(output: Path) -> Iterator[Path]:
    """Has a folder filled beside the place where it then appears: all of it or nothing, and no part is left over.

    Yields:
        A path to make the folder at; what a kill left there is gone.

    Raises:
        StorageError: For a full or read-only disk.
    """
    scratch = output.with_name(f".{output.name}.part")
    with storage_errors(output):
        output.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(scratch, ignore_errors=True)
        try:
            yield scratch
            scratch.replace(output)
        finally:  # what a full disk leaves would only fill it
            shutil.rmtree(scratch, ignore_errors=True)


@contextlib.contextmanager
def turn_in(folder: Path) -> Iterator[None]:
    """Has one process at a time at a folder; the others wait."""
    with contextlib.ExitStack() as stack:
        with storage_errors(folder):  # and not what happens during the turn
            file = stack.enter_context((folder / _TURN).open("w"))
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def in_use(folder: Path) -> bool:
    """Whether a process has its turn in a folder, or in one below it."""
    for path in folder.rglob(_TURN):
        with contextlib.suppress(FileNotFoundError), path.open("rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
    return False


def named_output(given: str | Path) -> Path:
    """Where an output is to go: `~` stands for the user's home, as it does for data.

    Raises:
        ArtifactError: If that is no place of its own, such as the folder one is in.
    """
    try:
        output = Path(given).expanduser()
    except RuntimeError as error:
        raise ArtifactError(f"{given} names the home of a user that there is none of. Name another output.") from error
    if output.name in ("", ".."):
        raise ArtifactError(f"{given} cannot be a new folder. Name one.")
    return output


def beside(path: Path, suffix: str) -> Path:
    """PATH + SUFFIX, beside it; also of the folder one is in, which `.` says no name of."""
    named = path.resolve() if path.name in ("", "..") else path
    return named.with_name(named.name + suffix)


def check_place(path: Path) -> None:
    """Finds out now, and not after hours of work, whether a file or folder can be made at a path; makes nothing.

    Raises:
        StorageError: If not.
    """
    with write_errors(path):
        nearest = next(parent for parent in path.absolute().parents if parent.exists())
        tempfile.TemporaryFile(dir=nearest).close()


def check_outside(output: Path, data: object) -> None:
    """Refuses an output inside the folder of data that it is made from: read again, it would count as data.

    Raises:
        ArtifactError: If it lies there.
    """
    if not isinstance(data, (str, Path)):
        return
    with contextlib.suppress(OSError, RuntimeError):  # a name of the Hub may be no path at all
        folder = Path(data).expanduser()
        if folder.is_dir() and folder.resolve() in output.resolve().parents:
            raise ArtifactError(f"{output} lies in {data} and would be read as data next time. Name an output outside.")


def cache_root() -> Path:
    """The private cache folder: $SPELLWARD_CACHE, or `spellward` below the user's cache folder.

    Raises:
        StorageError: If it cannot be made, or holds what is not a cache's, which `cache_clear` would delete.
    """
    named = os.environ.get(CACHE_VARIABLE)
    if named:
        folder = Path(named)
        with write_errors(folder):
            if folder.is_dir() and not (folder / _CACHE_TAG).exists():
                found = {path.name for path in folder.iterdir()} - _CACHE_FOLDERS
                # A hidden one may be the tag that another process is just writing.
                if strange := sorted(name for name in found if not name.startswith(".")):
                    raise StorageError(f"{folder} holds other things, such as {strange[0]}. Name an empty folder.")
            private_folder(folder)
            if not (folder / _CACHE_TAG).exists():
                atomic_write(folder / _CACHE_TAG, _TAG_TEXT, mode=0o600)
        return folder
    base = os.environ.get("XDG_CACHE_HOME")
    return private_folder((Path(base) if base else Path.home() / ".cache") / "spellward")


def run_name(*parts: Any) -> str:
    """A short name for a run: the same parts give the same name."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=_plain).encode()).hexdigest()[:24]


def _plain(value: Any) -> Any:
    """What JSON has no form for: numbers of NumPy, and whatever can be listed."""
    return value.item() if hasattr(value, "item") else list(value)


def versions() -> dict[str, str]:
    """Versions of what decides a result."""
    return {name: version(name) for name in ("spellward", "torch", "transformers", "timm", "numpy", "scipy")}


def safe_join(folder: Path, relative: str) -> Path:
    """A path inside a folder.

    Raises:
        ArtifactError: If `relative` is absolute or leaves the folder, also by a symbolic link, or if links lead in a
            circle there.
    """
    pure = PurePosixPath(relative)
    odd = "\\" in relative or "\0" in relative or any("\ud800" <= letter <= "\udfff" for letter in relative)
    if not relative or pure.is_absolute() or ".." in pure.parts or odd:
        raise ArtifactError(f"The path {relative[:200]!r} leaves its folder; the artifact is broken or hostile.")
    path = folder / pure
    try:
        path.stat()
    except OSError as error:  # what is not there yet is no matter here
        if error.errno == errno.ELOOP:
            raise ArtifactError(
                f"The path {relative!r} is a link that leads in a circle; the artifact is broken or hostile."
            ) from error
        if error.errno == errno.ENAMETOOLONG:
            raise ArtifactError(
                f"The path {relative[:80]!r}... is too long; the artifact is broken or hostile."
            ) from error
    if not path.resolve().is_relative_to(folder.resolve()):
        raise ArtifactError(f"The path {relative!r} leaves its folder by a link; the artifact is broken or hostile.")
    return path
