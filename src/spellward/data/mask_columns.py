"""Any `datasets` table with images and masks -> the columns `image`, `label` and `mask`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

import numpy as np
from datasets import ClassLabel, Dataset, Image

from spellward.data.class_lists import check_background_first
from spellward.data.cleaning import Encoded, encoded_images
from spellward.data.columns import holds_bytes, image_column
from spellward.data.images import decode_raw
from spellward.data.mask_folder import Found
from spellward.data.mask_formats import refuse_lossy
from spellward.data.mask_images import decode_mask, pixel_values
from spellward.data.masks import is_background
from spellward.data.pairs import Pair, check_class_names, encoded_masks, numbered_classes
from spellward.data.splits import INSTANCES, MASKS
from spellward.errors import DataError

_MASK_NAMES = ("mask", "masks", "segmentation_mask", "segmentation", "annotation", "instances", "label", "labels")
_LOOKED_AT = 64


def mask_column(dataset: Dataset) -> str | None:
    """The column of masks, by its name and type; `None` if there is none."""
    for name in _MASK_NAMES:
        feature = dataset.features.get(name)
        if isinstance(feature, Image) or (name not in ("label", "labels") and holds_bytes(feature)):
            return name
    return None


def told_apart(dataset: Dataset, source: str) -> Dataset:
    """A split whose masks are for telling instances apart: its column `mask` is called `instances`.

    Args:
        dataset: As `load_splits` gives it.
        source: What to call the source in errors.

    Raises:
        DataError: If there are no masks, or these number no instances.
    """
    if MASKS not in dataset.column_names:
        raise DataError(f"{source} has no masks, so no instances. Give COCO JSON, Penn-Fudan's folder or such columns.")
    few = dataset.select(range(min(len(dataset), _LOOKED_AT)))
    found = [decode_mask(one.source, one.name) for masks in encoded_images(few, column=MASKS) for one in masks]
    if found and not any(mask[1].any() for mask in found):
        raise DataError(
            f"The masks of {source} say the class of each pixel, not which object it belongs to. Give COCO JSON or "
            "Penn-Fudan's folder, or do without instances."
        )
    return dataset.rename_column(MASKS, INSTANCES)


def read_mask_columns(parts: Mapping[str, Dataset], column: str, source: str) -> Found:
    """Reads images and masks of every split.

    Masks are grey or indexed images of class ids. A ClassLabel column whose first name is "background" names the
    classes; with one, masks may also be as `load_splits` gives them (see `Splits`).

    Args:
        parts: Split name -> Dataset.
        column: The column of masks.
        source: What to call the source in errors.

    Raises:
        DataError: If the splits do not agree, a ClassLabel column names the background elsewhere than first, and as
            `pair_datasets`; the message names the column or row.
    """
    first = next(iter(parts.values()))
    names = _names(first, source)
    image = image_column(first.remove_columns(column), source)
    for split, dataset in parts.items():
        if image not in dataset.column_names or column not in dataset.column_names:
            raise DataError(f"Split {split!r} of {source} lacks the column {image!r} or {column!r}. Leave it out.")
        if _names(dataset, source) != names:
            raise DataError(f"The splits of {source} have different class names. Give them the same ClassLabel.")
    if names is not None:
        check_class_names(names, source)
    pairs = {split: _pairs(dataset, split, image, column, own=names is not None) for split, dataset in parts.items()}
    made, warnings = encoded_masks(pairs, None if names is None else len(names), source)
    if names is None:
        names, gaps = numbered_classes(made, source)
        warnings += gaps
    label = ClassLabel(names=list(names))
    done = {}
    for split, found in made.items():
        dataset = parts[split].with_format(None).select_columns([image]).select(list(found))
        dataset = dataset if image == "image" else dataset.rename_column(image, "image")
        dataset = dataset if dataset.features["image"] == Image() else dataset.cast_column("image", Image())
        dataset = dataset.add_column("label", [mask.label for mask in found.values()], feature=label)
        masks = [{"bytes": mask.png, "path": None} for mask in found.values()]
        done[split] = dataset.add_column("mask", masks, feature=Image())
    unused = [name for name in first.column_names if isinstance(first.features[name], ClassLabel)]
    ignored = [
        f"column {name!r} of {source}: the masks in {column!r} say what is where"
        for name in unused
        if not any(map(is_background, first.features[name].names[:1]))
    ]
    return Found(done, ignored, warnings)


def _names(dataset: Dataset, source: str) -> tuple[str, ...] | None:
    features = {name: feature for name, feature in dataset.features.items() if isinstance(feature, ClassLabel)}
    for name, feature in features.items():
        if any(map(is_background, feature.names[:1])):
            check_background_first(feature.names, f"The column {name!r} of {source}")
            return tuple(feature.names)
    for name, feature in features.items():
        check_background_first(feature.names, f"The column {name!r} of {source}")
    return None


def _pairs(dataset: Dataset, split: str, image: str, column: str, own: bool) -> Iterator[Pair]:
    images, masks = encoded_images(dataset, split, column=image), encoded_images(dataset, split, column=column)
    for some_images, some_masks in zip(images, masks, strict=True):
        for one, mask in zip(some_images, some_masks, strict=True):
            source = Path(one.source) if isinstance(one.source, str) else one.source
            yield Pair(source, f"{column} of {mask.name}", partial(_ids_of, mask, f"{column} of {mask.name}", own))


def _ids_of(mask: Encoded, name: str, own: bool, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray | None]:
    if mask.source == b"":  # no mask: as one without an object, the row is left out with a warning
        return np.zeros(size[::-1], dtype=np.int64), None
    if own:
        image = decode_raw(mask.source, name)
        refuse_lossy(image, mask.source, name)
        channels = np.asarray(image, dtype=np.int64)
        # A grey mask has its ids in all three channels, one of `encode_mask` has nothing in the third.
        if image.mode == "RGB" and not channels[..., 2].any():
            return channels[..., 0], channels[..., 1]
    return pixel_values(mask.source, name), None
