"""What the layers of a network see on the way: found by their depth, and pooled to rows."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from spellward.errors import ModelError
from spellward.models.object_networks import kept_modes

_CELLS = 2
_BATCHES = (2, 3)


def layers_at(network: nn.Module, depths: Sequence[float], size: int) -> list[str]:
    """The layers at shares of all that count, in the order in which the network lists them.

    Convolutions and linear layers count, if they are called once and see one row for each image. Others give nothing
    to compare images by: attention may read a layer's weights without calling it (`nn.MultiheadAttention`), cut images
    into windows (Swin) or look at several scales with one layer. Blank images tell, in eval mode.

    Args:
        network: Takes float32 [B, 3, size, size]; it stays as it is.
        depths: Each in [0, 1).
        size: Side of its images, in pixels.

    Returns:
        A name for each depth, as `get_submodule` takes it.

    Raises:
        ModelError: If no layer counts.
    """
    # A single batch would let through what has as many windows, tokens or heads as the batch has images.
    runs = [(batch, _rows_entering(network, batch, size)) for batch in _BATCHES]
    names = [name for name, _ in _layers(network) if all(rows[name] == [batch] for batch, rows in runs)]
    if not names:
        raise ModelError("No layer of this network sees each image once, so what it sees of images cannot be read.")
    return [names[int(depth * len(names))] for depth in depths]


@contextmanager
def watched(layers: Sequence[nn.Module], view: Callable[[Tensor], Tensor]) -> Iterator[list[Tensor]]:
    """Collects what enters layers, in the order in which they are called, while the context is open.

    Linear layers take maps with their channels last (ConvNeXt, Swin); the view gets these second, as of convolutions.

    Args:
        layers: Layers of a network.
        view: Makes of what enters a layer what is kept of it.
    """
    seen: list[Tensor] = []

    def keep(layer: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        values = inputs[0]
        seen.append(view(values.movedim(-1, 1) if isinstance(layer, nn.Linear) and values.ndim > 3 else values))

    with ExitStack() as hooks:
        for layer in layers:
            hooks.callback(layer.register_forward_pre_hook(keep).remove)
        yield seen


def rows_of(values: Tensor) -> Tensor:
    """One row for each image: maps averaged over the cells of a 2 x 2 grid, tokens of a transformer over all.

    Args:
        values: float [B, C, h, w], [B, tokens, C] or [B, C]; with more axes, channels are the second.

    Returns:
        float [B, 4 C] or [B, C].
    """
    if values.ndim == 4:
        return F.adaptive_avg_pool2d(values, _CELLS).flatten(1)
    if values.ndim > 4:
        return values.flatten(2).mean(dim=2)
    return values.mean(dim=1) if values.ndim == 3 else values


def _layers(network: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    return ((name, one) for name, one in network.named_modules() if isinstance(one, (nn.Conv2d, nn.Linear)))


def _rows_entering(network: nn.Module, batch: int, size: int) -> dict[str, list[int]]:
    """For each layer how many rows it sees of so many blank images, once for each time that it is called."""
    rows: defaultdict[str, list[int]] = defaultdict(list)
    with ExitStack() as hooks:
        for name, layer in _layers(network):

            def count(_: nn.Module, inputs: tuple[Tensor, ...], name: str = name) -> None:
                rows[name].append(len(inputs[0]) if inputs else 0)

            hooks.callback(layer.register_forward_pre_hook(count).remove)
        with kept_modes(network), torch.no_grad():
            network.eval()
            network(torch.zeros((batch, 3, size, size), device=next(network.parameters()).device))
    return rows
