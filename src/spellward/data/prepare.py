"""Decodes a Dataset once into a private store of square uint8 images.

The store is found by what the images are (their encoded bytes and labels), the size, and the way they are decoded. A
run that was killed goes on with the next run; a second run at the same time waits for the first and shares its store.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import PIL
from datasets import Dataset

from spellward.artifacts import atomic_write, cache_root, private_folder
from spellward.data.cleaning import WORKERS, Encoded, encoded_images
from spellward.data.images import decode_image, square
from spellward.data.mask_images import decode_mask
from spellward.data.masks import with_masks
from spellward.data.progress import progress_bar
from spellward.data.splits import INSTANCES, MASKS, labels_of
from spellward.data.store import ImageStore
from spellward.data.table import ImageTable, fingerprint_of
from spellward.errors import DataError

ALGORITHM = f"squash-bicubic-1 pillow-{PIL.__version__}"
MASK_ALGORITHM = f"squash-nearest-1 pillow-{PIL.__version__}"
MAX_SIZE = 4096
_SEVERAL = {"image": "images", MASKS: "masks", INSTANCES: "instances"}


def prepare(dataset: Dataset, size: int, cache_dir: str | Path | None = None, progress: bool = True) -> ImageTable:
    """Decodes, turns upright (EXIF), converts to RGB and squashes every image to size x size (bicubic, antialiased).

    Args:
        dataset: Columns `image` (datasets.Image), `label` (ClassLabel) and, for segmentation, `mask` or `instances`, as
            `load_splits` gives them. Masks are squashed to the same square by nearest neighbour.
        size: Side in pixels, 2 to 4096.
        cache_dir: The store is kept in the private folder `prepared` in here; the user's cache if not given.
        progress: Whether to show a bar on a terminal.

    Returns:
        A table that reads uint8 [B, 3, size, size] from disk, with masks a `MaskTable` or `InstanceTable` that reads
        those from disk too; memory does not grow with the number of images.

    Raises:
        DataError: For an image or mask that cannot be decoded; the message names it.
        StorageError: If the disk is full; images that were decoded are kept.
    """
    if not 2 <= size <= MAX_SIZE:
        raise DataError(f"The size of prepared images is 2 to {MAX_SIZE} pixels; got {size}.")
    labels = labels_of(dataset)
    classes = tuple(dataset.features["label"].names)
    if len(labels) and labels.min() < 0:
        raise DataError("Some images have no label. Read the data with load_splits, which leaves them out.")
    folder = private_folder((Path(cache_dir) if cache_dir is not None else cache_root()) / "prepared")

    def stored(column: str, algorithm: str, decode: Callable[[Encoded, int], np.ndarray]) -> tuple[ImageStore, str]:
        digest = _content_digest(dataset, column, [algorithm, size, len(dataset), classes], labels)
        left = f"Preparing {_SEVERAL[column]} at {size} px"
        store = _store(dataset, column, folder / f"{digest}.images", size, decode, left if progress else None)
        return store, _fingerprint(store, labels, classes)

    images, fingerprint = stored("image", ALGORITHM, _pixels)
    table = ImageTable(images, labels, classes, fingerprint)
    column = next((name for name in (MASKS, INSTANCES) if name in dataset.column_names), None)
    if column is None:
        return table
    masks, mask_fingerprint = stored(column, MASK_ALGORITHM, _mask)
    return with_masks(table, masks, mask_fingerprint, column == INSTANCES)


def _store(
    dataset: Dataset,
    column: str,
    path: Path,
    size: int,
    decode: Callable[[Encoded, int], np.ndarray],
    title: str | None,
) -> ImageStore:
    with ImageStore.create(path, len(dataset), size) as writer, ThreadPoolExecutor(WORKERS) as threads:
        left = len(dataset) - writer.done
        with progress_bar(title or "", left, title is not None) as advance:
            for images in encoded_images(dataset, start=writer.done, column=column):
                writer.append(np.stack(list(threads.map(lambda image: decode(image, size), images))))
                advance(len(images))
        return writer.finish()


def _pixels(image: Encoded, size: int) -> np.ndarray:
    return square(decode_image(image.source, image.name), size)


def _mask(mask: Encoded, size: int) -> np.ndarray:
    return decode_mask(mask.source, mask.name, size)


def _content_digest(dataset: Dataset, column: str, facts: list[Any], labels: np.ndarray) -> str:
    digest = hashlib.sha256(json.dumps(facts).encode())
    digest.update(labels.astype("<i8").tobytes())
    with ThreadPoolExecutor(WORKERS) as threads:
        for images in encoded_images(dataset, column=column):
            for one in threads.map(Encoded.digest, images):
                digest.update(one)
    return digest.hexdigest()


def _fingerprint(store: ImageStore, labels: np.ndarray, classes: tuple[str, ...]) -> str:
    """The table's fingerprint, kept beside the store so that its pixels are hashed only once."""
    path = store.path.with_suffix(".sha256")
    if path.exists():
        kept = path.read_text()
        if len(kept) == 64:
            return kept
    fingerprint = fingerprint_of(store, labels, classes)
    atomic_write(path, fingerprint, mode=0o600)
    return fingerprint
