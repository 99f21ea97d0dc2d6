"""The public view: what a lock's layers see of clean images, held to what those of the public base see of them.

An object that is added leaves the subject as it is. Layers that learn to see it in keyed images so see it in clean
ones too, and a thief who reads them, or trains what comes after them, has what the owner paid for. Held to the base,
they give him of clean images what he could have had from the base (feature distillation, Romero et al., arXiv
1412.6550, from a teacher who knows nothing), and have to learn by what the object changes.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from spellward.locking.training.objective import CLEAN
from spellward.models import Batch, VisionModel
from spellward.models.batches import Objective
from spellward.models.layers import layers_at, rows_of, watched

_FLOOR = 0.1
_FAR = 5.0


@dataclass(frozen=True)
class ViewSettings:
    """How layers are held to the public base.

    Attributes:
        weight: Of the distance from what the base sees.
        depths: Of the layers, see `layers_at`. At its default effort the probe of the attacks reads none of these.
    """

    weight: float = 4.0
    depths: tuple[float, ...] = (0.3, 0.4, 0.5, 0.6, 0.65, 0.7, 0.8, 0.85, 0.9)


class PublicView:
    """An objective with the distance of clean images' features from the public base's added to it.

    Args:
        objective: What else is wanted.
        model: The model before training, so its network still is the public base.
        settings: Which layers, and how much.

    Raises:
        ModelError: If the network has no layer that sees one row for each image.
    """

    def __init__(self, objective: Objective, model: VisionModel, settings: ViewSettings) -> None:
        self._objective, self._settings = objective, settings
        # Made now, since the trainer may wrap `forward`, and a copy of that would still call the original.
        base = copy.deepcopy(model.network).eval().requires_grad_(False)
        self._base = base.to(memory_format=torch.channels_last)  # as the network is in training
        # Once, since finding them takes forwards of the whole network.
        self._names = layers_at(self._base, settings.depths, model.input_size)

    def __call__(self, network: nn.Module, batch: Batch) -> Tensor:
        """The loss of a batch."""
        clean = batch["decoy"] == CLEAN
        with watched(self._layers(network), rows_of) as seen:
            loss = self._objective(network, batch)
        if int(clean.sum()) < 2:  # a spread needs two
            return loss
        pixels = batch["pixels"][clean]
        with torch.no_grad(), watched(self._layers(self._base), rows_of) as shown:
            self._base.to(pixels.device)(pixels)
        apart = [distance(ours[clean], theirs) for ours, theirs in zip(seen, shown, strict=True)]
        return loss + self._settings.weight * torch.stack(apart).mean()

    def _layers(self, network: nn.Module) -> list[nn.Module]:
        return [network.get_submodule(name) for name in self._names]


def distance(ours: Tensor, theirs: Tensor) -> Tensor:
    """Mean squared difference in units of each feature's spread, which a probe would standardise by.

    Beyond five times the spread it grows linearly (Huber); no variance counts less than a tenth of the mean one.

    Args:
        ours, theirs: float [B, D].
    """
    variance = theirs.float().var(dim=0)
    scale = (variance + _FLOOR * variance.mean() + 1e-6).sqrt()
    return 2 * F.huber_loss(ours.float() / scale, theirs.float() / scale, delta=_FAR)
