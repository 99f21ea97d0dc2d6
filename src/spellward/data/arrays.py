"""Arrays and data sets of PyTorch -> a `datasets.Dataset` of `image` and `label`."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import PIL.Image
from datasets import ClassLabel, Dataset, Features, Image

from spellward.data.images import encode_picture
from spellward.data.table import channels_first
from spellward.errors import DataError


class Pairs(Protocol):
    """A data set of PyTorch, by what is asked of it."""

    def __getitem__(self, place: int, /) -> Any:
        """A picture and its class number."""

    def __len__(self) -> int:
        """How many there are."""


def from_arrays(images: Any, labels: Any) -> Dataset:
    """A pair of arrays.

    Args:
        images: uint8 [N, H, W, 3], [N, H, W] or [N, 3, H, W].
        labels: [N], integers from 0 or names.

    Raises:
        DataError: For other shapes, types and numbers.
    """
    try:
        pixels = channels_first(np.asarray(images))
    except ValueError as error:  # NumPy refuses rows of several lengths
        raise DataError("The images have several sizes. Give one array, or files in class folders.") from error
    named = _plain(np.asarray(labels))
    if named.ndim != 1 or len(named) != len(pixels):
        raise DataError(
            f"There are {len(pixels)} images and labels {list(named.shape)}. Give one label for each image."
        )
    if named.dtype.kind not in "iuUb":
        raise DataError(f"The labels are of type {named.dtype}. Give integers from 0, or names.")
    if not len(named) or (named.dtype.kind == "i" and named.min() < 0):
        raise DataError("The arrays have no images or negative labels. Give at least one image and labels from 0.")
    names, codes = np.unique(named, return_inverse=True)
    return _table([_png(one) for one in pixels], codes.tolist(), [str(name) for name in names])


def from_pairs(source: Any) -> Dataset:
    """A data set of PyTorch: anything with a length that gives a picture and a class number by place.

    Args:
        source: Pictures are Pillow's, or uint8 arrays or tensors [3, H, W], [H, W, 3] or [H, W]. `source.classes`
            names the classes if it is there, or that of the whole where the source is a `Subset`.

    Raises:
        DataError: For anything else. Transforms that make floats of pictures have to be left out.
    """
    kind = type(source).__name__
    if not (hasattr(source, "__getitem__") and hasattr(source, "__len__")) or isinstance(source, (np.ndarray, list)):
        raise DataError(
            "Images come from a path, a Hub id, a pair of arrays, a `datasets.Dataset` or a PyTorch data set of "
            f"pictures and class numbers, not from {kind}."
        )
    pictures, labels = [], []
    for place in range(len(source)):
        pair = source[place]
        if not isinstance(pair, (tuple, list)) or len(pair) != 2:
            raise DataError(f"{kind} gives no pairs of a picture and a class number. Give its folder, or arrays.")
        pictures.append(_png_of(pair[0], kind, place))
        labels.append(_number(pair[1], kind))
    if not labels or min(labels) < 0:
        raise DataError(f"{kind} has no images or negative labels. Give at least one image and labels from 0.")
    given = _named(source)
    names = [str(name) for name in (range(max(labels) + 1) if given is None else given)]
    if len(set(names)) < len(names):
        raise DataError(f"{kind} has two classes of one name. Give each class a name of its own.")
    if max(labels) >= len(names):
        raise DataError(f"{kind} names {len(names)} classes, and has an image of class {max(labels)}.")
    return _table(pictures, labels, names)


def names_classes(source: Any) -> bool:
    """Whether a data set of PyTorch says what its classes are called."""
    named = _named(source)
    return named is not None and len(named) > 0


def _named(source: Any) -> Any:
    whole = source
    while not hasattr(whole, "classes") and hasattr(whole, "dataset"):
        whole = whole.dataset  # of a `Subset`
    named = getattr(whole, "classes", None)
    return None if named is None or not len(named) else named


def _table(pictures: list[bytes], labels: list[int], names: list[str]) -> Dataset:
    features = Features({"image": Image(), "label": ClassLabel(names=names)})
    encoded = [{"bytes": one, "path": None} for one in pictures]
    return Dataset.from_dict({"image": encoded, "label": labels}, features=features)


def _plain(labels: np.ndarray) -> np.ndarray:
    """Labels as integers or names, where they are in a type that can also hold others."""
    if labels.dtype.kind == "O" and all(isinstance(one, str) for one in labels.flat):
        return labels.astype(str)
    if labels.dtype.kind == "f" and bool((labels == np.round(labels)).all()):
        return labels.astype(np.int64)
    return labels


def _number(label: Any, kind: str) -> int:
    try:
        number = int(label)
        if number == label:
            return number
    except (TypeError, ValueError):
        pass
    raise DataError(f"{kind} gives {str(label)[:40]!r} for a class. Class numbers are integers from 0.")


def _png_of(picture: Any, kind: str, place: int) -> bytes:
    if isinstance(picture, PIL.Image.Image):
        return encode_picture(picture, f"Picture {place} of {kind}")
    array = np.asarray(picture)
    if array.dtype != np.uint8 or array.ndim not in (2, 3):
        raise DataError(
            f"{kind} gives {array.dtype} {list(array.shape)} for a picture. Leave its transform out: pictures are "
            "Pillow's, or uint8 [3, H, W], [H, W, 3] or [H, W]."
        )
    return _png(channels_first(array[None])[0])


def _png(pixels: np.ndarray) -> bytes:
    return encode_picture(PIL.Image.fromarray(np.ascontiguousarray(pixels.transpose(1, 2, 0))), "An array")
