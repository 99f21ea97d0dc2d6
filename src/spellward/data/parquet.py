"""Parquet files -> tables, with the splits that their names or a column tell."""

from __future__ import annotations

import glob
import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from datasets import ClassLabel, Dataset

from spellward.artifacts import cache_root, private_folder, run_name, sha256_file, storage_errors
from spellward.data.folder import SPLIT_ALIASES
from spellward.errors import DataError


def read_parquet(files: list[Path]) -> dict[str, Dataset]:
    """Reads files called train-..., validation-... or test-... as splits, others as one table.

    Args:
        files: One or more, of one folder.

    Returns:
        Split name, as the files have it -> Dataset.

    Raises:
        DataError: For a file that cannot be read, or names of splits of which none is train.
    """
    groups: dict[str, list[Path]] = {}
    for file in files:
        groups.setdefault(re.split(r"[^a-z]", file.name.lower())[0], []).append(file)
    if not any(SPLIT_ALIASES.get(name) == "train" for name in groups):
        held_out = [paths[0].name for name, paths in groups.items() if name in SPLIT_ALIASES]
        if held_out and len(groups) > 1:
            raise DataError(
                f"{files[0].parent} has the split {held_out[0]} but no file called train. Call the file of training "
                f"images train.parquet, or give one file."
            )
        groups = {"train": files}
    return {split: _read(paths) for split, paths in groups.items()}


def by_split_column(parts: Mapping[str, Dataset]) -> dict[str, Dataset]:
    """Cuts a table that is all there is by its column `split`, if it has one; else the parts as they are."""
    if len(parts) != 1:
        return dict(parts)
    (whole,) = parts.values()
    if "split" not in whole.column_names:
        return dict(parts)
    values, feature = whole.with_format(None)["split"][:], whole.features["split"]
    if isinstance(feature, ClassLabel):
        values = [None if value is None else feature.int2str(value) for value in values]
    column = np.asarray(values, dtype=str)
    return {str(name): whole.select(np.flatnonzero(column == name)) for name in np.unique(column)}


def _read(paths: list[Path]) -> Dataset:
    for path in paths:
        if "::" in str(path):  # `datasets` takes what stands before it for a kind of archive
            raise DataError(f"{path} has '::' in its path, which cannot be read. Rename the folder or file.")
    # `datasets` knows a file again by its time alone, which copying may keep.
    with storage_errors(paths[0]):
        cache = str(private_folder(cache_root() / "parquet" / _digest(paths)))
    try:
        # `datasets` takes paths for patterns, which may match other files.
        return Dataset.from_parquet([glob.escape(str(path)) for path in paths], cache_dir=cache)
    except Exception as error:  # Arrow raises many kinds on damaged files
        raise DataError(f"{paths[0]} cannot be read as Parquet ({error}). Write it again.") from error


def _digest(paths: list[Path]) -> str:
    return run_name(*(sha256_file(path) for path in paths))
