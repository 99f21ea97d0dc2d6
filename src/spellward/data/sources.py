"""Any source of images with labels or masks -> checked, seeded splits."""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import datasets
from datasets import ClassLabel, Dataset

from spellward.data.arrays import Pairs, from_arrays, from_pairs, names_classes
from spellward.data.cleaning import clean
from spellward.data.coco import find_coco, read_coco
from spellward.data.columns import two_columns
from spellward.data.folder import SPLIT_ALIASES, read_folder
from spellward.data.mask_columns import mask_column, read_mask_columns, told_apart
from spellward.data.mask_folder import Found, is_mask_folder, is_penn_fudan, read_mask_folder, read_penn_fudan
from spellward.data.parquet import by_split_column, read_parquet
from spellward.data.sample import SAMPLE_SOURCES, load_sample
from spellward.data.saved import contained, is_saved, read_saved
from spellward.data.splits import DataReport, Splits, complete_splits
from spellward.errors import DataError
from spellward.hub import quiet_hub

Source: TypeAlias = str | Path | Dataset | Mapping[str, Dataset | Pairs] | tuple[Any, Any] | Pairs
_HUB_ID = re.compile(r"[\w-][\w.-]*(/[\w-][\w.-]*)?")


class _Raw(NamedTuple):
    """A source as it was found: its splits under their own names, what to call it, and what was not read."""

    parts: dict[str, Dataset]
    name: str
    ignored: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    masked: bool = False
    """Whether the parts have the checked columns `image`, `label` and `mask` already."""


def load_splits(
    source: Source,
    *,
    seed: int = 0,
    validation: float = 0.1,
    test: float = 0.2,
    limit: int | None = None,
    instances: bool = False,
) -> Splits:
    """Reads images with labels or masks from anywhere, checks each, drops exact duplicates and makes three splits.

    Splits that the source has are kept; missing ones are cut from its training images, each class in proportion. What
    the data are for, classification or segmentation, shows in the source; `Splits.task` says it. Masks that tell
    instances apart are for `instances` as well.

    Args:
        source: A folder of class folders (with or without train, validation and test above them), a folder saved by
            `datasets`, a Parquet file or a folder of them, the id of a data set on the Hugging Face Hub,
            `sample:fashion` or `sample:clipart`, a pair of arrays (uint8 images [N, H, W, 3], [N, H, W] or
            [N, 3, H, W]; labels [N]), a `datasets.Dataset` or `DatasetDict`, or a PyTorch data set of pictures and
            class numbers such as torchvision's `ImageFolder`, or several by the names of their splits. Where all is one
            table, a column `split` says which rows are for train, validation and test.
            For segmentation: a folder of `images` and `masks` (see `read_mask_folder`), a folder with COCO JSON or such
            a file (see `read_coco`), the folder of Penn-Fudan, any table with a column `mask` or the like (see
            `read_mask_columns`), or `sample:scenes`.
        seed: Seed of the splits and the cap.
        validation: Share for validation, if the source has no such split.
        test: Share for test, if the source has no such split.
        limit: Largest number of training images, each class in proportion.
        instances: Whether objects of one class are to be told apart (COCO, Penn-Fudan, masks with instance numbers).

    Whatever was left out or looks odd is in `Splits.report`, and a `UserWarning` sums it up.

    Raises:
        DataError: For data that cannot be used; the message names the file or class and says what to do.
    """
    raw = _read(source)
    named, ignored = _named_splits(raw)
    parts, unused, odd = _columns(named, raw)
    if "train" not in parts:
        raise DataError(f"{raw.name} has no labelled training images, only {', '.join(parts)}. Name one split 'train'.")
    parts, duplicates, conflicts = clean(parts)
    done = complete_splits(parts, seed=seed, validation=validation, test=test, limit=limit)
    report = DataReport(tuple(duplicates), (*raw.ignored, *ignored, *unused), (*raw.warnings, *odd, *conflicts))
    for note in report.notes():
        warnings.warn(note, stacklevel=2)
    if instances:
        done = (told_apart(done[0], raw.name), told_apart(done[1], raw.name), told_apart(done[2], raw.name))
    return Splits(*done, report)


def _columns(named: dict[str, Dataset], raw: _Raw) -> Found:
    """Only `image`, `label` and, if there are masks, `mask`."""
    if raw.masked:
        return Found(named, [], [])
    column = mask_column(next(iter(named.values())))
    if column is not None:
        return read_mask_columns(named, column, raw.name)
    parts, odd = two_columns(named, raw.name)
    return Found(parts, [], odd)


def _read(source: Source) -> _Raw:
    if isinstance(source, Dataset):
        return _Raw({"train": source}, "the Dataset")
    if isinstance(source, Mapping):
        parts = {name: part if isinstance(part, Dataset) else from_pairs(part) for name, part in source.items()}
        return _Raw(_numbered_alike(parts, source), "the DatasetDict")
    if isinstance(source, tuple):
        if len(source) != 2:
            raise DataError(f"Arrays are a pair of images and labels; got {len(source)}. Give (images, labels).")
        return _Raw({"train": from_arrays(*source)}, "the arrays")
    if not isinstance(source, (str, Path)):
        return _Raw({"train": from_pairs(source)}, f"the {type(source).__name__}")
    if str(source).startswith("sample:"):
        sample = load_sample(str(source).removeprefix("sample:"))
        return _Raw(sample, str(source), masked=all("mask" in part.column_names for part in sample.values()))
    if not str(source).strip():
        raise DataError("The name of the data is empty. Give a folder, a Parquet file or a Hub id.")
    try:
        path = Path(source).expanduser().absolute()
    except RuntimeError as error:
        raise DataError(f"{source} names the home of a user that there is none of. Check the path.") from error
    if path.is_dir():
        return _from_folder(path)
    if path.is_file():
        if path.suffix.lower() == ".json":
            root = path.parent.parent if path.parent.name == "annotations" else path.parent
            return _masked(read_coco(root, [path]), path)
        if path.suffix.lower() != ".parquet":
            raise DataError(f"{path} is neither a folder nor a Parquet file. Give a folder of class folders.")
        return _Raw(contained(read_parquet([path]), path.parent), str(path))
    if isinstance(source, str) and _HUB_ID.fullmatch(source):
        return _Raw(_from_hub(source), source)
    raise DataError(f"There is nothing at {path}. Check the path, or give a Hub id or one of: {SAMPLE_SOURCES}.")


def _numbered_alike(parts: dict[str, Dataset], source: Mapping[str, Dataset | Pairs]) -> dict[str, Dataset]:
    """Parts with one list of classes where data sets of PyTorch name none: the highest number may be missing in one."""
    unnamed = [name for name, part in source.items() if not isinstance(part, Dataset) and not names_classes(part)]
    longest: list[str] = max((parts[name].features["label"].names for name in unnamed), key=len, default=[])
    return {
        name: part.cast_column("label", ClassLabel(names=longest)) if name in unnamed else part
        for name, part in parts.items()
    }


def _from_folder(path: Path) -> _Raw:
    if is_saved(path):
        return _Raw(read_saved(path), str(path))
    files = sorted(path.glob("*.parquet")) or sorted(path.glob("data/*.parquet"))
    if files:
        return _Raw(contained(read_parquet(files), path), str(path))
    if is_penn_fudan(path):
        return _masked(read_penn_fudan(path), path)
    if is_mask_folder(path):
        return _masked(read_mask_folder(path), path)
    coco = find_coco(path)
    if coco:
        return _masked(read_coco(path, coco), path)
    parts, ignored = read_folder(path)
    return _Raw(dict(parts), str(path), tuple(ignored))


def _masked(found: Found, path: Path) -> _Raw:
    return _Raw(found.parts, str(path), tuple(found.ignored), tuple(found.warnings), masked=True)


def _from_hub(name: str) -> dict[str, Dataset]:
    try:
        with quiet_hub():
            loaded = datasets.load_dataset(name)
    except Exception as error:  # network, Hub and builder errors have no common base
        first = str(error).strip().split("\n")[0]
        raise DataError(
            f"{name!r} is no file or folder here, and cannot be loaded from the Hugging Face Hub ({first}). Check the "
            f"path or id, and the network."
        ) from error
    return dict(loaded)


def _named_splits(raw: _Raw) -> tuple[dict[str, Dataset], list[str]]:
    """Splits under the names train, validation and test; a single split of any name is all there is.

    If it is one table, a column `split` says where its rows belong.
    """
    filled = by_split_column({name: part for name, part in raw.parts.items() if len(part)})
    if not filled:
        raise DataError(f"{raw.name} has no images. Check the path.")
    if len(filled) == 1:
        return {"train": next(iter(filled.values()))}, []
    named: dict[str, Dataset] = {}
    ignored = []
    for name, part in filled.items():
        meaning = SPLIT_ALIASES.get(name.lower())
        if meaning is None:
            ignored.append(f"split {name!r} of {raw.name}: not train, validation or test")
        elif meaning in named:
            raise DataError(f"{raw.name} has two {meaning} splits, one called {name!r}. Leave one out.")
        else:
            named[meaning] = part
    if "train" not in named:
        raise DataError(f"{raw.name} has the splits {', '.join(filled)}. Rename one of them to 'train'.")
    return named, ignored
