"""Images, their labels and the names of the classes: what models, editors and attacks work on."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol

import numpy as np
import torch
from torch import Tensor

from spellward.data.store import Indices, row_numbers
from spellward.errors import DataError

_HASH_ROWS = 256


class Images(Protocol):
    """Square images that are read by row: an ImageStore, a tensor in memory, or a view of either."""

    size: int

    def __len__(self) -> int: ...

    def __getitem__(self, indices: Indices, /) -> Tensor:
        """uint8 [B, 3, size, size]."""


class MemoryImages:
    """uint8 [N, 3, S, S] in memory."""

    def __init__(self, pixels: Tensor) -> None:
        self.pixels = pixels
        self.size = int(pixels.shape[-1])

    def __len__(self) -> int:
        return len(self.pixels)

    def __getitem__(self, indices: Indices) -> Tensor:
        return self.pixels[torch.from_numpy(row_numbers(indices, len(self)))]


class ImageView:
    """Some rows of other images, in a given order; nothing is copied."""

    def __init__(self, base: Images, rows: np.ndarray) -> None:
        self.base, self.rows, self.size = base, rows, base.size

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, indices: Indices) -> Tensor:
        return self.base[self.rows[row_numbers(indices, len(self))]]


def view_of(images: Images, rows: np.ndarray) -> ImageView:
    """The given rows, int64; a view of a view looks straight at what is below."""
    if isinstance(images, ImageView):
        return ImageView(images.base, images.rows[rows])
    return ImageView(images, rows)


@dataclass(frozen=True, eq=False)
class ImageTable:
    """Images with labels.

    Attributes:
        images: `images[rows]` gives uint8 [B, 3, S, S]; `images.size` is S.
        labels: int64 [N], each in [0, K).
        classes: K names.
        fingerprint: sha256 of pixels, labels and classes (of a subset: of its parent's fingerprint and its rows).
    """

    images: Images
    labels: np.ndarray
    classes: tuple[str, ...]
    fingerprint: str
    task: ClassVar[str] = "classification"

    def __len__(self) -> int:
        return len(self.labels)

    def subset(self, indices: Indices) -> ImageTable:
        """The given rows in the given order, as a view."""
        rows = row_numbers(indices, len(self))
        if np.array_equal(rows, np.arange(len(self))):
            return self
        digest = hashlib.sha256(self.fingerprint.encode() + rows.astype("<i8").tobytes()).hexdigest()
        return ImageTable(view_of(self.images, rows), self.labels[rows], self.classes, digest)

    def truth(self, rows: Indices) -> Tensor:
        """What a model should say of the given rows: int64 [B], their labels, each in [0, K)."""
        return torch.from_numpy(self.labels[row_numbers(rows, len(self))])

    def batches(self, size: int) -> Iterator[tuple[Tensor, np.ndarray]]:
        """Yields (uint8 [B, 3, S, S], int64 [B]) in order; the last batch may be smaller."""
        for start in range(0, len(self), size):
            rows = slice(start, min(start + size, len(self)))
            yield self.images[rows], self.labels[rows]


def table_from_arrays(
    images: np.ndarray | Tensor, labels: Sequence[int] | np.ndarray | Tensor, classes: Sequence[str] | None = None
) -> ImageTable:
    """Wraps square images in memory.

    Args:
        images: uint8 [N, S, S, 3], [N, S, S] (grey) or [N, 3, S, S].
        labels: Integers [N] in [0, K).
        classes: K names; "0", "1", ... if not given.

    Raises:
        DataError: For another dtype or shape, or labels that do not fit.
    """
    pixels = channels_first(np.asarray(images))
    if pixels.shape[2] != pixels.shape[3]:
        raise DataError(f"A table holds square images, got {pixels.shape[2]} x {pixels.shape[3]}. Use load_splits.")
    numbers = np.asarray(labels)
    if numbers.ndim != 1 or len(numbers) != len(pixels) or (len(numbers) and numbers.dtype.kind not in "iu"):
        raise DataError(f"Expected {len(pixels)} integer labels, got {numbers.dtype} {list(numbers.shape)}.")
    numbers = numbers.astype(np.int64)
    count = int(numbers.max()) + 1 if len(numbers) else 0
    names = tuple(classes) if classes is not None else tuple(str(label) for label in range(count))
    if len(numbers) and (numbers.min() < 0 or count > len(names)):
        raise DataError(f"Labels go from {numbers.min()} to {count - 1}, but there are {len(names)} classes.")
    store = MemoryImages(torch.from_numpy(np.ascontiguousarray(pixels)))
    return ImageTable(store, numbers, names, fingerprint_of(store, numbers, names))


def channels_first(images: np.ndarray) -> np.ndarray:
    """uint8 [N, H, W, 3], [N, 3, H, W] or, of greys, [N, H, W], [N, H, W, 1], [N, 1, H, W] -> [N, 3, H, W].

    Raises:
        DataError: For any other dtype or shape.
    """
    if images.dtype != np.uint8:
        raise DataError(f"Expected images of dtype uint8 (0 to 255), got {images.dtype}. Scale and convert them.")
    if images.ndim == 3:
        return np.repeat(images[:, None], 3, axis=1)
    if images.ndim == 4 and images.shape[3] == 3:
        return images.transpose(0, 3, 1, 2)
    if images.ndim == 4 and images.shape[1] == 1:
        return np.repeat(images, 3, axis=1)
    if images.ndim == 4 and images.shape[3] == 1:
        return np.repeat(images.transpose(0, 3, 1, 2), 3, axis=1)
    if images.ndim == 4 and images.shape[1] == 3:
        return images
    raise DataError(f"Expected images [N, H, W, 3], [N, H, W] or [N, 3, H, W], got {list(images.shape)}.")


def fingerprint_of(images: Images, labels: np.ndarray, classes: Sequence[str]) -> str:
    """sha256 (hex) over shape, class names, labels and pixels, read a few rows at a time."""
    digest = hashlib.sha256(f"{len(images)} {images.size} {len(classes)}\n".encode())
    for name in classes:
        digest.update(hashlib.sha256(name.encode()).digest())
    digest.update(labels.astype("<i8").tobytes())
    for start in range(0, len(images), _HASH_ROWS):
        digest.update(images[start : start + _HASH_ROWS].numpy().tobytes())
    return digest.hexdigest()
