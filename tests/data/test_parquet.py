from __future__ import annotations

from pathlib import Path

import pytest
from datasets import Dataset

from spellward.data import load_splits
from spellward.data.parquet import read_parquet
from spellward.errors import DataError


def write(path: Path, *values: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Dataset.from_dict({"x": list(values)}).to_parquet(str(path))
    return path


@pytest.mark.parametrize("name", ["v?", "a[1]", "a*", "[!v]", "{b}"])
def test_a_path_is_no_pattern(tmp_path: Path, name: str) -> None:
    write(tmp_path / "v2" / "x.parquet", "other")
    write(tmp_path / "ab" / "x.parquet", "other")
    assert read_parquet([write(tmp_path / name / "x.parquet", "own")])["train"]["x"][:] == ["own"]


def test_double_colons_are_refused_plainly(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"x\.parquet has '::' in its path.*Rename"):
        read_parquet([write(tmp_path / "a::b" / "x.parquet", "own")])


@pytest.mark.parametrize("names", [("test", "validation"), ("test-00000-of-00001", "data")])
def test_what_is_for_a_test_is_not_trained_on(tmp_path: Path, names: tuple[str, str]) -> None:
    files = [write(tmp_path / f"{name}.parquet", name) for name in names]
    with pytest.raises(DataError, match=r"has the split test.*\.parquet but no file called train"):
        load_splits(tmp_path)
    assert list(read_parquet(files[:1])) == ["train"]  # a single split is all there is


def test_other_names_are_one_table(tmp_path: Path) -> None:
    files = [write(tmp_path / f"{name}.parquet", name) for name in ("a", "b")]
    assert read_parquet(files)["train"]["x"][:] == ["a", "b"]
