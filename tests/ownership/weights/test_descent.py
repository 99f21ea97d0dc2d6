"""Descent by weights, on models made by hand: a public base, what training adds to it, and thieves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from spellward.ownership.weights.descent import changes, comparable, correlation, judge_weights, null_of
from spellward.ownership.weights.sample import Channels, WeightSample

SIZES = ((32, 27), (64, 9), (48, 40), (8, 0))
ALPHA = 0.001


def drawn(rng: np.random.Generator, size: float) -> Channels:
    return tuple(rng.normal(size=shape).astype(np.float32) * np.float32(size) for shape in SIZES)


def added(*parts: Channels) -> Channels:
    return tuple(np.sum(layers, axis=0, dtype=np.float32) for layers in zip(*parts, strict=True))


class World:
    """What all models of a task learn, and what each learns by itself."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.base, self.task = drawn(self.rng, 1.0), drawn(self.rng, 0.05)

    def model(self, own: float = 0.1) -> Channels:
        return added(self.base, self.task, drawn(self.rng, own))

    def sample(self, references: int = 6) -> WeightSample:
        rows = tuple(np.arange(out) for out, _ in SIZES)
        others = tuple(self.model() for _ in range(references))
        return WeightSample(np.array(SIZES), rows, self.base, self.model(), others)


def pruned(weights: Channels, share: float) -> Channels:
    return tuple(
        np.where(np.abs(one) > np.quantile(np.abs(one), share), one, np.float32(0)) if one.size else one
        for one in weights
    )


def rescaled(weights: Channels, rng: np.random.Generator) -> Channels:
    return tuple(one * rng.uniform(0.2, 5, (len(one), 1)).astype(np.float32) for one in weights)


THEFTS: dict[str, Callable[[World, Channels], Channels]] = {
    "copy": lambda world, stolen: stolen,
    "trained on as far as before": lambda world, stolen: added(stolen, drawn(world.rng, 0.1)),
    "every channel times a factor": lambda world, stolen: rescaled(stolen, world.rng),
    "a channel in three cut out": lambda world, stolen: tuple(
        np.where(np.arange(len(one))[:, None] % 3 == 0, np.float32(0), one) for one in stolen
    ),
    "smallest third of weights cut out": lambda world, stolen: pruned(stolen, 0.33),
    "eight bits": lambda world, stolen: tuple(np.round(one * 32) / np.float32(32) for one in stolen),
}


@pytest.mark.parametrize("name", list(THEFTS))
def test_weights_that_come_from_the_victims_are_found(name: str) -> None:
    world = World(1)
    sample = world.sample()
    assert judge_weights(sample, THEFTS[name](world, sample.victim), ALPHA, locked=False).found


@pytest.mark.parametrize("locked", [False, True])
@pytest.mark.parametrize("own", [0.01, 0.1, 0.5])
def test_independent_models_are_not_found_however_far_they_moved(own: float, locked: bool) -> None:
    for seed in range(20):
        world = World(seed)
        found = judge_weights(world.sample(3 + seed % 6), world.model(own), ALPHA, locked)
        assert not found.found and found.p_value > 10 * ALPHA and found.effect < found.threshold


def test_the_base_itself_and_a_model_from_elsewhere_give_nothing() -> None:
    world = World(2)
    sample = world.sample()
    assert judge_weights(sample, world.base, ALPHA, locked=False).effect == pytest.approx(0, abs=0.02)
    assert not judge_weights(sample, drawn(world.rng, 1.0), ALPHA, locked=False).found


@pytest.mark.parametrize("far", [0.5, 1, 4, 20])
def test_going_far_along_the_way_that_all_models_go_is_no_evidence(far: float) -> None:
    for seed in range(10):
        world = World(seed)
        shared = added(world.base, tuple(np.float32(far) * one for one in world.task))
        assert not judge_weights(world.sample(), shared, ALPHA, locked=False).found


def test_the_correlation_is_that_of_a_regression_on_the_references() -> None:
    world = World(4)
    sample = world.sample()
    suspect = THEFTS["trained on as far as before"](world, sample.victim)
    own, theirs = (changes(one, sample.base) for one in (sample.victim, suspect))
    others = [changes(one, sample.base) for one in sample.references]
    expected, counts = [], []
    for place, (out, width) in enumerate(SIZES):
        if out * width:
            common = np.mean([one[place] for one in others], axis=0).reshape(-1, 1)
            left, right = (
                values - common @ np.linalg.lstsq(common, values, rcond=None)[0]
                for values in (own[place].ravel(), theirs[place].ravel())
            )
            expected.append(left @ right / np.linalg.norm(left) / np.linalg.norm(right))
            counts.append(np.sqrt(out * width))
    assert correlation(own, theirs, others) == pytest.approx(np.average(expected, weights=counts), rel=1e-9)


def test_changes_are_at_right_angles_to_the_base() -> None:
    world = World(5)
    for moved, before in zip(changes(world.model(), world.base), world.base, strict=True):
        assert np.abs((moved * before).sum(axis=1)).max(initial=0) < 1e-4


def test_the_null_widens_with_its_references_and_never_below_the_prior() -> None:
    quiet, wide = null_of([0.0009] * 6, 0.04), null_of([-0.2, 0.3, 0.1, -0.1, 0.2, 0.0], 0.04)
    assert quiet.mean == 0.04 and quiet.threshold(ALPHA) < wide.threshold(ALPHA)
    assert quiet.threshold(ALPHA) > 0.04 + 0.02 * stats.t.isf(ALPHA, 17)
    assert null_of([0.0009] * 6, 0.10).threshold(ALPHA) > quiet.threshold(ALPHA)
    assert null_of([0.04] * 6, 0.04).mean == pytest.approx(0.2)


def test_a_victim_that_moved_much_further_than_every_reference_is_no_measure() -> None:
    world = World(6)
    sample = world.sample()
    assert comparable(sample)
    assert not comparable(replace(sample, victim=world.model(2.0)))
    assert not comparable(replace(sample, victim=world.base))
    assert not comparable(replace(sample, references=()))
