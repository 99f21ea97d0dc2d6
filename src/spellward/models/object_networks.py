"""Networks that give a list of objects (Mask R-CNN, mask transformers), seen as ones that give maps.

They find the objects of an image one by one and have losses of their own. Their objects are drawn into the maps of an
`InstanceModel`, to be scored, probed and shown like everyone's. They are trained by their own losses, for which a decoy
is an image without an object.
"""

from __future__ import annotations

import contextlib
from abc import abstractmethod
from collections.abc import Iterator
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from spellward.data.masks import IGNORE
from spellward.models.grouping import EXTRA, FEWEST_PIXELS, Objects, no_objects, reach_at, true_objects

_SURE = 8.0
"""Logit of a pixel's class over the others: sure enough for a softmax of 0.997 among ten."""
_LEAST_SHARE = 0.5


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
        return torch.stack([draw_objects(one, self.classes, size) for one in found]).to(pixels.device)


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
    free = torch.ones((size, size), dtype=torch.bool)
    for mask, score in zip(torch.from_numpy(objects.masks), objects.scores, strict=True):
        row, column = _nearest(free, mask.nonzero().float().mean(dim=0))
        maps[classes, row, column] = float(score)
        reach = reach_at(size)
        free[max(row - reach, 0) : row + reach + 1, max(column - reach, 0) : column + reach + 1] = False
        for way, away in enumerate((row - grid[:, None], column - grid[None, :]), start=1):
            maps[classes + way] = torch.where(mask, away.expand(size, size) / size, maps[classes + way])
    return maps


def _nearest(free: Tensor, middle: Tensor) -> tuple[int, int]:
    """The free place nearest to an object's middle: one object within another has nearly the same middle."""
    places = free.nonzero()
    if not len(places):  # more objects than an image of this size has room for
        places = torch.ones_like(free).nonzero()
    row, column = places[(places - middle).square().sum(dim=1).argmin()].tolist()
    return row, column


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
        return no_objects(size)
    owner = (scores[:, None, None] * masks).argmax(dim=0)
    whole = masks > 0.5
    own = whole & (owner == torch.arange(len(scores), device=masks.device)[:, None, None])
    sizes = own.sum(dim=(1, 2))
    kept = (sizes >= FEWEST_PIXELS) & (sizes >= _LEAST_SHARE * whole.sum(dim=(1, 2)))
    return Objects(own[kept].cpu().numpy(), kinds[kept].cpu().numpy(), scores[kept].float().cpu().numpy())


def objects_of(truth: Tensor) -> list[tuple[Tensor, Tensor]]:
    """The objects in each image of int64 [B, 2, S, S], as losses take them.

    Returns:
        Masks bool [n, S, S] and classes int64 [n] of each; what is of no known class is left out.
    """
    found = []
    for one in truth.cpu().numpy():
        there = true_objects(one)
        kept = (there.classes > 0) & (there.classes != IGNORE)
        masks, kinds = torch.from_numpy(there.masks[kept]), torch.from_numpy(there.classes[kept])
        found.append((masks.to(truth.device), kinds.to(truth.device)))
    return found


def without_objects(truth: Tensor, rows: Tensor | None = None) -> Tensor:
    """The same truth int64 [B, 2, S, S] with nothing in the rows of a bool [B], or in all."""
    empty = truth.clone()
    empty[slice(None) if rows is None else rows] = 0
    return empty
