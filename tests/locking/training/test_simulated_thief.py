"""The thief in the training loop: what it prepares, what it hands over, and that it is the same thief every time."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from spellward.data import table_from_arrays
from spellward.locking.training.simulated_thief import SimulatedThief, ThiefSettings
from spellward.models import Batch, VisionModel, load_model, logits_of_output

TABLE = table_from_arrays(
    np.random.default_rng(0).integers(0, 256, (40, 32, 32, 3), dtype=np.uint8), np.arange(40) % 4, "abcd"
)
PLAIN = ThiefSettings(steps=2, batch_size=8, new_head=0, stitched=0, averaged=0)
NO_BATCH: Batch = {}  # type: ignore[typeddict-item]


@pytest.fixture
def model() -> VisionModel:
    return load_model("timm/test_resnet?random", TABLE.classes, 32, seed=0)


def gradients(model: VisionModel, settings: ThiefSettings, step: int = 0, seed: int = 0) -> dict[str, torch.Tensor]:
    """What the thief adds to zero gradients after training has moved the network away from the base."""
    thief = SimulatedThief(TABLE, model, settings, ("flip",), seed)
    network = model.copy().network
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.01)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    thief(network, NO_BATCH, step)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    return {name: value.grad.clone() for name, value in network.named_parameters() if value.grad is not None}


@pytest.mark.parametrize("spec", ["timm/test_resnet?random", "bundled"])
def test_a_new_head_is_as_large_as_pytorch_makes_one(spec: str) -> None:
    """Also where it is a convolution, as in networks for masks."""
    model = load_model(spec, TABLE.classes, 32, seed=0, task="segmentation" if spec == "bundled" else None)
    thief = SimulatedThief(TABLE, model, replace(PLAIN, new_head=1.0), (), 0)
    copied, _ = thief._prepare(model.network, np.random.default_rng(0))
    head = copied.get_submodule(model.head)
    fresh = type(head)(*_sizes(head)).weight.detach()
    assert float(head.weight.detach().std()) == pytest.approx(float(fresh.std()), rel=0.2)
    assert not head.bias.any()


def _sizes(head: nn.Module) -> tuple[int, ...]:
    outputs, inputs, *kernel = head.weight.shape
    return inputs, outputs, *kernel[:1]


def test_a_layer_named_like_the_head_is_handed_over() -> None:
    """`fc1` is not part of `fc`."""
    layers = {"flat": nn.Flatten(), "fc1": nn.Linear(3 * 32 * 32, 8), "relu": nn.ReLU(), "fc": nn.Linear(8, 4)}
    model = load_model(nn.Sequential(OrderedDict(layers)), TABLE.classes, 32)
    assert model.head == "fc"
    given = gradients(model, PLAIN)
    assert float(given["fc1.weight"].abs().sum()) > 0 and "fc.weight" not in given


def test_the_gradient_is_that_of_the_adapted_copy(model: VisionModel) -> None:
    """Without a step of its own a thief is the network itself, so the gradient is that of the plain loss."""
    settings = replace(PLAIN, learning_rate=0.0, weight=3.0)
    found = gradients(model, settings)
    network = model.copy().network.train()
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.01)
    rng = np.random.default_rng([0, 0, 0x7413F])
    rng.integers(2**31), rng.random(), rng.uniform(-1, 1)
    thief = SimulatedThief(TABLE, model, settings, ("flip",), 0)
    for _ in range(int(rng.integers(1, 3))):
        thief._draw(rng)
    pixels, _ = thief._draw(rng)
    (-logits_of_output(network(pixels)).log_softmax(1).mean()).backward()
    for name, parameter in network.named_parameters():
        if not name.startswith(model.head):
            assert parameter.grad is not None
            assert torch.allclose(found[name], 3 * parameter.grad, atol=1e-5, rtol=1e-3), name


def test_the_head_is_left_to_the_lock(model: VisionModel) -> None:
    assert not [name for name in gradients(model, PLAIN) if name.startswith(model.head)]


def test_the_same_step_has_the_same_thief_and_another_has_another(model: VisionModel) -> None:
    one, same, other = (gradients(model, PLAIN, step) for step in (3, 3, 4))
    name = next(iter(one))
    assert torch.equal(one[name], same[name])
    assert not torch.equal(one[name], other[name])


def test_most_steps_may_go_without(model: VisionModel) -> None:
    assert not gradients(model, replace(PLAIN, every=4), step=3)
    assert gradients(model, replace(PLAIN, every=4), step=4)


def test_what_a_stitcher_replaced_gets_no_gradient(model: VisionModel) -> None:
    every = {name for name, _ in model.network.named_parameters() if not name.startswith(model.head)}
    found = gradients(model, replace(PLAIN, stitched=1.0, deepest_cut=0.5))
    missing = every - set(found)
    first = next(name for name, _ in model.network.named_parameters())
    assert first in missing and 0 < len(missing) <= len(every) / 2


def test_an_average_hands_over_the_share_that_is_the_networks(model: VisionModel) -> None:
    thief = SimulatedThief(TABLE, model, replace(PLAIN, averaged=1.0), (), 0)
    network = model.copy().network
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(1.0)
    prepared, shares = thief._prepare(network, np.random.default_rng(0))
    (share,) = set(shares.values())
    assert 0.3 <= share <= 0.8
    base = dict(model.network.named_parameters())
    for name, parameter in prepared.named_parameters():
        moved = 1.0 if name.startswith(model.head) else share
        assert torch.allclose(parameter, base[name] + moved, atol=1e-4), name


def test_it_waits_for_its_first_step(model: VisionModel) -> None:
    thief = SimulatedThief(TABLE, model, PLAIN, (), 0, first_step=4)
    for step in (0, 3, 4):
        network = model.copy().network
        thief(network, NO_BATCH, step)
        assert any(parameter.grad is not None for parameter in network.parameters()) == (step == 4)


def test_a_new_head_is_new_and_the_body_is_not(model: VisionModel) -> None:
    thief = SimulatedThief(TABLE, model, replace(PLAIN, new_head=1.0), (), 0)
    prepared, _ = thief._prepare(model.network, np.random.default_rng(0))
    own = dict(model.network.named_parameters())
    for name, parameter in prepared.named_parameters():
        same = torch.equal(parameter, own[name])
        assert same != name.startswith(model.head) or not bool(own[name].abs().sum())


def test_the_random_numbers_of_the_lock_stay_where_they_were(model: VisionModel) -> None:
    thief = SimulatedThief(TABLE, model, PLAIN, (), 0)
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    thief(model.copy().network, NO_BATCH, 0)
    assert torch.equal(torch.rand(3), expected)


def test_training_against_the_thief_makes_its_loot_worthless() -> None:
    """On a linear problem: after unlearning, the adapted copy is nearer to uniform than it was before."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.Linear(3 * 8 * 8, 16), nn.ReLU(), nn.Linear(16, 4))
    pixels = np.zeros((40, 8, 8, 3), np.uint8)
    for row in range(40):
        pixels[row, :, row % 4 * 2 : row % 4 * 2 + 2] = 200
    table = table_from_arrays(pixels, np.arange(40) % 4, "abcd")
    model = load_model(network, table.classes, 8)
    thief = SimulatedThief(table, model, replace(PLAIN, learning_rate=1e-2, weight=1.0), (), 0)
    optimizer = torch.optim.Adam(list(model.network.parameters())[:2], lr=3e-3)

    def loot(step: int) -> float:
        copy, _ = thief._prepare(model.network, np.random.default_rng(step))
        thief._adapt(copy, np.random.default_rng(step))
        inputs, labels = thief._draw(np.random.default_rng(1))
        with torch.no_grad():
            return float(nn.functional.cross_entropy(copy(inputs), labels))

    before = np.mean([loot(step) for step in range(5)])
    for step in range(150):
        optimizer.zero_grad()
        thief(model.network, NO_BATCH, step)
        optimizer.step()
    assert np.mean([loot(step) for step in range(5)]) > before
