"""The network in front of a lock: where it begins."""

from __future__ import annotations

from dataclasses import replace

import torch

from spellward.attacks.unlocking.key_inversion import AdaptedNetwork, InputAdapter, _adapted
from spellward.models import VisionModel


def test_an_adapter_is_where_the_network_is(base: VisionModel) -> None:
    away = replace(base, network=base.copy().network.to("meta"))
    assert {value.device.type for value in _adapted(away, seed=0).network.state_dict().values()} == {"meta"}


def test_an_adapter_begins_near_the_identity() -> None:
    torch.manual_seed(0)
    pixels = torch.randn(2, 3, 16, 16)
    drawn = InputAdapter()(pixels)
    assert drawn.shape == pixels.shape
    assert (drawn - pixels).abs().mean() < 0.3
    assert AdaptedNetwork(torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(768, 3)))(pixels).shape == (2, 3)
