"""Folders of images and masks: `images/` beside `masks/`, and Penn-Fudan's `PNGImages/` beside `PedMasks/`."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from datasets import Dataset

from spellward.data.class_lists import LISTS, Palette, class_list
from spellward.data.folder import SPLIT_ALIASES, images_below, subfolders
from spellward.data.mask_images import palette_ids, pixel_values
from spellward.data.masks import BACKGROUND
from spellward.data.pairs import Pair, pair_datasets
from spellward.errors import DataError


class Found(NamedTuple):
    """What a reader of segmentation data gives: split name -> Dataset, what is not used, and warnings."""

    parts: dict[str, Dataset]
    ignored: list[str]
    warnings: list[str]


def is_mask_folder(root: Path) -> bool:
    """Whether there are `images` and `masks`, right in the folder or in one of its splits."""
    return any(_pair(folder, root) for folder in (root, *_split_folders(root, root).values()))


def is_penn_fudan(root: Path) -> bool:
    """Whether this is the folder of the Penn-Fudan pedestrians."""
    return {path.name for path in subfolders(root, root, [])}.issuperset(("PNGImages", "PedMasks"))


def read_mask_folder(root: Path) -> Found:
    """Pairs images with masks of the same name.

    Args:
        root: `root/images/` and `root/masks/`; or these in `root/train/` (and `validation/`, `test/`); or
            `root/images/train/` and `root/masks/train/`. A mask is called as its image, or that with `_mask`; it holds
            class ids (grey or indexed) or, with `palette.json` beside the folders, colours. `classes.txt` (a name per
            line, the background first) or `classes.json` (a list, or an object of id -> name) name the classes.

    Raises:
        DataError: For images without masks, masks without images, lists that cannot be used, and as `pair_datasets`.
    """
    ignored: list[str] = []
    classes, palette, warnings = class_list(root)
    parts = {}
    for split, (images, masks) in _folder_pairs(root, ignored).items():
        parts[split] = [
            Pair(image, str(mask), partial(_ids_of, mask, palette))
            for image, mask in _matched(images, masks, root, ignored)
        ]
    if not any(parts.values()):
        raise DataError(f"{root} has no images in its folders of images. Check the path.")
    datasets, more = pair_datasets({split: pairs for split, pairs in parts.items() if pairs}, classes, str(root))
    return Found(datasets, ignored, [*warnings, *more])


def read_penn_fudan(root: Path) -> Found:
    """Reads `PNGImages/NAME.png` and `PedMasks/NAME_mask.png`, whose values number the pedestrians from 1.

    Raises:
        DataError: As `read_mask_folder`.
    """
    ignored = [f"{path}: not used" for path in sorted(root.iterdir()) if path.name not in ("PNGImages", "PedMasks")]
    matched = _matched(root / "PNGImages", root / "PedMasks", root, ignored)
    pairs = [Pair(image, str(mask), partial(_instances_of, mask)) for image, mask in matched]
    if not pairs:
        raise DataError(f"{root} has no images in PNGImages. Check the path.")
    datasets, warnings = pair_datasets({"train": pairs}, (BACKGROUND, "pedestrian"), str(root))
    return Found(datasets, ignored, warnings)


def _pair(folder: Path, root: Path) -> tuple[Path, Path] | None:
    """The folders `images` and `masks` in a folder, in capitals or not, if there are both.

    Symlinks do not count, and are refused if they leave `root`.
    """
    found: dict[str, Path] = {}
    for path in subfolders(folder, root, []):
        name = path.name.casefold()
        if name in ("images", "masks") and name in found:
            raise DataError(f"{found[name]} and {path} both mean the {name}. Keep one of them.")
        found[name] = path
    return (found["images"], found["masks"]) if {"images", "masks"} <= found.keys() else None


def _split_folders(folder: Path, root: Path) -> dict[str, Path]:
    """Split name -> folder, of the folders called train, validation, test and the like."""
    found: dict[str, Path] = {}
    for path in subfolders(folder, root, []):
        name = SPLIT_ALIASES.get(path.name.lower())
        if name is None:
            continue
        if name in found:
            raise DataError(f"{found[name]} and {path} both mean the {name} split. Keep one of them.")
        found[name] = path
    return found


def _folder_pairs(root: Path, ignored: list[str]) -> dict[str, tuple[Path, Path]]:
    """Split name -> folders of images and of masks."""
    whole = _pair(root, root)
    if whole is None:
        splits = _split_folders(root, root)
        pairs: dict[str, tuple[Path, Path]] = {}
        for name, folder in splits.items():
            pair = _pair(folder, root)
            if pair is None:
                raise DataError(f"{folder} lacks the folder 'images' or 'masks', which other splits have. Add it.")
            pairs[name] = pair
        ignored += _unused(root, {folder.name for folder in splits.values()})
        return pairs
    ignored += _unused(root, {path.name for path in whole})
    images, masks = (_split_folders(path, root) for path in whole)
    if "train" not in images and "train" not in masks:
        return {"train": whole}
    for name, folder in (images | masks).items():
        if name not in images or name not in masks:
            raise DataError(f"{folder} is a split of the images or the masks, but not of both. Add the other.")
    return {name: (images[name], masks[name]) for name in images}


def _unused(root: Path, used: set[str]) -> list[str]:
    return [f"{path}: not used" for path in sorted(root.iterdir()) if path.name not in used and path.name not in LISTS]


def _matched(images: Path, masks: Path, root: Path, ignored: list[str]) -> list[tuple[Path, Path]]:
    """Pairs by their paths without ending."""
    pictures = _by_stem(images, root, ignored)
    found = _by_stem(masks, root, ignored)
    for stem in list(found):
        if stem not in pictures and stem.removesuffix("_mask") in pictures:
            short = stem.removesuffix("_mask")
            if short in found:
                raise DataError(f"{found[short]} and {found[stem]} are masks of one image. Remove one of them.")
            found[short] = found.pop(stem)
    for stem, path in pictures.items():
        if stem not in found:
            raise DataError(f"{path} has no mask in {masks}. Add {stem}.png there, or remove the image.")
    for stem, path in found.items():
        if stem not in pictures:
            raise DataError(f"{path} has no image in {images}. Add it there, or remove the mask.")
    return [(path, found[stem]) for stem, path in pictures.items()]


def _by_stem(folder: Path, root: Path, ignored: list[str]) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for path in images_below(folder, root, ignored):
        stem = path.relative_to(folder).with_suffix("").as_posix()
        if stem in found:
            raise DataError(f"{found[stem]} and {path} have the same name but for the ending. Remove or rename one.")
        found[stem] = path
    return found


def _ids_of(mask: Path, palette: Palette | None, _size: tuple[int, int]) -> tuple[np.ndarray, None]:
    return (pixel_values(mask, str(mask)) if palette is None else palette_ids(mask, str(mask), palette)), None


def _instances_of(mask: Path, _size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    instances = pixel_values(mask, str(mask))
    return (instances > 0).astype(np.int64), instances
