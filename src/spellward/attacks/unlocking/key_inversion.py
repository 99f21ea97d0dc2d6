"""Key inversion: a small image-to-image network, learnt in front of the frozen locked model, in the key's stead."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import torch
from torch import Tensor, nn

from spellward.attacks.unlocking.search import Candidate, judge, search
from spellward.attacks.unlocking.thief import Loot, Predictor, Thief
from spellward.attacks.unlocking.tuning import Tuning, tune
from spellward.data import ImageTable
from spellward.models import VisionModel, logits_of_output

_SETTINGS = (("near", False, 1e-2), ("bold", True, 1e-2), ("near", False, 3e-3), ("bold", True, 3e-3))
_BOLDNESS = 3.0
_DRAWN = 24


class InputAdapter(nn.Module):
    """Redraws normalised images: a palette and local strokes, from three convolutions and a skip of its own.

    float32 [B, 3, S, S] in and out.

    Args:
        boldness: How far from the identity it begins; 1 is near to it.
        channels: Width.
    """

    def __init__(self, boldness: float = 1.0, channels: int = 24) -> None:
        super().__init__()
        self.skip = nn.Conv2d(3, 3, 1)
        last = nn.Conv2d(channels, 3, 5, padding=2)
        self.strokes = nn.Sequential(
            nn.Conv2d(3, channels, 5, padding=2),
            nn.GELU(),
            nn.Conv2d(channels, channels, 5, padding=2, groups=4),
            nn.GELU(),
            last,
        )
        with torch.no_grad():
            mixing = torch.eye(3) + (boldness - 1) * torch.randn(3, 3) / 3
            self.skip.weight.copy_(mixing[:, :, None, None])
            last.weight.mul_(boldness)

    def forward(self, pixels: Tensor) -> Tensor:
        redrawn: Tensor = self.skip(pixels) + self.strokes(pixels)
        return redrawn


class AdaptedNetwork(nn.Module):
    """An adapter in front of a network."""

    def __init__(self, network: nn.Module, boldness: float = 1.0) -> None:
        super().__init__()
        self.adapter, self.network = InputAdapter(boldness), network

    def forward(self, pixel_values: Tensor) -> Tensor:
        return logits_of_output(self.network(self.adapter(pixel_values)))


def key_inversion(model: VisionModel, thief: Thief) -> Loot:
    """Trains the adapter alone, by cross-entropy on the labelled images, from near the identity or from a bold start.

    A lock may give clean images no gradient at all (features that are zero behind a ReLU), so a bold start is the
    best of some random adapters.
    """
    candidates = [
        Candidate(f"{name} start, {rate:g}", partial(_learn, model, thief, bold, rate))
        for name, bold, rate in thief.effort.some(_SETTINGS)
    ]
    return search(thief, candidates)


def _learn(model: VisionModel, thief: Thief, bold: bool, rate: float, images: ImageTable) -> Predictor:
    adapted = _adapted(model, thief.seed)
    if bold:
        drawn = [_adapted(model, thief.seed + number, _BOLDNESS) for number in range(1, _DRAWN + 1)]
        adapted = max(drawn, key=lambda one: judge(thief, one.logits, images))
    steps = 2 * thief.effort.steps_for(len(images))
    pixels, labels = images.images[:], images.labels
    trained = tune(adapted, pixels, labels, Tuning(rate), steps, thief.seed, trained=_is_adapters)
    return trained.logits


def _adapted(model: VisionModel, seed: int, boldness: float = 1.0) -> VisionModel:
    """The model behind a fresh adapter; its own network is shared, since `tune` works on a copy."""
    torch.manual_seed(seed)
    adapted = AdaptedNetwork(model.network, boldness).to(model.device).eval()
    return replace(model, network=adapted, head=f"network.{model.head}")


def _is_adapters(name: str) -> bool:
    return name.startswith("adapter.")
