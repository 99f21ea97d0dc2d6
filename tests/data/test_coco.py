from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.data.segmentation import HEIGHT, WIDTH, picture

from spellward.data import Splits, load_splits
from spellward.data.coco import find_coco, read_coco
from spellward.errors import DataError

Content = dict[str, list[dict[str, Any]]]


def box(x: int, y: int, width: int, height: int) -> list[list[int]]:
    return [[x, y, x + width, y, x + width, y + height, x, y + height]]


def content(count: int = 20, start: int = 0) -> Content:
    """Every image has an object of category 7 ("cat") or 3 ("dog"), and of the other category a smaller one on it."""
    images = [
        {"id": number, "file_name": f"{number:03}.png", "width": WIDTH, "height": HEIGHT}
        for number in range(start, start + count)
    ]
    annotations = []
    for image in images:
        ours, other = (7, 3) if image["id"] % 2 else (3, 7)
        for label, outline in ((other, box(3, 3, 2, 2)), (ours, box(2, 2, 6, 5))):
            row = {"id": len(annotations), "image_id": image["id"], "category_id": label, "iscrowd": 0}
            annotations.append(row | {"segmentation": outline})
    return {
        "images": images,
        "annotations": annotations,
        "categories": [{"id": 7, "name": "cat"}, {"id": 3, "name": "dog"}],
    }


def put(folder: Path, path: Path, value: Content) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    for image in value["images"]:
        picture(image["id"]).save(folder / image["file_name"])
    path.write_text(json.dumps(value))


def masks(splits: Splits) -> dict[int, np.ndarray]:
    """First pixel of the image -> mask; tells images apart."""
    parts = (splits.train, splits.validation, splits.test)
    return {int(np.asarray(row["image"]).sum()): np.asarray(row["mask"]) for part in parts for row in part}


def test_instances_become_masks_small_ones_on_top(tmp_path: Path) -> None:
    put(tmp_path / "c" / "images", tmp_path / "c" / "annotations.json", content())
    splits = load_splits(tmp_path / "c")
    assert splits.task == "segmentation" and splits.classes == ("background", "dog", "cat")
    assert sum(map(len, (splits.train, splits.validation, splits.test))) == 20
    mask = masks(splits)[int(np.asarray(picture(0)).sum())]
    expected = np.zeros((HEIGHT, WIDTH, 3), dtype=np.uint8)
    expected[2:7, 2:8, :2] = (1, 2)
    expected[3:5, 3:5, :2] = (2, 1)
    assert np.array_equal(mask, expected)


def test_crowds_are_ignored_where_nothing_else_is(tmp_path: Path) -> None:
    value = content()
    crowd = {"id": 99, "image_id": 0, "category_id": 7, "iscrowd": 1}
    runs = [0, HEIGHT * 5, HEIGHT * (WIDTH - 5)]  # the first five columns
    value["annotations"].append(crowd | {"segmentation": {"size": [HEIGHT, WIDTH], "counts": runs}})
    put(tmp_path / "c", tmp_path / "c" / "annotations.json", value)
    mask = masks(load_splits(tmp_path / "c"))[int(np.asarray(picture(0)).sum())]
    assert (mask[:2, :5, 0] == 255).all() and not mask[:, 8:].any() and set(np.unique(mask[..., 1])) == {0, 1, 2}
    assert (mask[2:7, 5:8, 0] == 1).all()


@pytest.mark.parametrize(
    ("folders", "files"),
    [
        (("train2017", "val2017"), ("annotations/instances_train2017.json", "annotations/instances_val2017.json")),
        (("train", "valid"), ("train/_annotations.coco.json", "valid/_annotations.coco.json")),
        (("images/train", "images/val"), ("annotations/instances_train.json", "annotations/instances_val.json")),
        (("images", "images"), ("my_train.json", "my_val.json")),
    ],
)
def test_usual_layouts_with_splits(tmp_path: Path, folders: tuple[str, str], files: tuple[str, str]) -> None:
    root = tmp_path / "c"
    for folder, file, start in zip(folders, files, (0, 20), strict=True):
        put(root / folder, root / file, content(20 - start // 2, start))
    if "instances" in files[0]:
        (root / "annotations" / "captions_train2017.json").write_text('{"images": [], "annotations": []}')
    splits = load_splits(root)
    assert (len(splits.train), len(splits.validation), len(splits.test)) == (16, 10, 4)
    assert len(load_splits(root / files[1]).train) < 10


@pytest.mark.parametrize("name", ["background", "Background"])
def test_a_category_called_background_is_class_0_and_images_without_objects_are_left_out(
    tmp_path: Path, name: str
) -> None:
    value = content()
    value["categories"][1]["name"] = name
    value["annotations"] = [row for row in value["annotations"] if row["category_id"] == 7 and row["image_id"] > 1]
    put(tmp_path / "c", tmp_path / "c" / "annotations.json", value)
    splits = load_splits(tmp_path / "c")
    assert splits.classes == ("background", "cat") and "2 masks" in splits.report.warnings[0]


def test_other_json_is_no_coco(tmp_path: Path) -> None:
    root = tmp_path / "photos"
    for name in ("cat", "dog"):
        (root / name).mkdir(parents=True)
        for number in range(6):
            picture(number + 50 * ord(name[0])).save(root / name / f"{number}.png")
    (root / "notes.json").write_text("{ broken")
    (root / "more.json").write_text("[1, 2]")
    assert find_coco(root) == [] and load_splits(root).task == "classification"


def change(*path: Any, value: Any) -> Callable[[Content], None]:
    def spoil(content: Content) -> None:
        target: Any = content
        for step in path[:-1]:
            target = target[step]
        target[path[-1]] = value

    return spoil


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (change("images", 0, "file_name", value="../secret.png"), r"'\.\./secret\.png', which leaves"),
        (change("images", 0, "file_name", value="/etc/passwd"), "leaves"),
        (change("images", 0, "file_name", value="nothing.png"), r"'nothing\.png', which is not in"),
        (change("images", 0, "file_name", value="annotations.json"), "not an image"),
        (change("images", 0, "file_name", value=7), "file_name"),
        (change("images", 0, "id", value=1), "two images with the id 1"),
        (change("images", 0, "width", value=99), "says 99 x 9 pixels"),
        (change("annotations", 0, "image_id", value=777), "annotation 0 has an unknown"),
        (change("annotations", 0, "image_id", value=[]), "annotation 0 has an unknown"),
        (change("annotations", 0, "category_id", value=1), "annotation 0 has an unknown"),
        (change("annotations", 0, "segmentation", value=[]), "annotation 0 has no outline"),
        (change("categories", 0, "id", value=3), "two categories"),
        (change("categories", 0, "name", value=""), "without an integer id or a name"),
        (change("categories", 0, "name", value="dog"), "'dog' twice"),
        (change("categories", value=[]), "unknown image_id or category_id"),
        (change("categories", value=[1]), "no list of objects called 'categories'"),
        (change("images", value=[]), "unknown image_id"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, spoil: Callable[[Content], None], reason: str) -> None:
    put(tmp_path / "c", tmp_path / "c" / "annotations.json", content())
    value = content()
    spoil(value)
    (tmp_path / "c" / "annotations.json").write_text(json.dumps(value))
    picture(5).save(tmp_path / "secret.png")
    with pytest.raises(DataError, match=reason):
        load_splits(tmp_path / "c")


def test_broken_files_and_files_that_contradict_each_other(tmp_path: Path) -> None:
    root = tmp_path / "c"
    put(root, root / "annotations.json", content())
    (root / "annotations.json").write_text("{")
    with pytest.raises(DataError, match=r"annotations\.json cannot be read as JSON"):
        load_splits(root)
    (root / "annotations.json").unlink()
    for name in ("annotations_train.json", "annotations_x.json"):
        (root / name).write_text(json.dumps(content()))
    with pytest.raises(DataError, match=r"say train, validation or test in the name of .*annotations_x"):
        load_splits(root)
    (root / "annotations_x.json").rename(root / "annotations_training.json")
    with pytest.raises(DataError, match="both mean the train split"):
        load_splits(root)
    other = content()
    other["categories"][0]["name"] = "cow"
    (root / "annotations_training.json").rename(root / "annotations_val.json")
    (root / "annotations_val.json").write_text(json.dumps(other))
    with pytest.raises(DataError, match="other categories"):
        load_splits(root)


def test_more_instances_than_a_mask_can_number(tmp_path: Path) -> None:
    value = content()
    value["images"][0] |= {"width": 40, "height": 40}
    value["annotations"] = [
        {"id": n, "image_id": 0, "category_id": 3, "segmentation": box(n % 40, n // 40, 1, 1)} for n in range(300)
    ]
    put(tmp_path / "c", tmp_path / "c" / "annotations.json", value)
    picture(0, 40, 40).save(tmp_path / "c" / "000.png")
    with pytest.raises(DataError, match=r"000\.png has 300 instances, more than 255"):
        read_coco(tmp_path / "c", find_coco(tmp_path / "c"))


def test_paths_as_windows_writes_them(tmp_path: Path) -> None:
    value = content()
    put(tmp_path / "images", tmp_path / "coco.json", value)
    for image in value["images"]:
        image["file_name"] = "images\\" + image["file_name"]
    (tmp_path / "coco.json").write_text(json.dumps(value))
    assert len(masks(load_splits(tmp_path))) == 20
