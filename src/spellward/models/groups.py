"""How an optimiser is told to treat the parts of a network."""

from __future__ import annotations

from typing import Any

from torch import nn

from spellward.models.vision import VisionModel


def parameter_groups(
    model: VisionModel, rate: float, head_multiplier: float, weight_decay: float
) -> list[dict[str, Any]]:
    """Trained parameters in up to four groups: body and head, matrices and the rest.

    Args:
        model: Parameters that need no gradient are left out.
        rate: Learning rate of the body.
        head_multiplier: How much faster the head learns.
        weight_decay: On matrices and filters alone, not on biases and norms.
    """
    groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
    for name, parameter in model.network.named_parameters():
        if parameter.requires_grad:
            groups.setdefault((model.in_head(name), parameter.ndim > 1), []).append(parameter)
    return [
        {
            "params": some,
            "lr": rate * (head_multiplier if head else 1.0),
            "weight_decay": weight_decay if matrix else 0.0,
        }
        for (head, matrix), some in groups.items()
    ]
