"""Unlocking: the key and its editor in front of a locked model, in one call."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from spellward.data import ImageTable
from spellward.editors.base import Editor
from spellward.errors import KeyRefusedError, ModelError
from spellward.hardware import find_device
from spellward.keys import Key, key_from
from spellward.locking.folder import read_lock
from spellward.locking.keying import edit_with_key, editor_for
from spellward.locking.pictures import Images, pixels_of
from spellward.models import VisionModel, load_checkpoint
from spellward.models.grouping import Objects
from spellward.models.instances import InstanceModel
from spellward.models.segmentation import SegmentationModel
from spellward.models.vision import CLASSIFICATION


@dataclass(frozen=True)
class Predictions:
    """Class probabilities float32 [N, K], the names of the K classes, and the seconds for editing and for the model."""

    probabilities: np.ndarray
    classes: tuple[str, ...]
    edit_seconds: float
    model_seconds: float

    @property
    def labels(self) -> tuple[str, ...]:
        """The likeliest class of each image."""
        return tuple(self.classes[index] for index in self.probabilities.argmax(axis=1))

    def top(self, count: int) -> Iterator[list[tuple[str, float]]]:
        """Yields for each image its `count` likeliest classes with their probabilities."""
        for row in self.probabilities:
            best = np.argsort(-row, kind="stable")[:count]
            yield [(self.classes[index], float(row[index])) for index in best]


@dataclass(frozen=True)
class Segmentations:
    """Class ids uint8 [N, S, S] (0 is the background), the classes, and the seconds for editing and for the model.

    Of a model that tells instances apart, also the objects in each image; the class ids are theirs.
    """

    masks: np.ndarray
    classes: tuple[str, ...]
    edit_seconds: float
    model_seconds: float
    objects: tuple[Objects, ...] = ()

    def shares(self) -> Iterator[dict[str, float]]:
        """Yields for each image the share of its pixels that each foreground class found in it covers."""
        for mask in self.masks:
            counts = np.bincount(mask.ravel(), minlength=len(self.classes)) / mask.size
            yield {name: float(counts[place]) for place, name in enumerate(self.classes) if place and counts[place]}


class UnlockedModel:
    """A locked model with its key: edits, then predicts. Without a key it shows what a stranger gets."""

    def __init__(self, model: VisionModel, key: Key | None, editor: Editor | None) -> None:
        self.model, self.key, self.editor = model, key, editor

    @property
    def resolution(self) -> int:
        """Side at which images are edited (and should be handed in), in pixels."""
        return self.model.input_size if self.key is None or self.key.resolution is None else self.key.resolution

    def edited(self, images: Images) -> Tensor:
        """uint8 [N, 3, S, S] edited with the key, if there is one; `images` as for `predict`."""
        images = pixels_of(images, self.resolution)
        return images if self.key is None or self.editor is None else edit_with_key(self.editor, images, self.key)

    def segment(self, images: Images) -> Segmentations:
        """Masks for uint8 [N, 3, S, S], where S should be `resolution`, or for files and Pillow images, one or many.

        Raises:
            ModelError: If the model is a classifier.
            DataError: If `images` are something else, or one cannot be read.
        """
        if not isinstance(self.model, SegmentationModel):
            raise ModelError("This model classifies images and gives no masks; use `predict`.")
        images = pixels_of(images, self.resolution)
        begun = time.perf_counter()
        images = self.edited(images)
        edited = time.perf_counter()
        if isinstance(self.model, InstanceModel):
            objects = tuple(self.model.objects(images))
            masks = np.stack([one.ids() for one in objects]) if objects else self.model.segment(images)
        else:
            objects, masks = (), self.model.segment(images)
        return Segmentations(masks, self.model.classes, edited - begun, time.perf_counter() - edited, objects)

    def predict(self, images: Images) -> Predictions:
        """Predicts for uint8 [N, 3, S, S], where S should be `resolution`, or for files and Pillow images, one or many.

        Raises:
            ModelError: If the model gives masks.
            DataError: If `images` are something else, or one cannot be read.
        """
        if self.model.task != CLASSIFICATION:
            raise ModelError("This model gives masks instead of one class an image; use `segment`.")
        images = pixels_of(images, self.resolution)
        begun = time.perf_counter()
        images = self.edited(images)
        edited = time.perf_counter()
        logits = self.model.logits(images)
        return Predictions(
            torch.softmax(torch.as_tensor(logits), dim=1).numpy(),
            self.model.classes,
            edited - begun,
            time.perf_counter() - edited,
        )

    def predict_table(self, table: ImageTable, batch_size: int = 256) -> Predictions:
        """Predicts for a whole table, a batch at a time."""
        parts = [self.predict(images) for images, _ in table.batches(batch_size)] or [self.predict(table.images[:])]
        return Predictions(
            np.concatenate([part.probabilities for part in parts]),
            self.model.classes,
            sum(part.edit_seconds for part in parts),
            sum(part.model_seconds for part in parts),
        )


def unlock(
    model: str | Path | VisionModel,
    key: Key | str | Path | None,
    *,
    editor: Editor | None = None,
    module: nn.Module | None = None,
    device: str | None = None,
) -> UnlockedModel:
    """Puts a key in front of a locked model.

    Args:
        model: A locked folder, or a model in memory (which cannot be checked against the key).
        key: The key, or the path of a key file without a passphrase; `None` gives the model as a stranger sees it.
        editor: An editor that is loaded already.
        module: For a folder that was locked from a module in memory: one like it, which is copied and filled.
        device: Where the model computes: "cuda", say, or "auto", which takes the GPU if there is one. `None` leaves a
            model where it is, and that of a folder on the CPU.

    Raises:
        KeyRefusedError: If there is no such key, it belongs to another model, or its editor differs.
        ModelError: If the folder was locked from a module and none is given, or there is no such device.
        ArtifactError: If the folder is no locked model, or was altered since it was locked.
    """
    key = None if key is None else key_from(key)
    if not isinstance(model, VisionModel):
        folder = Path(model)
        record = read_lock(folder)
        if key is not None and key.lock_id != record.lock_id:
            raise KeyRefusedError(
                f"This key belongs to another model (lock {key.lock_id[:8]}, not {record.lock_id[:8]}). Use the key "
                "written beside the locked folder, or `spellward key pair` if you know that they belong together."
            )
        record.verify(folder, key)
        model = load_checkpoint(folder, module=module)
    if device is not None:
        model.network.to(find_device(device))
    return UnlockedModel(model, key, editor_for(key, editor) if key is not None else None)
