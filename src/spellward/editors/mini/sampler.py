"""Sampling from the bundled editor: Euler steps of the flow from noise to the edited picture."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from spellward.editors.mini.network import EditorNetwork


def flow_steps(
    network: EditorNetwork,
    source: Tensor,
    noise: Tensor,
    condition: Tensor,
    positions: Tensor,
    steps: int,
    guidance: float = 1.0,
    no_edit: Tensor | None = None,
) -> Iterator[Tensor]:
    """Yields the network's estimate of the edited picture at every step; the last one is the result.

    The flow goes from noise x_0 to the picture x_1 along x_t = (1 - t) x_0 + t x_1 (rectified flow, arXiv 2209.03003);
    the network predicts x_1, so the velocity at t is (x_1 - x_t) / (1 - t).

    Args:
        network: Predicts folded pictures in [-1, 1].
        source: Folded source pictures, float32 [B, C, h, w].
        noise: Standard normal, the same shape.
        condition: [B, condition] (`EditorNetwork.conditions`).
        positions: `EditorNetwork.positions`.
        steps: At least 1.
        guidance: Moves the estimate away from `no_edit`'s (classifier-free guidance); 1 leaves it.
        no_edit: Condition of the empty prompt; needed for a guidance other than 1.
    """
    current = noise
    for step in range(steps):
        moment = step / steps
        time = torch.full((len(source),), moment, device=source.device)
        estimate = network(current, source, time, condition, positions).float()
        if guidance != 1.0 and no_edit is not None:
            plain = network(current, source, time, no_edit, positions).float()
            estimate = plain + guidance * (estimate - plain)
        yield estimate
        current = current + (estimate - current) / (1 - moment) / steps
