"""Averages of a lock and its public base, layer by layer."""

from __future__ import annotations

import torch

from spellward.attacks.unlocking.mixing import mixed
from spellward.models import VisionModel


def test_mixing_puts_the_public_layers_where_they_are_asked_for(base: VisionModel, trained: VisionModel) -> None:
    own, public = trained.network.state_dict(), base.network.state_dict()
    none, half, early = (
        mixed(trained, base, share).network.state_dict()
        for share in (lambda _: 0.0, lambda _: 0.5, lambda place: float(place < 0.5))
    )
    first, last = next(iter(own)), f"{trained.head}.weight"
    assert all(torch.equal(none[name], own[name]) for name in own)
    assert torch.allclose(half[first], (own[first] + public[first]) / 2)
    assert torch.equal(early[first], public[first])
    body = [name for name in own if own[name].is_floating_point() and not name.startswith(trained.head)]
    assert torch.equal(early[body[-1]], own[body[-1]])
    assert torch.equal(half[last], own[last])  # the base's head is fresh and says nothing
