"""Any `datasets` table -> the columns `image` (datasets.Image) and `label` (ClassLabel), guessed by feature type."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from datasets import ClassLabel, Dataset, Image, Value

from spellward.errors import DataError

_IMAGE_NAMES = ("image", "img", "picture", "pixels")
_LABEL_NAMES = ("label", "labels", "class", "target", "category", "fine_label")


def two_columns(parts: Mapping[str, Dataset], source: str) -> tuple[dict[str, Dataset], list[str]]:
    """Keeps the image and the label of every split, under these names and with the same classes.

    Args:
        parts: Split name -> Dataset.
        source: What to call the source in errors.

    Returns:
        The splits, without those that have no labels, and notes on what was changed.

    Raises:
        DataError: If a column cannot be guessed, or the splits do not agree.
    """
    first = next(iter(parts.values()))
    image = image_column(first, source)
    label, notes = _label_column(first, source)
    found = {}
    for split, dataset in parts.items():
        if image not in dataset.column_names or label not in dataset.column_names:
            raise DataError(f"Split {split!r} of {source} lacks the column {image!r} or {label!r}. Leave it out.")
        dataset = dataset.with_format(None).select_columns([image, label])
        dataset = dataset.rename_columns({old: new for old, new in ((image, "image"), (label, "label")) if old != new})
        found[split] = dataset if dataset.features["image"] == Image() else dataset.cast_column("image", Image())
    done, more = _one_set_of_classes(found, source)
    return done, notes + more


def _one_set_of_classes(parts: dict[str, Dataset], source: str) -> tuple[dict[str, Dataset], list[str]]:
    features = [dataset.features["label"] for dataset in parts.values()]
    if isinstance(features[0], ClassLabel):
        names = list(features[0].names)
        if any(not isinstance(feature, ClassLabel) or feature.names != names for feature in features):
            raise DataError(f"The splits of {source} have different class names. Give them the same ClassLabel.")
        values: dict[Any, int] = {number: number for number in range(len(names))}
    else:
        seen = {value for dataset in parts.values() for value in dataset.unique("label") if value is not None}
        try:
            ordered = sorted(seen)
        except TypeError as error:
            raise DataError(f"The labels of {source} are numbers here and names there. Use one kind.") from error
        names, values = [str(value) for value in ordered], {value: number for number, value in enumerate(ordered)}
    notes: list[str] = []
    labelled = {}
    for split, dataset in parts.items():
        column = [values.get(value, -1) for value in dataset["label"][:]]
        rows = [row for row, number in enumerate(column) if number >= 0]
        if len(rows) < len(column):
            notes.append(
                f"{len(column) - len(rows)} of {len(column)} images of split {split!r} have no label: left out."
            )
        if rows:
            labelled[split] = (dataset, rows, column)
    if not labelled:
        raise DataError(f"{source} has no labelled images. Give it labels, or choose another source.")
    used = sorted({number for _, rows, column in labelled.values() for number in {column[row] for row in rows}})
    if len(used) < len(names):
        missing = [name for number, name in enumerate(names) if number not in set(used)]
        notes.append(f"{len(missing)} classes of {source} have no images and were left out: {', '.join(missing[:5])}.")
    feature = ClassLabel(names=[names[number] for number in used])
    renumber = {old: new for new, old in enumerate(used)}
    done = {}
    for split, (dataset, rows, column) in labelled.items():
        if dataset.features["label"] != feature:
            new = [renumber.get(number, -1) for number in column]
            dataset = dataset.remove_columns("label").add_column("label", new, feature=feature)
        done[split] = dataset if len(rows) == len(dataset) else dataset.select(rows)
    return done, notes


def image_column(dataset: Dataset, source: str) -> str:
    """The column of images, by type and then by name.

    Raises:
        DataError: If there is none, or several without a usual name.
    """
    typed = [name for name, feature in dataset.features.items() if isinstance(feature, Image)]
    encoded = [name for name, feature in dataset.features.items() if holds_bytes(feature)]
    return _choose(typed or encoded, _IMAGE_NAMES, "image", dataset, source)


def _label_column(dataset: Dataset, source: str) -> tuple[str, list[str]]:
    """The column of labels, by name and then by type: a ClassLabel may say other things, such as where images are from.

    Returns:
        Its name, and notes for the owner where another column could have been meant.
    """
    typed = [name for name, feature in dataset.features.items() if isinstance(feature, ClassLabel)]
    plain = [
        name
        for name, feature in dataset.features.items()
        if name.lower() in _LABEL_NAMES and isinstance(feature, Value) and feature.dtype not in ("float32", "float64")
    ]
    usual = [name for name in dict.fromkeys((*typed, *plain)) if name.lower() in _LABEL_NAMES]
    chosen = _choose(usual or typed, _LABEL_NAMES, "label", dataset, source)
    if not usual:
        return chosen, [f"{source} has no classes in a column called label or the like: {chosen!r} is taken for it."]
    others = ", ".join(repr(name) for name in usual if name != chosen)
    notes = [f"The labels of {source} are taken from the column {chosen!r}, not from {others}."] if others else []
    return chosen, notes


def holds_bytes(feature: Any) -> bool:
    """Whether a feature may hold encoded images that nobody declared as such."""
    if isinstance(feature, dict):
        return set(feature) == {"bytes", "path"}
    return isinstance(feature, Value) and feature.dtype in ("binary", "large_binary")


def _choose(found: list[str], usual: tuple[str, ...], kind: str, dataset: Dataset, source: str) -> str:
    if len(found) == 1:
        return found[0]
    for name in usual:
        same = [column for column in found if column.lower() == name]
        if same:
            return name if name in same else same[0]
    problem = f"several {kind} columns ({', '.join(found)})" if found else f"no {kind} column"
    raise DataError(
        f"{source} has {problem} among {', '.join(dataset.column_names)}. Rename the right one to {kind!r} "
        f"(datasets.Dataset.rename_column) and pass the Dataset."
    )
