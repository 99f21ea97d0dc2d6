"""Tables on disk that somebody else made."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet
import pytest
from datasets import DatasetDict
from PIL import Image
from tests.data.test_sources import table

from spellward.data import load_splits
from spellward.errors import DataError


def parquet_of_paths(paths: list[Path], file: Path) -> Path:
    """A Parquet file whose images are paths and not bytes."""
    cells = pa.array(
        [{"bytes": None, "path": str(path)} for path in paths],
        pa.struct([("bytes", pa.binary()), ("path", pa.string())]),
    )
    labels = pa.array(["ab"[place % 2] for place in range(len(paths))])
    pa.parquet.write_table(pa.table({"image": cells, "label": labels}), file)
    return file


def pictures(folder: Path, count: int = 20) -> list[Path]:
    folder.mkdir(parents=True)
    for place in range(count):
        Image.new("RGB", (8, 8), (place * 9, 0, 0)).save(folder / f"{place}.png")
    return sorted(folder.iterdir())


def test_images_may_be_files_in_the_folder_of_their_table(tmp_path: Path) -> None:
    file = parquet_of_paths(pictures(tmp_path / "data" / "pictures"), tmp_path / "data" / "all.parquet")
    assert len(load_splits(file).train) == 14


@pytest.mark.parametrize("way", ["elsewhere", "by a link", "a pipe", "nowhere"])
def test_images_from_elsewhere_are_refused(way: str, tmp_path: Path) -> None:
    paths = pictures(tmp_path / ("private" if way in ("elsewhere", "by a link") else "data"))
    (tmp_path / "data").mkdir(exist_ok=True)
    if way == "by a link":
        (tmp_path / "data" / "link").symlink_to(tmp_path / "private")
        paths = [tmp_path / "data" / "link" / path.name for path in paths]
    if way == "a pipe":
        os.mkfifo(tmp_path / "data" / "pipe.png")
        paths[3] = tmp_path / "data" / "pipe.png"
    if way == "nowhere":
        paths[3] = tmp_path / "data" / "gone.png"
    with pytest.raises(DataError, match="is no file in its folder"):
        load_splits(parquet_of_paths(paths, tmp_path / "data" / "all.parquet"))


def test_a_saved_table_cannot_name_files_of_another(tmp_path: Path) -> None:
    table().save_to_disk(str(tmp_path / "private"))
    shutil.copytree(tmp_path / "private", tmp_path / "gift")
    state = json.loads((tmp_path / "gift" / "state.json").read_text())
    (name,) = (entry["filename"] for entry in state["_data_files"])
    (tmp_path / "gift" / name).unlink()
    state["_data_files"] = [{"filename": f"../private/{name}"}]
    (tmp_path / "gift" / "state.json").write_text(json.dumps(state))
    with pytest.raises(DataError, match="names files outside of its folder"):
        load_splits(tmp_path / "gift")


@pytest.mark.parametrize("name", ["../private/train", "..", "/tmp"])
def test_splits_cannot_be_folders_elsewhere(name: str, tmp_path: Path) -> None:
    DatasetDict(train=table()).save_to_disk(str(tmp_path / "private"))
    (tmp_path / "gift").mkdir()
    (tmp_path / "gift" / "dataset_dict.json").write_text(json.dumps({"splits": [name]}))
    with pytest.raises(DataError, match="outside of its folder"):
        load_splits(tmp_path / "gift")


def test_a_parquet_file_that_was_replaced_is_read_anew(tmp_path: Path) -> None:
    first, second = table(), table(seed=5)
    first.to_parquet(str(tmp_path / "all.parquet"))
    before = (tmp_path / "all.parquet").stat()
    seen = {row["image"].tobytes() for row in load_splits(tmp_path / "all.parquet").train}
    second.to_parquet(str(tmp_path / "all.parquet"))
    os.utime(tmp_path / "all.parquet", ns=(before.st_atime_ns, before.st_mtime_ns))
    assert not seen & {row["image"].tobytes() for row in load_splits(tmp_path / "all.parquet").train}
