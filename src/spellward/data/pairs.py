"""Images and what makes the mask of each -> checked Datasets of `image`, `label` and `mask`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from datasets import ClassLabel, Dataset, Features, Image

from spellward.data.cleaning import CHUNK, WORKERS, problems_error
from spellward.data.images import upright_size
from spellward.data.mask_images import check_ids, encode_mask, renumbered
from spellward.data.masks import IGNORE, MAX_CLASSES, class_names, main_class
from spellward.data.progress import progress_bar
from spellward.errors import DataError

_SHOWN = 5


class Pair(NamedTuple):
    """An image and how to get its mask.

    Attributes:
        image: A file or encoded bytes.
        name: What to call the pair's mask in errors: the mask's file if it has one.
        mask: Given the upright image's width and height, the class ids and, if known, the instance numbers (0 = none):
            integers [H, W] each.
    """

    image: Path | bytes
    name: str
    mask: Callable[[tuple[int, int]], tuple[np.ndarray, np.ndarray | None]]


class _Mask(NamedTuple):
    png: bytes
    label: int
    ids: frozenset[int]


def pair_datasets(
    parts: Mapping[str, Sequence[Pair]], classes: Sequence[str] | None, source: str
) -> tuple[dict[str, Dataset], list[str]]:
    """Makes and checks every mask.

    Args:
        parts: Split name -> pairs.
        classes: Names, the background first; if not given, as many as the masks have ids.
        source: What to call the source in errors.

    Returns:
        Split name -> Dataset of `image`, `label` (the class with most pixels) and `mask` (see `encode_mask`), in
        memory, images that are files staying on disk; and warnings about images without an object, which are left out.

    Raises:
        DataError: Naming the masks that are broken, do not fit their image or the classes, or ignore every pixel.
    """
    if classes is not None:
        check_class_names(classes, source)
    made, warnings = encoded_masks(parts, None if classes is None else len(classes), source)
    if classes is None:
        classes, gaps = numbered_classes(made, source)
        warnings += gaps
    features = Features({"image": Image(), "label": ClassLabel(names=list(classes)), "mask": Image()})
    datasets = {}
    for split, found in made.items():
        columns: dict[str, list[Any]] = {
            "image": [_stored(parts[split][row].image) for row in found],
            "label": [mask.label for mask in found.values()],
            "mask": [{"bytes": mask.png, "path": None} for mask in found.values()],
        }
        datasets[split] = Dataset.from_dict(columns, features=features)
    return datasets, warnings


def encoded_masks(
    parts: Mapping[str, Iterable[Pair]], count: int | None, source: str
) -> tuple[dict[str, dict[int, _Mask]], list[str]]:
    """Split name -> row -> mask, without the rows that have no object, and a warning for each split that has such rows.

    Args:
        parts: Split name -> pairs; gone through once.
        count: Number of classes; `None` if any id is allowed.
        source: What to call the source in errors.

    Raises:
        DataError: As `pair_datasets`, and if no mask has an object.
    """
    made: dict[str, dict[int, _Mask]] = {}
    empty: dict[str, list[str]] = {}
    problems: list[str] = []
    total = sum(len(pairs) for pairs in parts.values() if isinstance(pairs, Sequence))
    with progress_bar("Checking masks", total) as advance, ThreadPoolExecutor(WORKERS) as threads:
        for split, pairs in parts.items():
            found = made[split] = {}
            row = 0
            rest = iter(pairs)
            while chunk := list(islice(rest, CHUNK)):
                for pair, mask in zip(chunk, threads.map(lambda pair: _judge(pair, count), chunk), strict=True):
                    if isinstance(mask, str):
                        problems.append(mask)
                    elif mask.label == 0:
                        empty.setdefault(split, []).append(pair.name)
                    else:
                        found[row] = mask
                    row += 1
                advance(len(chunk))
    if problems:
        raise problems_error(problems, "masks")
    if not any(made.values()):
        raise DataError(
            f"No mask of {source} has an object, only background (0) and what is left out (255). Number classes from 1."
        )
    warnings = [
        f"{len(names)} masks of split {split!r} have no object, and their images were left out: "
        f"{', '.join(names[:_SHOWN])}{', ...' if len(names) > _SHOWN else '.'}"
        for split, names in empty.items()
    ]
    return made, warnings


def numbered_classes(made: Mapping[str, Mapping[int, _Mask]], source: str) -> tuple[tuple[str, ...], list[str]]:
    """Names for as many classes as masks have ids, and a warning if some of these are in no mask."""
    used = frozenset().union(*(mask.ids for found in made.values() for mask in found.values()))
    highest = max(used)
    unused = [str(number) for number in range(1, highest) if number not in used]
    shown = ", ".join(unused[:_SHOWN]) + (", ..." if len(unused) > _SHOWN else "")
    warning = (
        f"{source} has masks with the id {highest} and none with {shown}; all of these count as classes. If there are "
        "fewer, mend the masks or name the classes."
    )
    return class_names(1 + highest), [warning] if unused else []


def check_class_names(classes: Sequence[str], source: str) -> None:
    """Refuses lists of classes that no mask can have.

    Raises:
        DataError: For no class beside the background, more than 254, or a name that stands twice.
    """
    if len(classes) < 2:
        raise DataError(f"{source} names no class beside the background. Name one or more.")
    if len(classes) > MAX_CLASSES + 1:
        raise DataError(
            f"{source} has {len(classes) - 1} classes beside the background; a mask can tell {MAX_CLASSES} apart. "
            f"Leave out or merge some."
        )
    twice = [name for name in classes if list(classes).count(name) > 1]
    if twice:
        raise DataError(f"{source} names the class {twice[0]!r} twice. Give every class a name of its own.")


def _judge(pair: Pair, count: int | None) -> _Mask | str:
    """The mask, or what is wrong with it."""
    try:
        size = upright_size(pair.image, str(pair.image) if isinstance(pair.image, Path) else f"Image of {pair.name}")
        ids, instances = pair.mask(size)
        if ids.shape[::-1] != size:
            image = f"the image {pair.image}" if isinstance(pair.image, Path) else "its image"
            return (
                f"{pair.name} has {ids.shape[1]} x {ids.shape[0]} pixels, but {image} {size[0]} x {size[1]} (upright). "
                f"Give both the same size."
            )
        checked = check_ids(ids, pair.name, count)
        if (checked == IGNORE).all():
            return f"{pair.name} has only ignored pixels ({IGNORE}). Mend the mask, or remove it and its image."
        if instances is not None:
            instances = renumbered(np.where((checked == 0) | (checked == IGNORE), 0, instances))
            if instances.max() > 255:
                return f"{pair.name} has {instances.max()} instances, more than 255. Remove it and its image."
        ids_used = frozenset(np.unique(checked[checked != IGNORE]).tolist())
        return _Mask(encode_mask(checked, instances), main_class(checked), ids_used)
    except DataError as error:
        return str(error)


def _stored(image: Path | bytes) -> dict[str, Any]:
    if isinstance(image, bytes):
        return {"bytes": image, "path": None}
    return {"bytes": None, "path": str(image)}
