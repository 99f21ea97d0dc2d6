"""Seeded stratified splits and caps.

Each class is shuffled by its own generator, seeded with the seed and the class number, so adding a class moves no image
of another one, and a smaller cap keeps a part of what a larger one keeps.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Literal, TypeAlias

import numpy as np
from datasets import Dataset

from spellward.errors import DataError

Task: TypeAlias = Literal["classification", "segmentation", "instances"]
MASKS, INSTANCES = "mask", "instances"
"""Names of the column of masks: with classes alone, or with objects of one class told apart."""
_TOLD = 5


@dataclass(frozen=True)
class DataReport:
    """What was left out or looked odd when the data were read.

    Attributes:
        duplicates: One sentence for each image left out because its exact bytes occur elsewhere.
        ignored: Files or splits that are not used.
        warnings: Anything else the owner should know.
    """

    duplicates: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    def notes(self) -> Iterator[str]:
        """Yields what the owner should hear of it, in a few sentences; hidden files are not worth one."""
        yield from self.warnings[:_TOLD]
        if len(self.warnings) > _TOLD:
            yield f"There are {len(self.warnings) - _TOLD} more such warnings, in `load_splits(...).report`."
        if self.duplicates:
            yield f"Left out as copies of other images: {len(self.duplicates)}. The first: {self.duplicates[0]}"
        strays = [note for note in self.ignored if not PurePath(note.partition(":")[0]).name.startswith(".")]
        if strays:
            yield f"Found beside the images and not read: {len(strays)}. The first: {strays[0]}."


@dataclass(frozen=True)
class Splits:
    """Three disjoint Datasets with the columns `image` (datasets.Image) and `label` (ClassLabel).

    For segmentation there is also the column `mask` (or `instances`, where instances are to be told apart): a PNG of
    mode RGB, as large as its image turned upright, with the class id in red (0 = background, 255 = ignored) and the
    number of the instance in green (0 = none). The label is then the class that covers most pixels; class 0, the
    background, is the label of no image.
    """

    train: Dataset
    validation: Dataset
    test: Dataset
    report: DataReport

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes; a label is an index into them."""
        return tuple(self.train.features["label"].names)

    @property
    def task(self) -> Task:
        """What the data are for, by whether there are masks."""
        if INSTANCES in self.train.column_names:
            return "instances"
        return "segmentation" if MASKS in self.train.column_names else "classification"


def labels_of(dataset: Dataset) -> np.ndarray:
    """The label column as int64 [N]; -1 where there is none."""
    return np.asarray([-1 if label is None else label for label in dataset["label"][:]], dtype=np.int64)


def stratified_split(
    labels: np.ndarray, fractions: Sequence[float], classes: Sequence[str], seed: int = 0, may_lack: bool = False
) -> list[np.ndarray]:
    """Takes a share of every class for each fraction; what is left comes first.

    Args:
        labels: int64 [N] in [0, K).
        fractions: Shares above 0 with a sum below 1. Every class gives max(1, round(share * its count)).
        classes: K names, for errors.
        seed: Seed of the shuffle.
        may_lack: Whether a class may have no rows at all.

    Returns:
        1 + len(fractions) sorted, disjoint arrays of row numbers, int64, which together are all rows.

    Raises:
        DataError: If a class is too small to stand in every part; the message names it.
    """
    if any(not 0.0 < fraction < 1.0 for fraction in fractions) or sum(fractions) >= 1.0:
        raise DataError(f"Shares for validation and test are above 0 with a sum below 1; got {list(fractions)}.")
    parts: list[list[np.ndarray]] = [[] for _ in range(1 + len(fractions))]
    for label, name in enumerate(classes):
        rows = _shuffled(labels, label, seed)
        if may_lack and not len(rows):
            continue
        counts = [max(1, round(fraction * len(rows))) for fraction in fractions]
        if not len(rows):
            raise DataError(f"Class {name!r} has no training images. Add some, or take it out of the other splits.")
        if len(rows) <= sum(counts):
            raise DataError(
                f"Class {name!r} has {len(rows)} images, too few for {len(parts)} splits (at least "
                f"{len(parts)}, and more than the shares {list(fractions)} take). Add images or remove the class."
            )
        start = 0
        for part, count in zip(parts[1:], counts, strict=True):
            part.append(rows[start : start + count])
            start += count
        parts[0].append(rows[start:])
    return [np.sort(np.concatenate(part)) if part else np.empty(0, dtype=np.int64) for part in parts]


def stratified_share(labels: np.ndarray, part: float, rng: np.random.Generator, fewest: int = 2) -> np.ndarray:
    """Row numbers, sorted, of a share of every class of int64 [N] labels, at least `fewest` of each."""
    rows = []
    for label in np.unique(labels):
        members = rng.permutation(np.flatnonzero(labels == label))
        rows.append(members[: max(fewest, round(part * len(members)))])
    return np.sort(np.concatenate(rows))


def stratified_cap(labels: np.ndarray, limit: int, classes: Sequence[str], seed: int = 0) -> np.ndarray:
    """At most `limit` rows, each class in proportion (largest remainder) and with at least one; sorted int64.

    Raises:
        DataError: If `limit` is below the number of classes that have images.
    """
    if limit >= len(labels):
        return np.arange(len(labels))
    counts = np.bincount(labels, minlength=len(classes))
    if limit < np.count_nonzero(counts):
        raise DataError(
            f"A limit of {limit} training images is below the number of classes, {np.count_nonzero(counts)}."
        )
    shares = counts * (limit / len(labels))
    taken = np.maximum(np.floor(shares).astype(np.int64), np.minimum(counts, 1))
    while taken.sum() < limit:
        taken[np.argmax(np.where(taken < counts, shares - taken, -math.inf))] += 1
    while taken.sum() > limit:
        taken[np.argmax(np.where(taken > 1, taken - shares, -math.inf))] -= 1
    rows = [_shuffled(labels, label, seed)[:count] for label, count in enumerate(taken)]
    return np.sort(np.concatenate(rows))


def complete_splits(
    parts: Mapping[str, Dataset], *, seed: int, validation: float, test: float, limit: int | None
) -> tuple[Dataset, Dataset, Dataset]:
    """Cuts the splits that are missing from the training images, then caps those.

    Args:
        parts: `train` and, if the source has them, `validation` and `test`.
        seed: Seed of the shuffles.
        validation: Share of the training images cut off if there is no validation split.
        test: The same for the test split.
        limit: Largest number of training images, `None` for all.

    Raises:
        DataError: For fewer than two classes, or a class that is missing or too small. For segmentation two include
            the background, and small classes are split together, because a class that covers most of few images may
            still have its pixels in many.
    """
    train = parts["train"]
    classes = train.features["label"].names
    if len(classes) < 2:
        raise DataError(f"There is only one class, {', '.join(map(repr, classes))}. A classifier needs two or more.")
    wanted = {
        name: share for name, share in (("validation", validation), ("test", test)) if not len(parts.get(name, ()))
    }
    if not len(train):
        raise DataError("There are no training images, or no mask of them shows an object. Add some.")
    labels, masked = labels_of(train), "mask" in train.column_names
    if masked:
        labels = _rare_together(labels, list(wanted.values()))
    rows, *cut = stratified_split(labels, list(wanted.values()), classes, seed, may_lack=masked)
    done = dict(parts) | {name: train.select(part) for name, part in zip(wanted, cut, strict=True)}
    done["train"] = train.select(rows)
    if limit is not None:
        done["train"] = done["train"].select(stratified_cap(labels_of(done["train"]), limit, classes, seed))
    return done["train"], done["validation"], done["test"]


def _rare_together(labels: np.ndarray, fractions: Sequence[float]) -> np.ndarray:
    """Labels for the split alone: classes too small to stand in every part become class 0, which no image has.

    If even together they are too small, they go with the largest class.
    """
    counts = np.bincount(labels)

    def too_small(count: int) -> bool:
        return count <= sum(max(1, round(fraction * count)) for fraction in fractions)

    rare = np.array([count > 0 and too_small(count) for count in counts])[labels]
    together = int(counts.argmax()) if too_small(int(rare.sum())) else 0
    return np.where(rare, together, labels)


def _shuffled(labels: np.ndarray, label: int, seed: int) -> np.ndarray:
    return np.random.default_rng([seed, label]).permutation(np.flatnonzero(labels == label))
