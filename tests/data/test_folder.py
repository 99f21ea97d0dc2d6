from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from spellward.data import load_splits
from spellward.errors import DataError

Maker = Callable[..., Path]


def test_class_folders_are_split_in_proportion(class_folders: Maker) -> None:
    root = class_folders(classes=("dog", "cat", "train"), count=10)
    splits = load_splits(root, seed=3)
    assert splits.classes == ("cat", "dog", "train")
    assert [len(part) for part in (splits.train, splits.validation, splits.test)] == [21, 3, 6]
    assert splits.train[0]["image"].size == (12, 9)
    paths = [
        part.cast_column("image", part.features["image"].__class__(decode=False))["image"][:]
        for part in (splits.train, splits.validation, splits.test)
    ]
    assert len({value["path"] for part in paths for value in part}) == 30
    assert load_splits(str(root), seed=3).test["label"][:] == splits.test["label"][:]


def test_given_splits_are_kept_and_missing_ones_are_cut(class_folders: Maker) -> None:
    root = class_folders("data/train")
    class_folders("data/Test", count=3, seed=1)
    splits = load_splits(root.parent)
    assert [len(part) for part in (splits.train, splits.validation, splits.test)] == [18, 2, 6]
    class_folders("data/val", count=2, seed=2)
    splits = load_splits(root.parent, limit=7)
    assert [len(part) for part in (splits.train, splits.validation, splits.test)] == [7, 4, 6]


def test_other_files_are_ignored_with_a_note(class_folders: Maker) -> None:
    root = class_folders()
    for name in ("cat/notes.txt", "cat/.DS_Store", "readme.md", "dog/._001.png"):
        (root / name).write_text("no image")
    (root / ".git").mkdir()
    (root / "dog" / "again").symlink_to(root / "cat")
    (root / "dog" / "loop").symlink_to(root / "dog" / "loop")
    (root / "cat" / "link.png").symlink_to(root / "cat" / "000.png")
    splits = load_splits(root)
    notes = "\n".join(splits.report.ignored)
    assert all(name in notes for name in ("notes.txt", ".DS_Store", "readme.md", "._001.png", ".git", "again", "loop"))
    assert "link.png is the same image as" in splits.report.duplicates[0]


def test_equal_files_of_one_class_are_kept_once(class_folders: Maker) -> None:
    root = class_folders()
    shutil.copy(root / "cat" / "003.png", root / "cat" / "copy.png")
    splits = load_splits(root)
    assert sum(map(len, (splits.train, splits.validation, splits.test))) == 20
    (note,) = splits.report.duplicates
    assert "003.png" in note and "copy.png" in note


def test_what_is_in_test_is_not_trained_on(class_folders: Maker) -> None:
    root = class_folders("data/train")
    class_folders("data/test", count=3, seed=1)
    shutil.copy(root.parent / "test" / "cat" / "001.png", root / "cat" / "leak.png")
    splits = load_splits(root.parent)
    assert len(splits.test) == 6 and len(splits.train) + len(splits.validation) == 20
    assert "leak.png is the same image as" in splits.report.duplicates[0]


def empty(root: Path) -> None:
    shutil.rmtree(root / "cat")
    shutil.rmtree(root / "dog")


def no_images(root: Path) -> None:
    empty(root)
    (root / "cat").mkdir()


def empty_class(root: Path) -> None:
    (root / "owl").mkdir()


def one_class(root: Path) -> None:
    shutil.rmtree(root / "cat")


def small_class(root: Path) -> None:
    (root / "owl").mkdir()
    Image.effect_noise((9, 9), 60).save(root / "owl" / "1.png")


def conflict(root: Path) -> None:
    shutil.copy(root / "cat" / "003.png", root / "dog" / "copy.png")


def broken(root: Path) -> None:
    (root / "cat" / "bad1.jpg").write_bytes(b"\xff\xd8\xff nothing")
    (root / "dog" / "bad2.png").write_bytes(b"")


def tiny(root: Path) -> None:
    Image.new("RGB", (1, 1)).save(root / "cat" / "dot.png")


def link_out(root: Path) -> None:
    shutil.copy(root / "cat" / "001.png", root.parent / "outside.png")
    (root / "cat" / "escape.png").symlink_to(root.parent / "outside.png")


def folder_link_out(root: Path) -> None:
    (root.parent / "elsewhere").mkdir()
    (root / "escape").symlink_to(root.parent / "elsewhere")


def dangling(root: Path) -> None:
    (root / "cat" / "dangling.png").symlink_to(root / "cat" / "gone.png")


def pipe(root: Path) -> None:
    os.mkfifo(root / "cat" / "pipe.png")


def loop(root: Path) -> None:
    (root / "cat" / "loop.png").symlink_to(root / "cat" / "loop.png")


def only_held_out(root: Path) -> None:
    (root / "cat").rename(root / "test")
    (root / "dog").rename(root / "Val")


def splits_without_classes(root: Path) -> None:
    (root / "cat").rename(root / "train")
    (root / "dog").rename(root / "test")


def images_and_labels(root: Path) -> None:
    (root / "cat").rename(root / "Images")
    (root / "dog").rename(root / "labels")


def images_and_labels_in_splits(root: Path) -> None:
    images_and_labels(root)
    (root / "train").mkdir()
    for name in ("Images", "labels"):
        (root / name).rename(root / "train" / name)


def both_layouts(root: Path) -> None:
    (root / "train" / "owl").mkdir(parents=True)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (empty, ["photos", "no class folders"]),
        (no_images, ["photos", "no images"]),
        (empty_class, ["'owl'", "0 training images"]),
        (one_class, ["only one class", "'dog'"]),
        (small_class, ["'owl'", "1 images"]),
        (conflict, ["003.png", "copy.png", "different labels"]),
        (broken, ["bad1.jpg", "bad2.png", "broken"]),
        (tiny, ["dot.png", "1 x 1"]),
        (link_out, ["escape.png", "symlink"]),
        (folder_link_out, ["escape", "symlink"]),
        (dangling, ["dangling.png", "not an ordinary file"]),
        (loop, ["loop.png", "not an ordinary file"]),
        (pipe, ["pipe.png", "not an ordinary file"]),
        (only_held_out, ["Val, test", "names of splits", "no 'train'"]),
        (splits_without_classes, ["test, train", "no class folders in 'train'"]),
        (images_and_labels, ["'Images' and 'labels'", "'masks'", "class"]),
        (images_and_labels_in_splits, ["'Images' and 'labels'", "'masks'", "train"]),
        (both_layouts, ["'train'", "'cat'", "splits or classes"]),
    ],
)
def test_refusals_name_what_is_wrong(class_folders: Maker, spoil: Callable[[Path], None], words: list[str]) -> None:
    root = class_folders()
    spoil(root)
    with pytest.raises(DataError) as refusal:
        load_splits(root)
    assert all(word in str(refusal.value) for word in words), refusal.value


def test_a_class_only_in_test_is_refused(class_folders: Maker) -> None:
    root = class_folders("data/train")
    class_folders("data/test", classes=("cat", "owl"), seed=1)
    with pytest.raises(DataError, match="'owl' is in the test split"):
        load_splits(root.parent)


def test_a_class_whose_training_images_are_all_in_test_is_named(class_folders: Maker) -> None:
    root = class_folders("data/train")
    class_folders("data/test", count=3, seed=1)
    for path in (root / "cat").iterdir():
        path.rename(root.parent / "test" / "cat" / f"more{path.name}")
    for path in (root.parent / "test" / "cat").glob("more*"):
        shutil.copy(path, root / "cat")
    with pytest.raises(DataError, match=r"'cat' has no training images left: all 10 .* copies of images in test\. Add"):
        load_splits(root.parent)
