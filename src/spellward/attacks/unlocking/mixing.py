"""Weights of the locked model and of its public base, mixed layer by layer, as starting points for fine-tuning."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from torch import Tensor

from spellward.attacks.unlocking.search import Start, search_starts
from spellward.attacks.unlocking.thief import Loot, Thief
from spellward.errors import ModelError
from spellward.models import VisionModel

_SHARES = (0.5, 0.7, 0.3, 0.4, 0.6, 0.8)
_CUTS = (0.5, 0.25, 0.75, 0.9, 0.1, 0.6)


def averaging(model: VisionModel, thief: Thief) -> Loot:
    """Averages the weights with those of the public base, then fine-tunes (model soups, arXiv 2203.05482)."""
    starts = [
        Start(f"{share:.0%} public", partial(mixed, model, thief.base, partial(_evenly, share)))
        for share in thief.effort.some(_SHARES)
    ]
    return search_starts(thief, starts)


def stitching(model: VisionModel, thief: Thief) -> Loot:
    """Puts the public base's early layers in front of the locked late ones, then fine-tunes, which fits the seam.

    The locked model's early layers may have lost what late layers need; the public ones have not.
    """
    starts = [
        Start(f"public up to {cut:.0%}", partial(mixed, model, thief.base, partial(_below, cut)))
        for cut in thief.effort.some(_CUTS)
    ]
    return search_starts(thief, starts)


def mixed(model: VisionModel, base: VisionModel, public_share: Callable[[float], float]) -> VisionModel:
    """A copy of a model with some of each layer's weights from another; its head stays its own.

    Args:
        model: The locked model.
        base: The public one, of the same architecture.
        public_share: From a layer's place in the network, 0 to 1, to the weight of the public values.

    Raises:
        ModelError: If the two are not of the same architecture.
    """
    copy = model.copy()
    own, public = copy.network.state_dict(), base.network.state_dict()
    if {name: value.shape for name, value in own.items()} != {name: value.shape for name, value in public.items()}:
        raise ModelError("The public base has other layers than the locked model. Name the base it was made from.")
    layers = list(dict.fromkeys(name.rpartition(".")[0] for name in own))
    places = {layer: number / len(layers) for number, layer in enumerate(layers)}
    blended: dict[str, Tensor] = {}
    for name, value in own.items():
        share = public_share(places[name.rpartition(".")[0]])
        kept = model.in_head(name) or not value.is_floating_point()
        blended[name] = value if kept else (1 - share) * value + share * public[name].to(value.device)
    copy.network.load_state_dict(blended)
    return copy


def _evenly(share: float, _: float) -> float:
    return share


def _below(cut: float, place: float) -> float:
    return float(place < cut)
