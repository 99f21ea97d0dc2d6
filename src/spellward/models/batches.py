"""Batches: what training reads from any source of examples, and what looks at a batch on the way."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NotRequired, Protocol, TypedDict

import numpy as np
import torch
from torch import Tensor, nn

from spellward.models.augment import augment
from spellward.models.fit_settings import FitSettings
from spellward.models.segmentation import augment_masks
from spellward.models.vision import VisionModel


class Batch(TypedDict):
    """One training batch.

    pixels: uint8 [B, 3, S, S] from the source; float32, normalised, when the objective sees it.
    targets: float32 [B, K], the distribution to be learnt; with masks, how much a pixel of each class counts.
    labels: int64 [B], true classes, for objectives that need them; with masks [B, S, S], the class of each pixel, and
        with instances [B, 2, S, S] (`ImageTable.truth`).
    decoy: int64 [B], 0 for rows to be learnt; other numbers name kinds of rows that must not be.
    answers: float32 [B, K], logits of a teacher, for objectives that know one.
    features: float32 [B, D], what entered the teacher's head.
    """

    pixels: Tensor
    targets: Tensor
    labels: Tensor
    decoy: Tensor
    answers: NotRequired[Tensor]
    features: NotRequired[Tensor]


class ExampleSource(Protocol):
    """Examples by number; `batch` may depend on the epoch, and may return more rows than it was asked for."""

    def __len__(self) -> int: ...

    def batch(self, indices: list[int], epoch: int) -> Batch: ...


Objective = Callable[[nn.Module, Batch], Tensor]
AfterBackward = Callable[[nn.Module, Batch, int], None]
Validate = Callable[[VisionModel], float]
Advance = Callable[[int, int], None]
"""Told (steps done, steps in all)."""


class Examples(torch.utils.data.Dataset[Any]):
    """An `ExampleSource` as a torch dataset that reads, augments and normalises a batch in one go."""

    def __init__(self, source: ExampleSource, model: VisionModel, settings: FitSettings) -> None:
        self.source, self.model, self.settings, self.epoch = source, model, settings, 0

    def __len__(self) -> int:
        return len(self.source)

    def __getitems__(self, indices: list[int]) -> Batch:
        batch = self.source.batch(indices, self.epoch)
        seed = [self.settings.seed, self.epoch, indices[0], indices[-1], 0xA06]
        pixels = augment(self.model.resize(batch["pixels"]), self.settings.augment, np.random.default_rng(seed))
        labels = batch["labels"]
        if labels.ndim > 1:  # masks go where their pixels go
            labels = augment_masks(labels, self.model.input_size, self.settings.augment, np.random.default_rng(seed))
        return {**batch, "pixels": self.model.preprocess(pixels), "labels": labels}
