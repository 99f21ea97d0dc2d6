"""Square uint8 images in one flat file, read with `pread`.

Nothing is mapped, so reading the whole file leaves resident memory as it was. A store under construction is called
NAME.partial; its header counts the records that are safely on disk, and `finish` gives it its name. So a store that
has its name is complete, and one whose writer was killed goes on where the count stands.
"""

from __future__ import annotations

import fcntl
import os
import struct
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from spellward.artifacts import storage_errors
from spellward.errors import ArtifactError, DataError, StorageError

_HEADER = struct.Struct("<8sIIQQ")  # magic, version, side, records in all, records done
_MAGIC = b"SPWSTORE"
_VERSION = 1

Indices = slice | Sequence[int] | np.ndarray | Tensor


class ImageStore:
    """A complete store; `store[indices]` gives torch.uint8 [B, 3, size, size]. Safe to share between threads.

    Attributes:
        path: The file.
        size: Side of the images in pixels.
    """

    def __init__(self, path: Path, descriptor: int, count: int, size: int) -> None:
        self.path = path
        self.size = size
        self._count = count
        self._descriptor = descriptor

    @classmethod
    def open(cls, path: str | Path) -> ImageStore:
        """Opens a finished store.

        Raises:
            ArtifactError: If there is none, or it is foreign or truncated.
        """
        path = Path(path)
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError as error:
            raise ArtifactError(f"There is no image store at {path}. Prepare the images again.") from error
        try:
            count, size, done = _read_header(descriptor, path)
            whole = os.fstat(descriptor).st_size == _HEADER.size + count * 3 * size * size
            if done != count or not whole:
                raise ArtifactError(f"The image store {path} is truncated. Delete it; it will be made again.")
        except BaseException:
            os.close(descriptor)
            raise
        return cls(path, descriptor, count, size)

    @staticmethod
    def create(path: str | Path, count: int, size: int) -> ImageStoreWriter:
        """Starts a store, or goes on with one left unfinished (`writer.done` says how far it came).

        Args:
            path: The file; its folder must exist. If it is complete already, the writer has nothing left to do.
            count: Number of images.
            size: Side of the images in pixels.

        Raises:
            ArtifactError: If what is there was made for another count or size.
            StorageError: If the disk is full or cannot be written.
        """
        return ImageStoreWriter(Path(path), count, size)

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, indices: Indices) -> Tensor:
        rows = row_numbers(indices, self._count)
        images = np.empty((len(rows), 3, self.size, self.size), dtype=np.uint8)
        # Neighbours are read in one go: a run ends where the next row is not the following one.
        ends = np.flatnonzero(np.diff(rows) != 1) + 1
        for run in np.split(np.arange(len(rows)), ends):
            if len(run):
                self._read(images[run[0] : run[-1] + 1], int(rows[run[0]]))
        return torch.from_numpy(images)

    def _read(self, target: np.ndarray, row: int) -> None:
        buffer = _bytes_of(target)
        offset = _HEADER.size + row * 3 * self.size * self.size
        while len(buffer):
            read = os.preadv(self._descriptor, [buffer], offset)
            if read == 0:
                raise ArtifactError(f"The image store {self.path} was cut short. Delete it; it will be made again.")
            buffer, offset = buffer[read:], offset + read

    def __reduce__(self) -> tuple[Any, ...]:
        return ImageStore.open, (self.path,)

    def __del__(self) -> None:
        if getattr(self, "_descriptor", -1) >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


class ImageStoreWriter:
    """Appends images to a store; holds a lock, so a second writer of the same store waits for the first.

    Attributes:
        done: Number of images safely on disk.
    """

    def __init__(self, path: Path, count: int, size: int) -> None:
        if count < 0 or size < 1:
            raise DataError(f"A store needs a count of at least 0 and a side of at least 1; got {count} and {size}.")
        self.path, self.count, self.size, self.done = path, count, size, 0
        self._partial = path.with_name(path.name + ".partial")
        self._descriptor = self._lock()
        if self._descriptor < 0:
            store = ImageStore.open(path)
            found = (len(store), store.size, len(store))
        elif os.fstat(self._descriptor).st_size < _HEADER.size:
            try:
                with storage_errors(self._partial):
                    self._mark(0)
            except StorageError:
                self.close()
                raise
            found = (count, size, 0)
        else:
            try:
                found = _read_header(self._descriptor, self._partial)
            except BaseException:
                self.close()  # or else the next one in this process would wait for it
                raise
        if found[:2] != (count, size) or found[2] > count:
            self.close()
            raise ArtifactError(f"{path} holds {found[0]} images of side {found[1]}, not {count} of {size}. Delete it.")
        self.done = found[2]

    def append(self, images: Tensor | np.ndarray) -> None:
        """Writes uint8 [B, 3, size, size] and returns once they are on disk.

        Raises:
            DataError: For another dtype or shape, or more images than announced.
            StorageError: If the disk is full; what was appended before is kept.
        """
        batch = images.cpu().numpy() if isinstance(images, Tensor) else images
        if batch.dtype != np.uint8 or batch.ndim != 4 or batch.shape[1:] != (3, self.size, self.size):
            raise DataError(f"Expected uint8 [B, 3, {self.size}, {self.size}], got {batch.dtype} {list(batch.shape)}.")
        if self.done + len(batch) > self.count:
            raise DataError(f"The store {self.path} takes {self.count} images; {self.done + len(batch)} were given.")
        if not len(batch):
            return
        buffer = _bytes_of(np.ascontiguousarray(batch))
        offset = _HEADER.size + self.done * 3 * self.size * self.size
        with storage_errors(self._partial):
            while len(buffer):
                written = os.pwrite(self._descriptor, buffer, offset)
                buffer, offset = buffer[written:], offset + written
            os.fsync(self._descriptor)
            self._mark(self.done + len(batch))
        self.done += len(batch)

    def finish(self) -> ImageStore:
        """Gives the store its name and opens it.

        Raises:
            DataError: If images are missing.
        """
        if self.done != self.count:
            raise DataError(f"The store {self.path} has {self.done} of {self.count} images. Append the rest first.")
        if self._descriptor >= 0:
            with storage_errors(self.path):
                os.ftruncate(self._descriptor, _HEADER.size + self.count * 3 * self.size * self.size)
                os.fsync(self._descriptor)
                self._partial.replace(self.path)
        self.close()
        return ImageStore.open(self.path)

    def close(self) -> None:
        """Releases the lock; what was appended stays."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _lock(self) -> int:
        """Locks the partial file; -1 if the store is complete."""
        while not self.path.exists():
            with storage_errors(self._partial):
                descriptor = os.open(self._partial, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
                fcntl.flock(descriptor, fcntl.LOCK_EX)
            # While we waited the other writer may have finished, and our descriptor be that of the finished file.
            try:
                if not self.path.exists() and os.path.samestat(os.fstat(descriptor), self._partial.stat()):
                    return descriptor
            except FileNotFoundError:
                pass
            os.close(descriptor)
        return -1

    def _mark(self, done: int) -> None:
        os.pwrite(self._descriptor, _HEADER.pack(_MAGIC, _VERSION, self.size, self.count, done), 0)


def row_numbers(indices: Indices, count: int) -> np.ndarray:
    """Slice, booleans or integers (negative ones count from the end) -> int64 row numbers in [0, count).

    Raises:
        IndexError: For a row that is not there, or something that is not a list of rows.
    """
    if isinstance(indices, slice):
        return np.arange(*indices.indices(count), dtype=np.int64)
    rows = np.asarray(indices)
    if rows.ndim == 1 and rows.dtype == bool and len(rows) == count:
        return np.flatnonzero(rows)
    if rows.ndim != 1 or (len(rows) and rows.dtype.kind not in "iu"):
        raise IndexError(f"Expected a slice or a list of row numbers, got {indices!r:.80}.")
    rows = rows.astype(np.int64)
    rows = np.where(rows < 0, rows + count, rows)
    if len(rows) and (rows.min() < 0 or rows.max() >= count):
        raise IndexError(f"A row is outside 0 to {count - 1}.")
    return rows


def _bytes_of(array: np.ndarray) -> memoryview:
    view: Any = array  # numpy arrays have the buffer protocol, though their type does not say so before Python 3.12
    return memoryview(view).cast("B")


def _read_header(descriptor: int, path: Path) -> tuple[int, int, int]:
    raw = os.pread(descriptor, _HEADER.size, 0)
    if len(raw) < _HEADER.size or not raw.startswith(_MAGIC):
        raise ArtifactError(f"{path} is not an image store. Delete it; it will be made again.")
    _, version, size, count, done = _HEADER.unpack(raw)
    if version != _VERSION:
        raise ArtifactError(f"The image store {path} has version {version}, not {_VERSION}. Delete it.")
    return count, size, done
