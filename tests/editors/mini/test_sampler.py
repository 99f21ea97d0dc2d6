"""Sampling, held against a plain Euler loop written from the equation of the flow."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import pytest
import torch
from torch import Tensor

from spellward.editors.mini.network import EditorNetwork
from spellward.editors.mini.sampler import flow_steps

SHAPE = (2, 12, 4, 4)


def noise() -> Tensor:
    return torch.randn(SHAPE, generator=torch.Generator().manual_seed(0))


class Linear:
    """A network whose answer depends on all that it is given; `condition` is a number here."""

    def __call__(self, noisy: Tensor, source: Tensor, time: Tensor, condition: Tensor, positions: Tensor) -> Tensor:
        shape = (-1, 1, 1, 1)
        return 0.3 * noisy + 0.5 * source + 0.2 * time.view(shape) + condition.view(shape) + positions


def run(network: Any, steps: int, **options: Any) -> list[Tensor]:
    source, positions = torch.linspace(-1, 1, noise().numel()).view(SHAPE), torch.full(SHAPE, 0.01)
    condition = torch.tensor([0.1, -0.2])
    return list(flow_steps(cast(EditorNetwork, network), source, noise(), condition, positions, steps, **options))


@pytest.mark.parametrize("steps", [1, 2, 3, 8, 50])
@pytest.mark.parametrize("guidance", [1.0, 2.5])
def test_it_is_an_euler_integration_of_the_flow(steps: int, guidance: float) -> None:
    source = np.linspace(-1, 1, noise().numel()).reshape(SHAPE)
    conditions = [np.array(values).reshape(-1, 1, 1, 1) for values in ((0.1, -0.2), (0.4, 0.4))]
    x = noise().numpy().astype(np.float64)
    for step in range(steps):
        t = step / steps
        ends = [0.3 * x + 0.5 * source + 0.2 * t + condition + 0.01 for condition in conditions]
        # Guidance on the velocities (x_1 - x_t) / (1 - t), not on the estimates.
        with_text, without = ((end - x) / (1 - t) for end in ends)
        x = x + (without + guidance * (with_text - without)) / steps
    estimates = run(Linear(), steps, guidance=guidance, no_edit=torch.tensor([0.4, 0.4]))
    assert len(estimates) == steps
    # The last Euler step lands on the last estimate.
    assert np.abs(estimates[-1].numpy() - x).max() < 1e-4


@pytest.mark.parametrize("steps", range(1, 9))
def test_a_network_that_knows_the_answer_is_believed(steps: int) -> None:
    answer = torch.rand(SHAPE, generator=torch.Generator().manual_seed(2))
    estimates = run(lambda *_: answer, steps)
    assert len(estimates) == steps
    assert all(torch.equal(estimate, answer) for estimate in estimates)


def test_times_and_noise_are_what_the_flow_says() -> None:
    answer = torch.zeros(SHAPE)
    seen: list[tuple[float, Tensor]] = []

    def network(noisy: Tensor, source: Tensor, time: Tensor, *_: Tensor) -> Tensor:
        seen.append((float(time[0]), noisy))
        return answer

    run(network, 4)
    assert [time for time, _ in seen] == [0.0, 0.25, 0.5, 0.75]
    for time, noisy in seen:
        assert (noisy - (1 - time) * noise()).abs().max() < 1e-6


def test_guidance_costs_a_second_pass_and_one_is_none() -> None:
    calls = []

    def network(noisy: Tensor, *_: Tensor) -> Tensor:
        calls.append(1)
        return noisy

    run(network, 3, guidance=1.0, no_edit=torch.zeros(2))
    assert len(calls) == 3
    run(network, 3, guidance=2.0, no_edit=torch.zeros(2))
    assert len(calls) == 9
