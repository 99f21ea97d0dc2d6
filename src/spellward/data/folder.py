"""A folder of class folders -> the list of its images, with or without train, validation and test above them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from datasets import ClassLabel, Dataset, Features, Image

from spellward.data.images import SUFFIXES
from spellward.errors import DataError

SPLIT_ALIASES = {
    "train": "train",
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "dev": "validation",
    "test": "test",
    "testing": "test",
}


def read_folder(root: Path) -> tuple[dict[str, Dataset], list[str]]:
    """Lists a folder of images; no image is opened.

    Args:
        root: `root/CLASS/...` or `root/train/CLASS/...` with `validation` (or `val`) and `test` beside it.

    Returns:
        Split name -> Dataset of `image` (paths, decoded when asked for) and `label`; and notes on what was ignored.

    Raises:
        DataError: For an empty folder, a symlink that leaves the folder, or a layout that could mean two things.
    """
    ignored: list[str] = []
    folders = subfolders(root, root, ignored)
    if not folders:
        raise DataError(f"{root} has no class folders. Put the images of each class into a folder of its name.")
    splits = _split_folders(root, folders)
    files = {
        split: {folder.name: list(images_below(folder, root, ignored)) for folder in subfolders(path, root, ignored)}
        if path != root
        else {folder.name: list(images_below(folder, root, ignored)) for folder in folders}
        for split, path in splits.items()
    }
    for path in dict.fromkeys((root, *splits.values())):
        ignored += [f"{entry}: not in a class folder" for entry in sorted(path.iterdir()) if entry.is_file()]
    classes = sorted({name for found in files.values() for name in found})
    if not any(paths for found in files.values() for paths in found.values()):
        raise DataError(f"{root} has no images in its {len(classes)} class folders. Check the path.")
    for split, path in splits.items():
        _refuse_labels(path, files[split])
    _check_classes(root, files)
    features = Features({"image": Image(), "label": ClassLabel(names=classes)})
    datasets = {}
    for split, found in files.items():
        rows = [(str(path), classes.index(name)) for name, paths in sorted(found.items()) for path in paths]
        columns = {"image": [path for path, _ in rows], "label": [label for _, label in rows]}
        datasets[split] = Dataset.from_dict(columns, features=features)
    return datasets, ignored


def _split_folders(root: Path, folders: list[Path]) -> dict[str, Path]:
    """Decides whether the folders are splits or classes; `{"train": root}` if they are classes."""
    named = [folder for folder in folders if folder.name.lower() in SPLIT_ALIASES]
    with_train = [folder for folder in named if SPLIT_ALIASES[folder.name.lower()] == "train"]
    # `train` is also a vehicle: it is a split only if it holds class folders.
    if not with_train or not subfolders(with_train[0], root, []):
        if len(named) == len(folders) > 1:
            lack = f"no class folders in {with_train[0].name!r}" if with_train else "no 'train'"
            raise DataError(
                f"{root} has only the folders {', '.join(folder.name for folder in named)}, which are names of splits, "
                f"and {lack}. Put class folders into a folder 'train', or rename the folders if they are classes."
            )
        return {"train": root}
    others = [folder.name for folder in folders if folder not in named]
    if others:
        raise DataError(
            f"{root} has the folder {with_train[0].name!r} with folders in it, and also {others[0]!r}: splits or "
            f"classes? Move all but train, validation and test elsewhere, or take the folders out of it."
        )
    splits: dict[str, Path] = {}
    for folder in named:
        name = SPLIT_ALIASES[folder.name.lower()]
        if name in splits:
            raise DataError(f"{splits[name]} and {folder} both mean the {name} split. Keep one of them.")
        splits[name] = folder
    return splits


def _refuse_labels(folder: Path, found: dict[str, list[Path]]) -> None:
    """Masks in a folder called `labels` are no class, nor are images in one called `images`."""
    names = {name.casefold(): name for name, paths in found.items() if paths}
    if {"images", "labels"} <= names.keys():
        raise DataError(
            f"{folder} has images in {names['images']!r} and {names['labels']!r}, which are no classes. For masks call "
            f"the second folder 'masks'; else put the images of each class into a folder of its name."
        )


def _check_classes(root: Path, files: dict[str, dict[str, list[Path]]]) -> None:
    for name, paths in files["train"].items():
        if not paths:
            raise DataError(f"Class {name!r} in {root} has 0 training images. Add images or remove its folder.")
    for split, found in files.items():
        for name in found:
            if name not in files["train"]:
                raise DataError(f"Class {name!r} is in the {split} split of {root} but not in train. Add it there.")


def subfolders(folder: Path, root: Path, ignored: list[str]) -> list[Path]:
    """The folders in a folder, sorted; hidden ones and symlinks are noted in `ignored`.

    Raises:
        DataError: If it cannot be read, or a symlink leaves `root`.
    """
    found = []
    try:
        entries = sorted(folder.iterdir())
    except OSError as error:
        raise DataError(f"{folder} cannot be read ({error.strerror}). Give yourself permission to read it.") from error
    for entry in entries:
        if entry.is_symlink() and entry.is_dir():
            _refuse_escape(entry, root)
            ignored.append(f"{entry}: a symlink to a folder that is read anyway")
        elif entry.is_dir() and entry.name.startswith((".", "__")):
            ignored.append(f"{entry}: a hidden folder")
        elif entry.is_dir():
            found.append(entry)
    return found


def images_below(folder: Path, root: Path, ignored: list[str]) -> Iterator[Path]:
    """Yields the images in a folder and the folders in it, sorted in each; other files are noted in `ignored`.

    Raises:
        DataError: For a file that cannot be an image's, or a symlink that leaves `root`.
    """

    def unreadable(error: OSError) -> None:
        raise DataError(f"{error.filename} cannot be read. Give yourself permission to read it.") from error

    for parent, folders, names in os.walk(folder, onerror=unreadable):
        here = Path(parent)
        folders[:] = [path.name for path in subfolders(here, root, ignored)]
        for name in sorted(names):
            path = here / name
            if path.is_symlink():
                _refuse_escape(path, root)
            if name.startswith(".") or path.suffix.lower() not in SUFFIXES:
                ignored.append(f"{path}: not an image")
            elif not str(path).isprintable():
                raise DataError(f"{str(path)!a} has a name with unreadable characters. Rename it.")
            elif not path.is_file():
                raise DataError(f"{path} is not an ordinary file. Replace or remove it.")
            else:
                yield path


def _refuse_escape(path: Path, root: Path) -> None:
    try:
        target = path.resolve()
    except (RuntimeError, OSError):  # a symlink that leads back to itself leads nowhere else, and is no file either
        return
    if not target.is_relative_to(root.resolve()):
        raise DataError(f"{path} is a symlink that leaves {root}. Copy the file into the folder or remove the link.")
