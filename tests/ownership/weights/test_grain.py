"""What storing models alike has in common is no sign of descent."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from tests.ownership.weights.test_descent import ALPHA, World, pruned

from spellward.ownership.weights.descent import comparable, judge_weights
from spellward.ownership.weights.grain import is_coarse, least_moves, pruned_away
from spellward.ownership.weights.sample import Channels


def stored(weights: Channels, kind: torch.dtype) -> Channels:
    return tuple(torch.from_numpy(one).to(kind).float().numpy() for one in weights)


def quantised(weights: Channels, bits: int) -> Channels:
    steps = [np.abs(one).max(axis=1, keepdims=True, initial=0) / (2 ** (bits - 1) - 1) + 1e-12 for one in weights]
    return tuple((np.round(one / step) * step).astype(np.float32) for one, step in zip(weights, steps, strict=True))


WAYS: dict[str, Callable[[Channels], Channels]] = {
    "fp16": lambda weights: stored(weights, torch.float16),
    "bf16": lambda weights: stored(weights, torch.bfloat16),
    "pruned by 30 %": lambda weights: pruned(weights, 0.3),
    "pruned by 50 %": lambda weights: pruned(weights, 0.5),
    "bf16, pruned by 50 %": lambda weights: stored(pruned(weights, 0.5), torch.bfloat16),
}


@pytest.mark.parametrize("name", list(WAYS))
@pytest.mark.parametrize("frozen", [0, 1, 2], ids=lambda count: f"{count} frozen")
def test_models_that_are_stored_alike_are_not_found(name: str, frozen: int) -> None:
    for seed in range(10):
        world = World(seed)
        sample = world.sample()
        held = world.base[:frozen]
        victim, innocent = ((*held, *one[frozen:]) for one in (sample.victim, world.model()))
        found = judge_weights(replace(sample, victim=WAYS[name](victim)), WAYS[name](innocent), ALPHA, locked=False)
        assert not found.found and found.effect < found.threshold


@pytest.mark.parametrize("name", list(WAYS))
def test_copies_of_a_stored_victim_are_found(name: str) -> None:
    world = World(1)
    sample = world.sample()
    victim = WAYS[name](sample.victim)
    held = replace(sample, victim=victim)
    assert comparable(held)
    for thief in (victim, WAYS[name](victim), sample.victim):
        assert judge_weights(held, thief, ALPHA, locked=False).found


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16], ids=str)
def test_a_victim_that_only_stored_its_base_shows_nothing(kind: torch.dtype) -> None:
    sample = World(2).sample()
    assert not comparable(replace(sample, victim=stored(sample.base, kind)))
    assert comparable(replace(sample, victim=stored(sample.victim, kind)))


@pytest.mark.parametrize(("bits", "coarse"), [(4, True), (6, True), (8, True), (16, False)])
def test_quantised_victims_show_nothing(bits: int, coarse: bool) -> None:
    wide = tuple(np.random.default_rng(3).normal(size=(16, 256)).astype(np.float32) for _ in range(2))
    for weights in (wide, pruned(wide, 0.5)):
        assert is_coarse(quantised(weights, bits)) == coarse
        assert not is_coarse(stored(weights, torch.bfloat16))


def test_what_storing_does_is_measured_on_the_base() -> None:
    world = World(4)
    least = least_moves(stored(world.base, torch.bfloat16), world.base)
    moved = [float(np.square(a - b).sum()) for a, b in zip(stored(world.base, torch.bfloat16), world.base, strict=True)]
    assert np.allclose(least, [25 * one for one in moved])
    assert least_moves(world.model(), world.base) == [0.0] * len(world.base)
    assert not any(one.any() for one in pruned_away(world.base))
    assert [bool(one.any()) for one in pruned_away(pruned(world.base, 0.3))] == [True, True, True, False]
