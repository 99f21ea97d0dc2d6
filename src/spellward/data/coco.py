"""COCO JSON with instances -> images with masks."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from spellward.artifacts import safe_join
from spellward.data.folder import SPLIT_ALIASES
from spellward.data.images import SUFFIXES
from spellward.data.mask_folder import Found
from spellward.data.masks import BACKGROUND, IGNORE, is_background
from spellward.data.pairs import Pair, pair_datasets
from spellward.data.rle import shape_pixels
from spellward.errors import ArtifactError, DataError
from spellward.plain_json import parse_json

_MAX_BYTES = 1 << 30
_KEYS = ("images", "annotations", "categories")
_MOST_FILES = 12
_SURE = ("annotations*.json", "_annotations*.json", "instances*.json", "annotations/*.json")


class _File(NamedTuple):
    """A COCO file, parsed, and the split that its name or folder says."""

    path: Path
    split: str | None
    content: dict[str, Any]


def find_coco(root: Path) -> list[Path]:
    """The COCO files with instances in a folder; none if it is no such folder.

    Looked at are `annotations/*.json` and `*.json`, right in the folder or in folders called train, validation, test.
    Where some files are called instances..., others (captions, key points) are left alone.
    """
    folders = [root, *sorted(path for path in root.iterdir() if path.name.lower() in SPLIT_ALIASES and path.is_dir())]
    sure = {path for folder in folders for pattern in _SURE for path in folder.glob(pattern)}
    instances = [path for path in sorted(sure) if path.name.startswith("instances") and path.is_file()]
    if instances:
        return instances
    other = {path for folder in folders for path in folder.glob("*.json")}
    if len(other) > _MOST_FILES:  # a file for each image: some other format
        other = set()
    return [path for path in sorted(sure | other) if path.is_file() and _looks_like_coco(path, path in sure)]


def read_coco(root: Path, files: list[Path]) -> Found:
    """Reads COCO files with instances.

    Polygons and run lengths become masks, small objects over large ones. Crowds are ignored where no other object is.
    Classes are numbered in the order of the category ids; a category called "background" is class 0. Images are
    looked for beside the file, in `root`, in `images`, and in folders named like the file or its split.

    Args:
        root: The folder that no image may leave.
        files: COCO files in it, as `find_coco` gives them: one, or one for each split.

    Raises:
        DataError: Naming the file and what in it is wrong, and as `pair_datasets`.
    """
    opened = [_open(path, root) for path in files]
    parts: dict[str, list[Pair]] = {}
    paths: dict[str, Path] = {}
    categories: dict[int, str] = {}
    for file in opened:
        split = "train" if len(opened) == 1 else file.split
        if split is None:
            raise DataError(
                f"{root} has {len(opened)} COCO files; say train, validation or test in the name of {file.path}."
            )
        if split in parts:
            raise DataError(f"{paths[split]} and {file.path} both mean the {split} split. Keep one of them.")
        found = _categories(file)
        if categories and found != categories:
            raise DataError(f"{file.path} has other categories than {files[0]}. Give them the same.")
        categories, paths[split] = found, file.path
        parts[split] = list(_pairs(file, root, _numbers(categories)))
    names = [BACKGROUND, *(name for _, name in sorted(categories.items()) if not is_background(name))]
    if not any(parts.values()):
        raise DataError(f"{files[0]} names no images. Check the file.")
    datasets, warnings = pair_datasets({split: pairs for split, pairs in parts.items() if pairs}, names, str(root))
    return Found(datasets, [], warnings)


def _looks_like_coco(path: Path, sure: bool) -> bool:
    """Whether a file has the three keys; a damaged one counts if its name says that it should."""
    try:
        content = _parsed(path)
    except DataError:
        return sure
    return all(isinstance(content.get(key), list) for key in _KEYS)


def _parsed(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise DataError(f"{path} is larger than {_MAX_BYTES:,} bytes. Split it.")
        content = parse_json(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read as JSON ({error}). Get or write it again.") from error
    return content if isinstance(content, dict) else {}


def _open(path: Path, root: Path) -> _File:
    if not path.resolve().is_relative_to(root.resolve()):
        raise DataError(f"{path} is a symlink that leaves {root}. Copy the file into the folder.")
    content = _parsed(path)
    for key in _KEYS:
        rows = content.get(key)
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise DataError(f"{path} has no list of objects called {key!r}, as COCO files have. Check what it is.")
    words = [*re.split(r"[^a-z]+", path.stem.lower()), path.parent.name.lower()]
    return _File(path, next((SPLIT_ALIASES[word] for word in words if word in SPLIT_ALIASES), None), content)


def _categories(file: _File) -> dict[int, str]:
    found: dict[int, str] = {}
    for row in file.content["categories"]:
        number, name = row.get("id"), row.get("name")
        if type(number) is not int or not isinstance(name, str) or not name.strip():
            raise DataError(f"{file.path} has a category without an integer id or a name: {row!s:.80}. Mend it.")
        if number in found:
            raise DataError(f"{file.path} has two categories with the id {number}. Renumber one.")
        found[number] = name.strip()
    return found


def _numbers(categories: dict[int, str]) -> dict[int, int]:
    """Category id -> class id."""
    ids = [number for number, name in sorted(categories.items()) if not is_background(name)]
    return dict.fromkeys(categories, 0) | {number: place for place, number in enumerate(ids, start=1)}


def _pairs(file: _File, root: Path, numbers: dict[int, int]) -> Iterator[Pair]:
    by_image: dict[int, list[dict[str, Any]]] = {}
    for row in file.content["images"]:
        number = row.get("id")
        if type(number) is not int or not isinstance(row.get("file_name"), str):
            raise DataError(f"{file.path} has an image without an integer id or a file_name: {row!s:.80}. Mend it.")
        if number in by_image:
            raise DataError(f"{file.path} has two images with the id {number}. Renumber one.")
        by_image[number] = []
    for row in file.content["annotations"]:
        of_image, of_class = row.get("image_id"), row.get("category_id")
        if (
            type(of_image) is not int
            or type(of_class) is not int
            or of_image not in by_image
            or of_class not in numbers
        ):
            raise DataError(f"{file.path}: annotation {row.get('id')!s:.40} has an unknown image_id or category_id.")
        by_image[of_image].append(row)
    for row in file.content["images"]:
        path = _image_file(row["file_name"], file, root)
        size = row.get("width"), row.get("height")
        yield Pair(path, f"{file.path}: image {path}", partial(_paint, file.path, by_image[row["id"]], numbers, size))


def _image_file(name: str, file: _File, root: Path) -> Path:
    name = name.replace("\\", "/")  # as Windows writes paths
    stem = file.path.stem.removeprefix("instances_").removeprefix("annotations_")
    splits = [alias for alias, split in SPLIT_ALIASES.items() if split == file.split]
    for base in (file.path.parent, root, root / "images"):
        for folder in ("", stem, *splits, *(f"{split}/images" for split in splits)):
            try:
                path = safe_join(root, (base / folder).relative_to(root).joinpath(name).as_posix())
            except ArtifactError as error:
                raise DataError(f"{file.path} names the image {name!r:.80}, which leaves {root}. Mend it.") from error
            if path.is_file():
                if path.suffix.lower() not in SUFFIXES:
                    raise DataError(f"{file.path} names {path}, which is not an image. Mend it.")
                return path
    raise DataError(f"{file.path} names the image {name!r:.80}, which is not in {root}. Add it, or mend the file.")


def _paint(
    path: Path, rows: list[dict[str, Any]], numbers: dict[int, int], stated: tuple[Any, Any], size: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """Class ids and instance numbers, int64 [H, W]; the instances are numbered in the order of the annotations."""
    width, height = size
    if any(one not in (None, other) for one, other in zip(stated, size, strict=True)):
        raise DataError(
            f"{path} says {stated[0]} x {stated[1]} pixels of an image that has {width} x {height}. Mend it."
        )
    ids, instances = np.zeros((height, width), dtype=np.int64), np.zeros((height, width), dtype=np.int64)
    drawn = []
    for place, row in enumerate(rows, start=1):
        name = f"{path}: annotation {row.get('id')!s:.40}"
        pixels = shape_pixels(row.get("segmentation"), width, height, name)
        crowd = bool(row.get("iscrowd"))
        # Only the box with the object is kept: a hundred whole masks of a large image would not fit into memory.
        rows_hit, columns_hit = np.flatnonzero(pixels.any(axis=1)), np.flatnonzero(pixels.any(axis=0))
        if not len(rows_hit):
            continue
        box = np.s_[rows_hit[0] : rows_hit[-1] + 1, columns_hit[0] : columns_hit[-1] + 1]
        label = IGNORE if crowd else numbers[row["category_id"]]
        drawn.append((not crowd, -int(pixels.sum()), place, label, box, pixels[box].copy()))
    for *_, place, label, box, pixels in sorted(drawn, key=lambda one: one[:3]):
        ids[box][pixels] = label
        instances[box][pixels] = place
    return ids, instances
