"""Layers by depth, what enters them, and the rows that are made of it."""

from __future__ import annotations

import pytest
import torch
from tests.models.families import CLASSES, FAMILIES, SIDE, model_of
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d

from spellward.errors import ModelError
from spellward.models import load_model
from spellward.models.layers import layers_at, rows_of, watched

DEPTHS = (0.0, 0.3, 0.4, 0.5, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.999)


def network() -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 5, 3), nn.Flatten(), nn.Linear(5 * 16, 2))


@pytest.mark.parametrize(("depth", "place"), [(0.0, 0), (0.33, 0), (0.34, 2), (0.67, 4), (0.99, 4)])
def test_depth_counts_the_layers_that_have_filters(depth: float, place: int) -> None:
    assert layers_at(network(), [depth], 8) == [str(place)]


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
    first, last = layers_at(model.network, (0.0, 0.999), 32)

    def sides(values: Tensor) -> Tensor:
        return torch.tensor(values.shape[1:])

    with watched([model.network.get_submodule(name) for name in (first, last)], sides) as seen:
        model.logits(torch.zeros(1, 3, 32, 32, dtype=torch.uint8))
    assert seen[0].tolist() == [3, 32, 32]
    assert seen[1].ndim == 1
    assert last == model.head


@pytest.mark.parametrize(
    ("spec", "task"),
    [
        ("bundled", "classification"),
        ("timm/test_resnet?random", "classification"),
        ("timm/test_vit?random", "classification"),
        ("bundled?random", "segmentation"),
    ],
)
def test_where_every_layer_sees_each_image_once_none_is_passed_over(spec: str, task: str) -> None:
    """Recorded figures are of these layers, pooled this way."""
    model = load_model(spec, CLASSES, SIDE, 0, task)
    named = [(name, one) for name, one in model.network.named_modules() if isinstance(one, (nn.Conv2d, nn.Linear))]
    expected = [named[int(depth * len(named))] for depth in DEPTHS]
    assert layers_at(model.network, DEPTHS, SIDE) == [name for name, _ in expected]
    entering: dict[nn.Module, Tensor] = {}
    layers = [one for _, one in expected]
    hooks = [one.register_forward_hook(lambda layer, values, _: entering.update({layer: values[0]})) for one in layers]
    with watched(layers, rows_of) as seen:
        model.logits(torch.randint(0, 256, (4, 3, SIDE, SIDE), dtype=torch.uint8))
    for hook in hooks:
        hook.remove()
    assert len(seen) == len(DEPTHS)
    for rows, values in zip(seen, [entering[one] for one in entering for _ in range(layers.count(one))], strict=True):
        if values.ndim == 4:
            assert torch.equal(rows, adaptive_avg_pool2d(values, 2).flatten(1))
        else:
            assert torch.equal(rows, values.mean(dim=1) if values.ndim == 3 else values)


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_gives_one_row_for_each_image_with_all_channels(family: str) -> None:
    model = model_of(family)
    model.network.train()
    model.network.get_submodule(model.head).eval()
    modes = [one.training for one in model.network.modules()]
    state = {name: value.clone() for name, value in model.network.state_dict().items()}
    names = layers_at(model.network, DEPTHS, SIDE)
    assert [one.training for one in model.network.modules()] == modes
    assert all(torch.equal(value, state[name]) for name, value in model.network.state_dict().items())
    assert not any(one._forward_pre_hooks for one in model.network.modules())
    images = torch.randint(0, 256, (5, 3, SIDE, SIDE), dtype=torch.uint8)
    for name in dict.fromkeys(names):
        layer = model.network.get_submodule(name)
        with watched([layer], lambda values: values) as seen, watched([layer], rows_of) as rows:
            model.logits(images)
            model.logits(images[3:4])
        assert len(rows) == 2
        channels = layer.in_channels if isinstance(layer, nn.Conv2d) else layer.in_features
        assert seen[0].shape[:1] == (5,)
        assert rows[0].shape == (5, 4 * channels if seen[0].ndim == 4 else channels)
        torch.testing.assert_close(rows[0][3:4], rows[1], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    ("family", "passed_over"),
    [
        ("vit", ".out_proj"),
        ("swin", ".attn."),
        ("torchvision swin", ".attn."),
        ("encoder", ".out_proj"),
        ("encoder, tokens first", "blocks."),
        ("shared layer", "again"),
    ],
)
def test_layers_without_a_row_for_each_image_are_passed_over(family: str, passed_over: str) -> None:
    network = model_of(family).network
    listed = [name for name, one in network.named_modules() if isinstance(one, (nn.Conv2d, nn.Linear))]
    found = layers_at(network, [place / 100 for place in range(100)], SIDE)
    assert list(dict.fromkeys(found)) == [name for name in listed if passed_over not in name]


def test_layers_that_see_as_many_pieces_as_there_are_images_are_told_apart() -> None:
    class Pieces(nn.Module):
        def __init__(self, pieces: int) -> None:
            super().__init__()
            self.pieces, self.inside, self.head = pieces, nn.Linear(3, 3), nn.Linear(3, 2)

        def forward(self, pixels: Tensor) -> Tensor:
            means = pixels.mean(dim=(2, 3))
            return self.head(means + self.inside(means.expand(self.pieces, -1, -1)).mean(dim=0))

    for pieces in (2, 3):
        assert layers_at(Pieces(pieces), (0.0, 0.9), SIDE) == ["head", "head"]


def test_channels_of_linear_layers_are_never_averaged_away() -> None:
    layer, maps = nn.Linear(7, 2), torch.rand(2, 4, 6, 7)
    deep = maps[:, None].expand(-1, 3, -1, -1, -1)
    with watched([layer], rows_of) as rows:
        layer(maps)
        layer(deep)
    quarters = [maps[:, up : up + 2, left : left + 3].mean(dim=(1, 2)) for up in (0, 2) for left in (0, 3)]
    torch.testing.assert_close(rows[0], torch.stack(quarters, dim=2).flatten(1))
    torch.testing.assert_close(rows[1], maps.mean(dim=(1, 2)))


def test_a_network_without_such_layers_says_so() -> None:
    network = nn.Sequential(nn.Unflatten(1, (1, 3)), nn.Conv3d(1, 2, 3, padding=1), nn.Flatten())
    with pytest.raises(ModelError, match="No layer"):
        layers_at(network, [0.5], SIDE)
