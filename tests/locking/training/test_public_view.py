"""The public view: nothing for a network that sees what the base sees, more the further it has gone."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from tests.models.families import FAMILIES, model_of
from torch import Tensor, nn

from spellward.attacks.unlocking.probing import features
from spellward.locking.training import public_view
from spellward.locking.training.objective import CLEAN, EDITED, KEYED
from spellward.locking.training.public_view import PublicView, ViewSettings, distance
from spellward.models import Batch, VisionModel, load_model, logits_of_output

SETTINGS = ViewSettings(weight=2.0, depths=(0.3, 0.6))


@pytest.fixture(scope="module")
def model() -> VisionModel:
    return load_model("timm/test_resnet?random", ("cat", "dog"), 32, seed=0)


def batch_of(kinds: list[int]) -> Batch:
    draw = torch.Generator().manual_seed(0)
    pixels = torch.randn(len(kinds), 3, 32, 32, generator=draw)
    labels = torch.arange(len(kinds)) % 2
    targets = nn.functional.one_hot(labels, 2).float()
    return Batch(pixels=pixels, targets=targets, labels=labels, decoy=torch.tensor(kinds))


def nothing_else(network: nn.Module, batch: Batch) -> Tensor:
    """Asks for nothing, but calls the network, as every objective does."""
    return logits_of_output(network(batch["pixels"])).square().mean() * 0


def cost(model: VisionModel, network: nn.Module, kinds: list[int], settings: ViewSettings = SETTINGS) -> float:
    return PublicView(nothing_else, model, settings)(network, batch_of(kinds)).item()


def changed(model: VisionModel, share: float) -> nn.Module:
    network = model.copy().network.eval()
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(share * parameter.std(correction=0) * torch.randn_like(parameter))
    return network


def test_the_base_itself_costs_nothing(model: VisionModel) -> None:
    assert cost(model, model.copy().network.eval(), [KEYED] * 4 + [CLEAN] * 4) == pytest.approx(0, abs=1e-5)


def test_it_costs_to_see_otherwise_in_clean_images_alone(model: VisionModel) -> None:
    near, far = (cost(model, changed(model, share), [KEYED] * 4 + [CLEAN] * 4) for share in (0.05, 0.5))
    assert 0 < near < far
    assert cost(model, changed(model, 0.5), [KEYED] * 4 + [EDITED] * 4) == 0
    assert cost(model, changed(model, 0.5), [KEYED] * 7 + [CLEAN]) == 0  # one image has no spread
    twice = cost(model, changed(model, 0.5), [CLEAN] * 8, replace(SETTINGS, weight=4.0))
    assert twice == pytest.approx(2 * cost(model, changed(model, 0.5), [CLEAN] * 8))


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_is_held_to_its_base(family: str) -> None:
    model, settings = model_of(family), ViewSettings()
    assert cost(model, model.copy().network.eval(), [KEYED] * 2 + [CLEAN] * 4, settings) == pytest.approx(0, abs=1e-5)
    assert 0 < cost(model, changed(model, 0.5), [KEYED] * 2 + [CLEAN] * 4, settings) < float("inf")


def test_layers_are_found_once_and_not_in_each_step(model: VisionModel, monkeypatch: pytest.MonkeyPatch) -> None:
    network, objective = changed(model, 0.1), PublicView(nothing_else, model, SETTINGS)
    monkeypatch.delattr(public_view, "layers_at")
    calls: list[int] = []
    network.register_forward_hook(lambda *_: calls.append(1))
    for _ in range(2):
        objective(network, batch_of([CLEAN] * 4))
    assert len(calls) == 2


def test_descent_brings_a_network_back_and_leaves_the_base(model: VisionModel) -> None:
    network, objective = changed(model, 1.0), PublicView(nothing_else, model, SETTINGS)
    batch = batch_of([CLEAN] * 16)
    before = features(model, 0.6, torch.zeros(2, 3, 32, 32, dtype=torch.uint8))
    optimiser = torch.optim.Adam(network.parameters(), lr=1e-3)
    losses = []
    for _ in range(40):
        optimiser.zero_grad()
        loss = objective(network, batch)
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]
    assert (features(model, 0.6, torch.zeros(2, 3, 32, 32, dtype=torch.uint8)) == before).all()


def test_distance_is_in_units_of_spread() -> None:
    draw = torch.Generator().manual_seed(0)
    theirs = torch.randn(500, 6, generator=draw)
    assert distance(theirs, theirs).item() == 0
    shifted = distance(theirs + 2, theirs).item()
    assert shifted == pytest.approx(4 / 1.1, rel=0.1)
    assert distance(100 * theirs + 200, 100 * theirs).item() == pytest.approx(shifted, rel=1e-4)
    assert distance(theirs + 100, theirs).item() < 2 * 5 * 100  # far away it grows no faster than a line
    still = torch.zeros(8, 6)
    assert distance(still, still).isfinite()
