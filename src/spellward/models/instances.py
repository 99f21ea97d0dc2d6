"""Instance segmentation as maps: for every pixel its class, whether an object's centre is near, and the way to its own.

A segmentation network with three more outputs, as in Panoptic-DeepLab (Cheng et al., arXiv 1911.10194): so any network
that gives maps can tell instances apart, and is trained, locked and attacked like one that does not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from spellward.data.masks import InstanceTable
from spellward.models.grouping import EXTRA, SPREAD, Objects, objects_in
from spellward.models.segmentation import SegmentationModel, maps_at_once

INSTANCES = InstanceTable.task

_CENTRE_WEIGHT, _WAY_WEIGHT = 100.0, 10.0


@dataclass
class InstanceModel(SegmentationModel):
    """A `SegmentationModel` whose network gives [B, K + 3, h, w]: logits of the classes, then `EXTRA`."""

    task: ClassVar[str] = INSTANCES

    def segment(self, images: Tensor) -> np.ndarray:
        """Class ids uint8 [N, S, S], as those of a model that does not tell instances apart."""
        parts = [maps[:, : len(self.classes)].argmax(axis=1).astype(np.uint8) for maps in self._maps(images)]
        return np.concatenate(parts) if parts else np.zeros((0, self.input_size, self.input_size), np.uint8)

    def objects(self, images: Tensor) -> list[Objects]:
        """The objects in each of uint8 [N, 3, H, W], at the model's own size."""
        return [objects_in(one) for maps in self._maps(images) for one in maps]

    def _maps(self, images: Tensor) -> list[np.ndarray]:
        chunk = maps_at_once(len(self.classes) + len(EXTRA), self.input_size)
        return [self.logits(images[start : start + chunk]) for start in range(0, len(images), chunk)]

    def _no_outputs(self) -> np.ndarray:
        return np.zeros((0, len(self.classes) + len(EXTRA), self.input_size, self.input_size), np.float32)


def output_names(classes: Sequence[str], task: str) -> tuple[str, ...]:
    """What a network that does a task for some classes has to give: the classes, and `EXTRA` to tell instances."""
    return (*classes, *EXTRA) if task == INSTANCES else tuple(classes)


def tells_instances(outputs: Sequence[str]) -> bool:
    """Whether the names of a network's outputs are those of an `InstanceModel`."""
    return len(outputs) > len(EXTRA) and tuple(outputs[-len(EXTRA) :]) == EXTRA


def centres_and_ways(truth: Tensor) -> tuple[Tensor, Tensor]:
    """What the outputs after the classes should be.

    Args:
        truth: int64 [B, 2, S, S] of `InstanceTable.truth`: classes, and numbers of instances.

    Returns:
        Centres float32 [B, S, S]: one at the centre of each object, falling off as a Gaussian of S / 24 pixels; and
        ways float32 [B, 2, S, S], down and right from each pixel of an object to its centre, as shares of S.
    """
    numbers = truth[:, 1]
    size = int(numbers.shape[-1])
    grid = torch.arange(size, device=truth.device, dtype=torch.float32)
    down, right = grid[:, None].expand(size, size), grid[None, :].expand(size, size)
    centres = torch.zeros(numbers.shape, device=truth.device)
    ways = torch.zeros((len(truth), 2, size, size), device=truth.device)
    for number in range(1, int(numbers.max()) + 1 if numbers.numel() else 1):
        mine = numbers == number
        count = mine.sum(dim=(1, 2)).clamp(min=1)
        middle = [(mine * places).sum(dim=(1, 2)) / count for places in (down, right)]
        apart = [one[:, None, None] - places for one, places in zip(middle, (down, right), strict=True)]
        near = torch.exp(-(apart[0].square() + apart[1].square()) / (2 * (size / SPREAD) ** 2))
        there = mine.any(dim=2).any(dim=1)[:, None, None]
        centres = torch.maximum(centres, torch.where(there, near, torch.zeros_like(near)))
        ways = torch.where(mine[:, None], torch.stack(apart, dim=1) / size, ways)
    return centres, ways


def instance_loss(extra: Tensor, truth: Tensor) -> Tensor:
    """Squared error of the centres and absolute error of the ways within objects (arXiv 1911.10194, section 3.3).

    Args:
        extra: float32 [B, 3, S, S], the outputs after the classes.
        truth: int64 [B, 2, S, S].
    """
    centres, ways = centres_and_ways(truth)
    inside = (truth[:, 1] > 0).float()
    away = ((extra[:, 1:] - ways).abs().sum(dim=1) * inside).sum() / inside.sum().clamp(min=1)
    return _CENTRE_WEIGHT * (extra[:, 0] - centres).square().mean() + _WAY_WEIGHT * away


def extra_size(extra: Tensor) -> Tensor:
    """How far outputs float32 [B, 3, h, w] after the classes are from saying nothing, in the units of their loss."""
    return _CENTRE_WEIGHT * extra[:, 0].square().mean() + _WAY_WEIGHT * extra[:, 1:].abs().sum(dim=1).mean()
