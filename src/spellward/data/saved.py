"""Tables on disk, which others may have made: nothing in them leads out of their folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
import pyarrow.compute as pc
from datasets import Dataset, Image

from spellward.artifacts import safe_join
from spellward.errors import ArtifactError, DataError
from spellward.plain_json import parse_json

STATE_FILE, SPLITS_FILE = "state.json", "dataset_dict.json"


def is_saved(folder: Path) -> bool:
    """Whether `datasets` has saved a table, or several by split, in a folder."""
    return (folder / SPLITS_FILE).exists() or (folder / STATE_FILE).exists()


def read_saved(folder: Path) -> dict[str, Dataset]:
    """Reads what `save_to_disk` wrote.

    Returns:
        Split name -> Dataset; "train" for a single table.

    Raises:
        DataError: If it is damaged, or names files outside of its folder.
    """
    try:
        for place in [safe_join(folder, name) for name in _listed(folder / SPLITS_FILE, "splits")] or [folder]:
            for entry in _listed(place / STATE_FILE, "_data_files"):
                safe_join(place, entry["filename"])
        loaded = datasets.load_from_disk(str(folder))
    except ArtifactError as error:
        raise DataError(f"The saved data set {folder} names files outside of its folder. Do not use it.") from error
    except Exception as error:  # Arrow and JSON readers raise many kinds on damaged files
        raise DataError(f"The saved data set {folder} cannot be read ({error}). Save it again.") from error
    return contained({"train": loaded} if isinstance(loaded, Dataset) else dict(loaded), folder)


def contained(parts: Mapping[str, Dataset], folder: Path) -> dict[str, Dataset]:
    """The parts as they are, if image cells that are paths, and not bytes, lead to ordinary files in their folder.

    Raises:
        DataError: If one leads elsewhere, which would take in pictures that the table does not hold.
    """
    root = folder.resolve()
    for split, dataset in parts.items():
        for name, feature in dataset.features.items():
            if isinstance(feature, Image) or (isinstance(feature, dict) and set(feature) == {"bytes", "path"}):
                for chunk in dataset.data.column(name).chunks:
                    for path in _paths_alone(chunk):
                        if not (Path(path).resolve().is_relative_to(root) and Path(path).is_file()):
                            raise DataError(
                                f"The column {name!r} of split {split!r} in {folder} names {path[:200]!r}, which is no "
                                "file in its folder. Write the table again with the images in it."
                            )
    return dict(parts)


def _listed(path: Path, field: str) -> list[Any]:
    """A list in a JSON file; empty if there is no such file."""
    return list(parse_json(path.read_text(encoding="utf-8"))[field]) if path.exists() else []


def _paths_alone(chunk: pa.Array) -> list[str]:
    """The paths of cells that have no bytes."""
    if not pa.types.is_struct(chunk.type):
        return []
    paths = pc.struct_field(chunk, "path")
    alone = pc.and_(pc.is_null(pc.struct_field(chunk, "bytes")), pc.is_valid(paths))
    return [str(path) for path in pc.unique(paths.filter(alone)).to_pylist()]
