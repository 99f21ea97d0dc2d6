"""Fine-pruning (arXiv 1805.12185): cut what is silent on clean images, where a lock may hide, then fine-tune."""

from __future__ import annotations

from functools import partial

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from spellward.attacks.unlocking.search import Start, search_starts
from spellward.attacks.unlocking.thief import Loot, Thief
from spellward.errors import ModelError
from spellward.models import VisionModel

_KINDS = (nn.BatchNorm2d, nn.Linear, nn.GroupNorm, nn.Conv2d)
_SHARES = (0.3, 0.6)
_CHUNK = 250


def fine_pruning(model: VisionModel, thief: Thief) -> Loot:
    """Prunes the channels that answer least to the thief's clean images (`channel_loudness`), then fine-tunes.

    Where a pruned channel stands before a ReLU, with weight and bias zero, it gets no gradient and stays pruned.

    Raises:
        ModelError: If the network has nothing to prune.
    """
    images = torch.cat([thief.labelled.images[:], thief.unlabelled.images[:]])
    order = np.random.default_rng([thief.seed, 0x9B]).permutation(len(images))  # tables may be sorted by class
    images = images[order[: thief.effort.unlabelled]]
    loudness = channel_loudness(model, images)
    starts = [
        Start(f"{share:.0%} pruned", partial(pruned, model, loudness, share)) for share in thief.effort.some(_SHARES)
    ]
    return search_starts(thief, starts)


def channel_loudness(model: VisionModel, images: Tensor) -> dict[str, Tensor]:
    """How strongly every channel answers to uint8 [N, 3, S, S] images: the mean of the positive part of its activation,
    added up over batches.

    Returns:
        Name of a layer to float32 [channels]: of the batch norms in the deeper half of the network, where there are
        any (with the activation, if the module includes one), or else of its linear layers, its group norms or its
        convolutions; never of the head.

    Raises:
        ModelError: If the network has none of these.
    """
    named = {
        name: one
        for name, one in model.network.named_modules()
        if isinstance(one, _KINDS) and name != model.head and one.weight is not None
    }
    sums: dict[str, Tensor] = {}

    def listen(name: str) -> RemovableHandle:
        def add(layer: nn.Module, __: object, output: Tensor) -> None:
            channels = output.ndim - 1 if isinstance(layer, nn.Linear) else 1
            axes = [axis for axis in range(output.ndim) if axis != channels]
            sums[name] = sums.get(name, torch.zeros(())) + output.float().clamp(min=0).mean(dim=axes)

        handle: RemovableHandle = named[name].register_forward_hook(add)
        return handle

    hooks = [listen(name) for name in named]
    try:
        for few in torch.split(images, _CHUNK):  # of masks, the outputs for all would not fit in memory
            model.logits(few)
    finally:
        for hook in hooks:
            hook.remove()
    for kind in _KINDS:
        # Attention may read a layer's weights without calling it, and nothing is known of its channels then.
        if called := [name for name, one in named.items() if isinstance(one, kind) and name in sums]:
            return {name: sums[name] for name in called[len(called) // 2 :]}
    raise ModelError("Nothing can be pruned: the network has no norm, linear layer or convolution before its head.")


def pruned(model: VisionModel, loudness: dict[str, Tensor], share: float) -> VisionModel:
    """A copy in which the quietest share of each layer's channels is zero."""
    copy = model.copy()
    with torch.no_grad():
        for name, loud in loudness.items():
            quiet = loud.argsort()[: int(share * len(loud))]
            layer = copy.network.get_submodule(name)
            for parameter in layer.parameters(recurse=False):
                parameter[quiet] = 0.0
    return copy
