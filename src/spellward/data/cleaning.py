"""Judges every image by its header and finds exact duplicates, before anything is trained on them."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from datasets import Dataset, Image

from spellward.data.images import check_header
from spellward.data.progress import progress_bar
from spellward.data.splits import labels_of
from spellward.errors import DataError

CHUNK = 64
WORKERS = min(4, os.cpu_count() or 1)
"""Threads that decode; few, because one image of 100 million pixels takes up to a gigabyte while it is decoded."""
_SHOWN = 5
_KINDS = {True: "labels", False: "masks"}


class Encoded(NamedTuple):
    """One image as it is stored: a file or bytes, and what to call it in messages."""

    source: str | bytes
    name: str
    is_file: bool

    def digest(self) -> bytes:
        """sha256 of the stored bytes."""
        if isinstance(self.source, bytes):
            return hashlib.sha256(self.source).digest()
        try:
            with Path(self.source).open("rb") as file:
                return hashlib.file_digest(file, "sha256").digest()
        except OSError as error:
            raise DataError(f"{self.name} cannot be read ({error.strerror}). Restore or remove it.") from error


def encoded_images(
    dataset: Dataset, name: str = "data", start: int = 0, column: str = "image"
) -> Iterator[list[Encoded]]:
    """Yields the stored images of a column from row `start` on in order, `CHUNK` at a time, undecoded."""
    raw = dataset.with_format(None).select_columns([column]).cast_column(column, Image(decode=False))
    for first in range(start, len(raw), CHUNK):
        values = raw[first : first + CHUNK][column]
        yield [_encoded(value, f"{name} row {first + offset}") for offset, value in enumerate(values)]


def clean(parts: Mapping[str, Dataset]) -> tuple[dict[str, Dataset], list[str], list[str]]:
    """Refuses images that cannot be used, and keeps one of each set of exact duplicates.

    Of duplicates in several splits the one in test stays, then the one in validation: so nothing is trained on that is
    judged by later.

    Returns:
        The splits, a sentence for each duplicate left out, and warnings.

    Raises:
        DataError: Naming the files that are broken, tiny or huge, two equal files with different labels or masks, or a
            class whose training images were all left out.
    """
    seen: dict[bytes, tuple[Encoded, bytes, str, str, int]] = {}
    keep: dict[str, list[int]] = {split: [] for split in parts}
    dropped: set[tuple[str, int]] = set()
    problems: list[str] = []
    duplicates: list[str] = []
    warnings: list[str] = []
    with (
        progress_bar("Checking images", sum(map(len, parts.values()))) as advance,
        ThreadPoolExecutor(WORKERS) as threads,
    ):
        for split in sorted(parts, key=("test", "validation", "train").index):
            truths = _truths(parts[split], split)
            row = -1
            for images in encoded_images(parts[split], split):
                for image, result in zip(images, threads.map(_judge, images), strict=True):
                    row += 1
                    truth, said = next(truths)
                    if isinstance(result, str):
                        problems.append(result)
                        continue
                    # The first copy is remembered without its bytes.
                    mine = (image._replace(source=""), truth, said, split, row)
                    first, other, other_said, where, place = seen.setdefault(result, mine)
                    if (where, place) == (split, row):
                        keep[split].append(row)
                    elif truth == other:
                        duplicates.append(f"{image.name} is the same image as {first.name}: left out.")
                    elif image.is_file:
                        problems.append(
                            f"{first.name}{other_said} and {image.name}{said} are the same image "
                            f"with different {_KINDS[bool(said)]}. Remove the wrong one."
                        )
                    else:
                        dropped.add((where, place))
                        warnings.append(
                            f"{first.name} and {image.name} are the same image with different {_KINDS[bool(said)]}: "
                            f"both left out."
                        )
                advance(len(images))
    if problems:
        raise problems_error(problems, "images")
    cleaned = {}
    for split, dataset in parts.items():
        rows = [row for row in keep[split] if (split, row) not in dropped]
        cleaned[split] = dataset if len(rows) == len(dataset) else dataset.select(rows)
    if "train" in parts:
        _check_classes_left(parts, cleaned["train"], conflicts=bool(dropped))
    return cleaned, duplicates, warnings


def _check_classes_left(parts: Mapping[str, Dataset], left: Dataset, conflicts: bool) -> None:
    if "mask" in left.column_names:  # a class that covers most of no mask may still be in many
        return
    names = left.features["label"].names
    before, after = (np.bincount(labels_of(part), minlength=len(names)) for part in (parts["train"], left))
    for label in np.flatnonzero((before > 0) & (after == 0)):
        others = " or ".join(split for split in parts if split != "train")
        reasons = [f"copies of images in {others}"] if others else []
        reasons += ["copies of images with other labels"] if conflicts else []
        raise DataError(
            f"Class {names[label]!r} has no training images left: all {before[label]} were left out as "
            f"{' or '.join(reasons)}. Add others, or remove the copies."
        )


def problems_error(problems: list[str], what: str) -> DataError:
    """One error that shows the first problems and counts the rest."""
    more = f" (and {len(problems) - _SHOWN} more {what})" if len(problems) > _SHOWN else ""
    return DataError("\n".join(problems[:_SHOWN]) + more)


def _truths(dataset: Dataset, split: str) -> Iterator[tuple[bytes, str]]:
    """For every row what must be equal in duplicates, and the label as messages show it; of masks nothing is shown."""
    if "mask" in dataset.column_names:
        for masks in encoded_images(dataset, split, column="mask"):
            yield from ((mask.digest(), "") for mask in masks)
        return
    names = dataset.features["label"].names
    for label in labels_of(dataset):
        yield label.tobytes(), f" ({names[label]!r})"


def _judge(image: Encoded) -> bytes | str:
    """The digest of an image, or what is wrong with it."""
    try:
        check_header(image.source, image.name)
        return image.digest()
    except DataError as error:
        return str(error)


def _encoded(value: dict[str, Any] | None, name: str) -> Encoded:
    if value is None or (value["bytes"] is None and value["path"] is None):
        return Encoded(b"", name, False)
    if value["bytes"] is None:
        return Encoded(value["path"], value["path"], True)
    path = Path(value["path"] or "").name
    return Encoded(value["bytes"], f"{name} ({path})" if path else name, False)
