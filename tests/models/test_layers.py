"""Layers by depth, what enters them, and the rows that are made of it."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from spellward.models import load_model
from spellward.models.layers import layer_at, rows_of, watched


def network() -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 5, 3), nn.Flatten(), nn.Linear(5 * 16, 2))


@pytest.mark.parametrize(("depth", "place"), [(0.0, 0), (0.33, 0), (0.34, 2), (0.67, 4), (0.99, 4)])
def test_depth_counts_the_layers_that_have_filters(depth: float, place: int) -> None:
    layers = network()
    assert layer_at(layers, depth) is layers[place]


def test_what_enters_layers_is_seen_in_their_order_and_only_while_watched() -> None:
    layers = network()
    pixels = torch.rand(2, 3, 8, 8)
    with watched([layers[4], layers[2]], lambda values: values) as seen:
        layers(pixels)
    layers(pixels)
    expected = layers[1](layers[0](pixels))
    assert [tuple(part.shape) for part in seen] == [(2, 4, 6, 6), (2, 80)]
    torch.testing.assert_close(seen[0], expected)


def test_nothing_stays_behind_when_the_network_fails() -> None:
    layers = network()
    with pytest.raises(RuntimeError), watched([layers[0]], lambda values: values):
        layers(torch.rand(2, 4, 8, 8))
    assert not layers[0]._forward_pre_hooks


def test_rows_are_means_of_quarters_and_of_tokens() -> None:
    maps = torch.rand(2, 3, 4, 6)
    rows = rows_of(maps)
    assert rows.shape == (2, 12)
    assert rows[1, 4 * 2 + 1].item() == pytest.approx(maps[1, 2, :2, 3:].mean().item())  # top right of the third map
    tokens = torch.rand(2, 5, 7)
    torch.testing.assert_close(rows_of(tokens), tokens.sum(dim=1) / 5)
    torch.testing.assert_close(rows_of(tokens[:, 0]), tokens[:, 0])


def test_the_bundled_backbone_has_its_head_last() -> None:
    model = load_model("bundled", ("cat", "dog"), 32, 0)

    def sides(values: Tensor) -> Tensor:
        return torch.tensor(values.shape[1:])

    with watched([layer_at(model.network, depth) for depth in (0.0, 0.999)], sides) as seen:
        model.logits(torch.zeros(1, 3, 32, 32, dtype=torch.uint8))
    assert seen[0].tolist() == [3, 32, 32]
    assert seen[1].ndim == 1
    assert model.network.get_submodule(model.head) is layer_at(model.network, 0.999)
