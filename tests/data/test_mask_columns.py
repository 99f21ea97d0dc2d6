from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from datasets import ClassLabel, Dataset, DatasetDict, Features, Image
from PIL import Image as Pillow
from tests.data.segmentation import HEIGHT, WIDTH, blob, fill, picture, stored

from spellward.data import Splits, load_splits, prepare
from spellward.errors import DataError


def table(count: int = 20, column: str = "mask", start: int = 0, *, empty: int = -1, image: str = "image") -> Dataset:
    rows = range(start, start + count)
    masks = [None if row == empty else Pillow.fromarray(blob(1 + row % 2, row)) for row in rows]
    columns = {image: [picture(row) for row in rows], column: masks, "caption": ["x"] * count}
    features = Features({image: Image(), column: Image(), "caption": Dataset.from_dict({"x": ["y"]}).features["x"]})
    return Dataset.from_dict(columns, features=features)


def pixels(splits: Splits) -> dict[int, np.ndarray]:
    parts = (splits.train, splits.validation, splits.test)
    return {int(np.asarray(row["image"]).sum()): np.asarray(row["mask"]) for part in parts for row in part}


@pytest.mark.parametrize("column", ["mask", "segmentation_mask", "annotation", "label"])
def test_masks_are_found_by_name_and_type(column: str) -> None:
    splits = load_splits(table(column=column, image="pixels"))
    assert splits.task == "segmentation" and splits.classes == ("background", "class 1", "class 2")
    assert splits.train.column_names == ["image", "label", "mask"]
    found = pixels(splits)
    assert len(found) == 20
    for row in range(20):
        mask = found[int(np.asarray(picture(row)).sum())]
        assert np.array_equal(mask[..., 0], blob(1 + row % 2, row)) and not mask[..., 1:].any()


def test_what_load_splits_gives_can_be_read_again(tmp_path: Path) -> None:
    fill(tmp_path / "data" / "images", tmp_path / "data" / "masks")
    (tmp_path / "data" / "classes.txt").write_text("background\ncat\ndog\nnever")
    first = load_splits(tmp_path / "data")
    parts = DatasetDict(train=first.train, validation=first.validation, test=first.test)
    parts.save_to_disk(str(tmp_path / "saved"))
    for source in (parts, tmp_path / "saved"):
        again = load_splits(source)
        assert again.classes == first.classes and len(again.train) == len(first.train)
        assert again.train["label"][:] == first.train["label"][:] and again.task == "segmentation"
        assert {key: value.tobytes() for key, value in pixels(again).items()} == {
            key: value.tobytes() for key, value in pixels(first).items()
        }


def test_instances_survive_a_second_reading(tmp_path: Path) -> None:
    mask = np.zeros((HEIGHT, WIDTH, 3), dtype=np.uint8)
    mask[2:4, 2:8, :2] = (1, 1)
    mask[5:7, 2:8, :2] = (1, 2)
    base = table()
    features = ClassLabel(names=["background", "cat"])
    base = base.remove_columns("mask").add_column("label", [1] * 20, feature=features)
    base = base.add_column("mask", stored([Pillow.fromarray(mask)] * 20), feature=Image())
    splits = load_splits(base)
    assert splits.classes == ("background", "cat")
    assert all(np.array_equal(one, mask) for one in pixels(splits).values())
    told = load_splits(base, instances=True)
    assert told.task == "instances" and told.train.column_names == ["image", "label", "instances"]
    truth = prepare(told.test, 32, tmp_path).truth([0])
    assert truth.shape == (1, 2, 32, 32) and truth[0, 1].max() == 2 and truth[0, 0].max() == 1
    again = load_splits(told.train, instances=True)
    assert again.task == "instances"


def test_instances_need_masks_that_number_them() -> None:
    with pytest.raises(DataError, match=r"class of each pixel, not which object"):
        load_splits(table(), instances=True)
    with pytest.raises(DataError, match=r"has no masks"):
        load_splits("sample:fashion", instances=True, limit=20)


def test_class_names_have_the_background_first() -> None:
    last = table().add_column("label", [0] * 20, feature=ClassLabel(names=["cat", "dog", "background"]))
    with pytest.raises(DataError, match=r"column 'label' of the Dataset names 'background' as class 2"):
        load_splits(last)
    capital = table().add_column("label", [1] * 20, feature=ClassLabel(names=["Background", "cat", "dog"]))
    splits = load_splits(capital)
    assert splits.classes == ("Background", "cat", "dog") and not splits.report.ignored


def test_lossy_masks_are_refused_with_class_names_too(tmp_path: Path) -> None:
    base = table(4).remove_columns("mask").add_column("label", [1] * 4, feature=ClassLabel(names=["background", "cat"]))
    Pillow.fromarray(np.full((HEIGHT, WIDTH, 3), (1, 0, 0), dtype=np.uint8)).save(tmp_path / "mask.webp")
    masks = [{"bytes": (tmp_path / "mask.webp").read_bytes(), "path": None}] * 4
    with pytest.raises(DataError, match="is a lossy WebP"):
        load_splits(base.add_column("mask", masks, feature=Image()))


def test_rows_without_a_mask_are_left_out_and_other_labels_are_not_used() -> None:
    base = table(empty=3).add_column("breed", [row % 2 for row in range(20)], feature=ClassLabel(names=["a", "b"]))
    splits = load_splits(base)
    assert len(pixels(splits)) == 19 and "mask of train row 3" in splits.report.warnings[0]
    assert "column 'breed'" in splits.report.ignored[0]


def test_equal_rows_with_different_masks_are_both_left_out() -> None:
    base = table()
    columns = {"image": [picture(0), picture(0)], "mask": [Pillow.fromarray(blob(1)), Pillow.fromarray(blob(2))]}
    twice = Dataset.from_dict(columns, features=Features({"image": Image(), "mask": Image()}))
    splits = load_splits(DatasetDict(train=base.select(range(1, 20)).remove_columns("caption"), test=twice))
    assert len(pixels(splits)) == 19
    assert "different masks: both left out" in splits.report.warnings[0]


def test_splits_that_do_not_agree_and_colours_are_refused() -> None:
    with pytest.raises(DataError, match=r"'test' .* lacks the column"):
        load_splits(DatasetDict(train=table(), test=table(4, start=30).remove_columns("mask")))
    named = table(4, start=30).add_column("label", [1] * 4, feature=ClassLabel(names=["background", "cat"]))
    with pytest.raises(DataError, match="different class names"):
        load_splits(DatasetDict(train=table(), test=named))
    colours = table(4).remove_columns("mask").add_column("mask", stored([picture(9)] * 4), feature=Image())
    with pytest.raises(DataError, match=r"mask of train row 0.* is a mask in colours"):
        load_splits(colours)
