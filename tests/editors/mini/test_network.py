"""The bundled editor's network: shapes, and a start from which nothing is changed."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from spellward.editors.mini.network import FOLD, EditorNetwork, ResidualBlock
from spellward.editors.mini.text import FEATURES, TEXT_SIZE
from spellward.editors.salting import CODE_SIZE

SMALL = {"channels": (8, 16, 16), "blocks": (1, 1, 1), "condition": 12, "canvas": 4, "canvas_size": 8}


def network() -> EditorNetwork:
    torch.manual_seed(0)
    return EditorNetwork(**SMALL)  # type: ignore[arg-type]


def inputs(height: int, width: int, count: int = 2) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Noisy and source pictures, text vectors, features and codes."""
    generator = torch.Generator().manual_seed(1)
    folded = (count, 3 * FOLD**2, height // FOLD, width // FOLD)
    shapes = (folded, folded, (count, TEXT_SIZE), (count, FEATURES), (count, CODE_SIZE))
    noisy, source, vectors, features, codes = (torch.randn(shape, generator=generator) for shape in shapes)
    return noisy, source, vectors, features, codes


@pytest.mark.parametrize("size", [(16, 16), (64, 64), (24, 40)], ids=str)
def test_shapes(size: tuple[int, int]) -> None:
    net = network()
    noisy, source, vectors, features, codes = inputs(*size)
    condition = net.conditions(vectors, features, codes)
    assert condition.shape == (2, 12)
    positions = net.positions(codes, *size)
    assert positions.shape[0] == 2 and positions.shape[2:] == (size[0] // FOLD, size[1] // FOLD)
    assert positions[:, :10].abs().max() <= 1
    predicted = net(noisy, source, torch.tensor([0.0, 0.5]), condition, positions)
    assert predicted.shape == source.shape


def test_a_fresh_block_and_a_fresh_network_are_the_identity() -> None:
    torch.manual_seed(0)
    hidden = torch.randn(2, 32, 6, 6)
    assert torch.equal(ResidualBlock(32, 12)(hidden, torch.randn(2, 12)), hidden)
    net = network()
    noisy, source, vectors, features, codes = inputs(32, 32)
    predicted = net(
        noisy, source, torch.zeros(2), net.conditions(vectors, features, codes), net.positions(codes, 32, 32)
    )
    assert torch.equal(predicted, source)


def test_every_parameter_learns() -> None:
    net = network()
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    noisy, source, vectors, features, codes = inputs(32, 32)
    condition = net.conditions(vectors, features, codes)
    net(noisy, source, torch.full((2,), 0.3), condition, net.positions(codes, 32, 32)).square().mean().backward()
    silent = [name for name, parameter in net.named_parameters() if parameter.grad is None or not parameter.grad.any()]
    assert silent == []


def test_every_condition_reaches_the_picture() -> None:
    net = network()
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))

    def run(noisy: Tensor, source: Tensor, vectors: Tensor, features: Tensor, codes: Tensor, time: float) -> Tensor:
        condition = net.conditions(vectors, features, codes)
        return net(noisy, source, torch.full((2,), time), condition, net.positions(codes, 32, 32))

    given = inputs(32, 32)
    first = run(*given, 0.0)
    for place in range(5):
        changed = list(given)
        changed[place] = given[place] + 0.5
        assert not torch.equal(run(*changed, 0.0), first), place  # type: ignore[misc]
    assert not torch.equal(run(*given, 0.5), first)


def test_its_configuration_builds_it_anew() -> None:
    net = network()
    again = EditorNetwork(**net.config)
    again.load_state_dict(net.state_dict())
    assert again.config == net.config
