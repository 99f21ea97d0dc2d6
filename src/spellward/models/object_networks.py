"""Networks that give a list of objects (Mask R-CNN, mask transformers), seen as ones that give maps.

They find the objects of an image one by one and have losses of their own. Drawn into the maps of an `InstanceModel`
their objects can be scored, probed and shown like everyone's; trained they are by their own losses, and what a decoy
shows is to them an image without an object.
"""

from __future__ import annotations

import contextlib
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from spellward.data.masks import IGNORE
from spellward.models.grouping import EXTRA, SPREAD, Objects

_SURE = 8.0
"""Logit of a pixel's class over the others: sure enough for a softmax of 0.997 among ten."""
_LEAST_SHARE = 0.5
_FEWEST_PIXELS = 4


class ObjectNetwork(nn.Module):
    """A network that finds objects, behind the face of one that gives maps [B, K + 3, S, S].

    Attributes:
        classes: K, the background among them.
        head: Name prefix of the parameters that tell classes.
    """

    head: ClassVar[str]
    classes: int

    @abstractmethod
    def loss(self, pixels: Tensor, truth: Tensor) -> Tensor:
        """The network's own training loss.

        Args:
            pixels: float32 [B, 3, S, S], normalised.
            truth: int64 [B, 2, S, S] of `InstanceTable.truth`; an image may be without an object.
        """

    @abstractmethod
    def find(self, pixels: Tensor) -> list[Objects]:
        """The objects in each of float32 [B, 3, S, S], no pixel in two of them."""

    def forward(self, pixels: Tensor) -> Tensor:
        """What was found, as maps float32 [B, K + 3, S, S] that `objects_in` reads; without gradients."""
        with kept_modes(self), torch.no_grad():
            self.eval()
            found = self.find(pixels.float())
        size = int(pixels.shape[-1])
        drawn = [draw_objects(one, self.classes, size) for one in found]
        return torch.stack(drawn).to(pixels.device) if drawn else pixels.new_zeros(0, self.classes + 3, size, size)


@contextlib.contextmanager
def kept_modes(network: nn.Module) -> Iterator[None]:
    """Puts every layer back into the mode, training or not, that it was in."""
    modes = [(module, module.training) for module in network.modules()]
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training


def draw_objects(objects: Objects, classes: int, size: int) -> Tensor:
    """Maps float32 [K + 3, size, size] in which `objects_in` finds the same objects with the same scores.

    Args:
        objects: At that size.
        classes: K.
        size: S.
    """
    maps = torch.zeros((classes + len(EXTRA), size, size))
    ids = torch.from_numpy(objects.ids().astype(np.int64))
    maps[:classes] = _SURE * nn.functional.one_hot(ids, classes).movedim(-1, 0)
    grid = torch.arange(size, dtype=torch.float32)
    for mask, score in zip(torch.from_numpy(objects.masks), objects.scores, strict=True):
        places = mask.nonzero().float()
        middle = places.mean(dim=0).round()
        down, right = grid[:, None] - middle[0], grid[None, :] - middle[1]
        near = float(score) * torch.exp(-(down.square() + right.square()) / (2 * (size / SPREAD) ** 2))
        maps[classes] = torch.maximum(maps[classes], near)
        for way, away in enumerate((-down, -right), start=1):
            maps[classes + way] = torch.where(mask, away.expand(size, size) / size, maps[classes + way])
    return maps


def without_overlap(masks: Tensor, kinds: Tensor, scores: Tensor, least_score: float = 0.1) -> Objects:
    """Gives each pixel to one object: the one whose score times the mask's probability there is highest.

    What keeps less than half of its pixels is a second finding of another object, and left out (as in MaskFormer's
    inference, arXiv 2107.06278, section 3.4).

    Args:
        masks: float32 [n, S, S], probabilities.
        kinds: int64 [n], each in [1, K).
        scores: float32 [n].
        least_score: Less likely objects are left out.
    """
    size = int(masks.shape[-1])
    order = scores.argsort(descending=True, stable=True)
    order = order[scores[order] >= least_score]
    masks, kinds, scores = masks[order], kinds[order], scores[order]
    if not len(scores):
        return Objects(np.zeros((0, size, size), bool), np.zeros(0, np.int64), np.zeros(0, np.float32))
    owner = (scores[:, None, None] * masks).argmax(dim=0)
    whole = masks > 0.5
    own = whole & (owner == torch.arange(len(scores), device=masks.device)[:, None, None])
    sizes = own.sum(dim=(1, 2))
    kept = (sizes >= _FEWEST_PIXELS) & (sizes >= _LEAST_SHARE * whole.sum(dim=(1, 2)))
    return Objects(own[kept].cpu().numpy(), kinds[kept].cpu().numpy(), scores[kept].float().cpu().numpy())


def objects_of(truth: Tensor) -> list[tuple[Tensor, Tensor]]:
    """Masks bool [n, S, S] and classes int64 [n] of the objects in each image of int64 [B, 2, S, S]."""
    found = []
    for ids, numbers in truth:
        there = [int(number) for number in numbers.unique() if number > 0]
        masks = [numbers == number for number in there]
        kinds = [int(ids[mask][ids[mask] != IGNORE].mode().values) if _known(ids, mask) else 0 for mask in masks]
        kept = [index for index, kind in enumerate(kinds) if kind > 0]
        stacked = torch.stack([masks[index] for index in kept]) if kept else numbers.new_zeros((0, *numbers.shape)) > 0
        found.append((stacked, torch.tensor([kinds[index] for index in kept], dtype=torch.int64, device=truth.device)))
    return found


def _known(ids: Tensor, mask: Tensor) -> bool:
    return bool((ids[mask] != IGNORE).any())


def without_objects(truth: Tensor, rows: Tensor | Sequence[bool] | None = None) -> Tensor:
    """The same truth int64 [B, 2, S, S] with nothing in the given rows, or in all."""
    empty = truth.clone()
    empty[slice(None) if rows is None else torch.as_tensor(rows)] = 0
    return empty
