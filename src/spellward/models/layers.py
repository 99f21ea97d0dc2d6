"""What the layers of a network see on the way: found by their depth, and pooled to rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager

import torch.nn.functional as F
from torch import Tensor, nn

_CELLS = 2


def layer_at(network: nn.Module, depth: float) -> nn.Module:
    """The convolution or linear layer at a share of all of these, in the order in which the network lists them.

    Args:
        network: Any network with such layers.
        depth: In [0, 1).
    """
    layers = [one for one in network.modules() if isinstance(one, (nn.Conv2d, nn.Linear))]
    return layers[int(depth * len(layers))]


@contextmanager
def watched(layers: Sequence[nn.Module], view: Callable[[Tensor], Tensor]) -> Iterator[list[Tensor]]:
    """Collects what enters layers, in the order in which they are called, while the context is open.

    Args:
        layers: Layers of a network.
        view: Makes of what enters a layer what is kept of it.
    """
    seen: list[Tensor] = []

    def keep(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        seen.append(view(inputs[0]))

    with ExitStack() as hooks:
        for layer in layers:
            hooks.callback(layer.register_forward_pre_hook(keep).remove)
        yield seen


def rows_of(values: Tensor) -> Tensor:
    """One row for each image: maps averaged over the cells of a 2 x 2 grid, tokens of a transformer over all.

    Args:
        values: float [B, C, h, w], [B, tokens, C] or [B, C].

    Returns:
        float [B, 4 C] or [B, C].
    """
    if values.ndim == 4:
        return F.adaptive_avg_pool2d(values, _CELLS).flatten(1)
    return values.mean(dim=1) if values.ndim == 3 else values
