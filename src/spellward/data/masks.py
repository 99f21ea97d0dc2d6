"""Images and the mask of each: a class and an instance for every pixel."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Self

import numpy as np
import torch
from torch import Tensor

from spellward.data.store import Indices, row_numbers
from spellward.data.table import (
    Images,
    ImageTable,
    MemoryImages,
    channels_first,
    fingerprint_of,
    table_from_arrays,
    view_of,
)
from spellward.errors import DataError

BACKGROUND = "background"
"""Name of class 0."""
IGNORE = 255
"""Class of pixels that are neither learnt from nor judged."""
MAX_CLASSES = 254
"""Most classes beside the background: ids are one byte, and 255 is taken."""


@dataclass(frozen=True, eq=False)
class MaskTable(ImageTable):
    """Images with masks.

    The label of an image is the class, of 1 to K - 1, that covers most of its pixels, so what works by labels
    (splits in proportion, shares, subsets) works here too. No image has the label 0, the background.

    Attributes:
        images: `images[rows]` gives uint8 [B, 3, S, S]; `images.size` is S.
        labels: int64 [N], each in [1, K).
        classes: K names; the first is "background".
        fingerprint: sha256 of pixels, labels, classes and masks (of a subset: of its parent's fingerprint and rows).
        masks: As many and as large as `images`; `masks[rows]` gives uint8 [B, 3, S, S]. Channel 0 is the class id in
            [0, K) or `IGNORE`, channel 1 the number of the instance in its image (0 = none), channel 2 is zero.
    """

    masks: Images
    task: ClassVar[str] = "segmentation"

    def subset(self, indices: Indices) -> Self:
        """The given rows in the given order, images and masks, as views."""
        few = super().subset(indices)
        if few is self:
            return self
        masks = view_of(self.masks, row_numbers(indices, len(self)))
        return replace(self, images=few.images, labels=few.labels, fingerprint=few.fingerprint, masks=masks)

    def truth(self, rows: Indices) -> Tensor:
        """What a model should say of every pixel of the given rows: int64 [B, S, S], in [0, K) or `IGNORE`."""
        return self.masks[rows][:, 0].long()

    def with_images(self, table: ImageTable) -> Self:
        """The same masks with other pictures of the same places, such as edits that move nothing.

        Args:
            table: As many images of the same size, in the same order; its labels and classes are not looked at.

        Raises:
            DataError: For another number or size of images.
        """
        if len(table) != len(self) or table.images.size != self.images.size:
            raise DataError(
                f"{len(self)} masks of {self.images.size} px do not fit {len(table)} images of {table.images.size} px."
            )
        digest = hashlib.sha256(f"{self.fingerprint} seen as {table.fingerprint}".encode()).hexdigest()
        return replace(self, images=table.images, fingerprint=digest)


@dataclass(frozen=True, eq=False)
class InstanceTable(MaskTable):
    """Images with masks in which the objects of one class are told apart, too."""

    task: ClassVar[str] = "instances"

    def truth(self, rows: Indices) -> Tensor:
        """Of every pixel its class, in [0, K) or `IGNORE`, and the number of its object, 0 for none.

        Returns:
            int64 [B, 2, S, S].
        """
        return self.masks[rows][:, :2].long()


def with_masks(table: ImageTable, masks: Images, masks_fingerprint: str, instances: bool = False) -> MaskTable:
    """Gives a table its masks.

    Args:
        table: Labelled as `MaskTable` has it.
        masks: As many and as large as its images, in the channels of `MaskTable.masks`.
        masks_fingerprint: sha256 of the masks.
        instances: Whether objects of one class are to be told apart: an `InstanceTable`.
    """
    kind = InstanceTable if instances else MaskTable
    what = "instances" if instances else "masks"
    digest = hashlib.sha256(f"{table.fingerprint} {what} {masks_fingerprint}".encode()).hexdigest()
    return kind(table.images, table.labels, table.classes, digest, masks)


def mask_table_from_arrays(
    images: np.ndarray | Tensor, masks: np.ndarray | Tensor, classes: Sequence[str] | None = None
) -> MaskTable:
    """Wraps square images and their masks in memory.

    Args:
        images: uint8 [N, S, S, 3], [N, S, S] (grey) or [N, 3, S, S].
        masks: Integers [N, S, S] (class ids), or [N, 2, S, S] or [N, 3, S, S] (class ids, instance numbers, unused).
        classes: K names, the background first; "background", "class 1", ... if not given.

    Raises:
        DataError: For shapes or ids that do not fit, or a mask without an object.
    """
    values = np.asarray(masks)
    if values.ndim == 3:
        values = values[:, None]
    if values.ndim != 4 or values.shape[1] > 3 or values.dtype.kind not in "iu":
        raise DataError(f"Expected integer masks [N, S, S] or [N, 3, S, S], got {values.dtype} {list(values.shape)}.")
    ids = values[:, 0]
    names = tuple(classes) if classes is not None else class_names(int(ids[ids != IGNORE].max(initial=0)) + 1)
    if values.min(initial=0) < 0 or values.max(initial=0) > 255 or ids[ids != IGNORE].max(initial=0) >= len(names):
        raise DataError(f"Some ids in the masks are none of the {len(names)} classes, nor {IGNORE} for ignored pixels.")
    labels = [main_class(mask) for mask in ids.astype(np.uint8)]
    if 0 in labels:
        raise DataError(f"Mask {labels.index(0)} has no object, only background. Leave this image out.")
    pixels = channels_first(np.asarray(images))
    if ids.shape != (len(pixels), *pixels.shape[2:]):
        raise DataError(f"Masks {list(ids.shape)} do not fit images {list(pixels.shape)}. Give every image its own.")
    table = table_from_arrays(pixels, np.asarray(labels, dtype=np.int64), names)
    channels = np.zeros((len(ids), 3, *ids.shape[1:]), dtype=np.uint8)
    channels[:, : min(values.shape[1], 2)] = values[:, :2]
    store = MemoryImages(torch.from_numpy(channels))
    return with_masks(table, store, fingerprint_of(store, table.labels, names))


def main_class(ids: np.ndarray) -> int:
    """The class of 1 to 254 with most pixels in uint8 ids of any shape, the lower one of equals; 0 if there is none."""
    counts = np.bincount(ids.ravel(), minlength=256)[1:IGNORE]
    return int(counts.argmax()) + 1 if counts.any() else 0


def is_background(name: str) -> bool:
    """Whether a name of a class means the background, in capitals or not."""
    return name.strip().casefold() == BACKGROUND


def class_names(count: int) -> tuple[str, ...]:
    """Names for `count` classes that have none: "background", "class 1", "class 2", ..."""
    return (BACKGROUND, *(f"class {number}" for number in range(1, count)))
