"""Picks test images for the owner's report, with the answers of the locked and the unlocked model."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from torch import Tensor

from spellward.data import ImageTable, MaskTable
from spellward.data.overlays import overlay
from spellward.locking.keying import edit_with_key
from spellward.locking.unlock import UnlockedModel
from spellward.models.grouping import Objects, true_objects
from spellward.models.instances import InstanceModel
from spellward.models.segmentation import SegmentationModel, maps_of_size
from spellward.reports.lock_report import SamplePair


def sample_pairs(unlocked: UnlockedModel, test: ImageTable, count: int = 8, seed: int = 0) -> list[SamplePair]:
    """A few test images, one of each class as far as they go."""
    if unlocked.key is None or unlocked.editor is None:
        return []
    rng = np.random.default_rng(seed)
    classes = np.unique(test.labels)
    rows = [int(rng.choice(np.flatnonzero(test.labels == label))) for label in classes[:count]]
    clean = test.images[rows]
    edited = edit_with_key(unlocked.editor, clean, unlocked.key)
    if isinstance(test, MaskTable) and isinstance(unlocked.model, SegmentationModel):
        truth = test.truth(rows).numpy()
        if isinstance(unlocked.model, InstanceModel):
            return list(_object_pairs(unlocked.model, clean, edited, truth, test.classes))
        return list(_mask_pairs(unlocked.model, clean, edited, truth, test.classes))
    shut, opened = unlocked.model.logits(clean).argmax(axis=1), unlocked.model.logits(edited).argmax(axis=1)
    names = test.classes
    return [
        SamplePair(
            label=names[int(test.labels[row])],
            clean=clean[place].permute(1, 2, 0).numpy(),
            edited=edited[place].permute(1, 2, 0).numpy(),
            locked_answer=names[int(shut[place])],
            unlocked_answer=names[int(opened[place])],
        )
        for place, row in enumerate(rows)
    ]


def _mask_pairs(
    model: SegmentationModel, clean: Tensor, edited: Tensor, truth: np.ndarray, classes: tuple[str, ...]
) -> Iterator[SamplePair]:
    """Clean and edited pictures under what the model sees in each; what it should see stands in words."""
    size, count = int(clean.shape[-1]), len(classes)
    shut, opened = (
        maps_of_size(model.logits(images), size).argmax(axis=1).astype(np.uint8) for images in (clean, edited)
    )
    for row in range(len(clean)):
        yield SamplePair(
            label=_named(truth[row], classes),
            clean=overlay(clean[row].permute(1, 2, 0).numpy(), shut[row], count),
            edited=overlay(edited[row].permute(1, 2, 0).numpy(), opened[row], count),
            locked_answer=_named(shut[row], classes),
            unlocked_answer=_named(opened[row], classes),
        )


def _object_pairs(
    model: InstanceModel, clean: Tensor, edited: Tensor, truth: np.ndarray, classes: tuple[str, ...]
) -> Iterator[SamplePair]:
    """The same with a colour for each object."""
    size = int(clean.shape[-1])
    # Grouped as they were scored: enlarged first, the maps would have more centres.
    seen = [[one.at_size(size) for one in model.objects(images)] for images in (clean, edited)]
    for row, (shut, opened) in enumerate(zip(*seen, strict=True)):
        pictures = [
            overlay(images[row].permute(1, 2, 0).numpy(), found.numbers(), 1 + len(found))
            for images, found in ((clean, shut), (edited, opened))
        ]
        words = [_counted(one, classes) for one in (true_objects(truth[row]), shut, opened)]
        yield SamplePair(words[0], pictures[0], pictures[1], words[1], words[2])


def _counted(found: Objects, classes: tuple[str, ...]) -> str:
    """Classes and how many objects of each, in words."""
    counts = np.bincount(found.classes, minlength=len(classes))
    named = [f"{count} {name}" if count > 1 else name for name, count in zip(classes, counts, strict=True) if count]
    return ", ".join(named) or "nothing"


def _named(ids: np.ndarray, classes: tuple[str, ...]) -> str:
    """The classes that cover a hundredth of a mask or more, in words."""
    shares = {classes[one]: (ids == one).mean() for one in np.unique(ids) if 0 < one < len(classes)}
    return ", ".join(f"{name} {share:.0%}" for name, share in shares.items() if share >= 0.01) or "nothing"
