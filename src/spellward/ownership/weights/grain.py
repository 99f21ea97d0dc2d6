"""Grain: what storing a model does to its weights, which is no sign of descent.

Whoever stores weights in half precision, prunes or quantises them changes them in a way that hangs on the weights
alone. Two models that left the same layers of a public base as they were, and are stored alike, then differ from the
base in the very same way, and so do two that were pruned by the size of the weights. Training must have moved a layer
much further than that before its way says anything.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from spellward.ownership.weights.sample import Channels

_FORMATS = (torch.float16, torch.bfloat16)
# A layer has gone its own way if it has gone five times as far as storing takes it.
_CLEARLY = 25.0
_SPARSE = 0.05
# Of 64 or more weights of a channel nearly all differ, in bf16, too; 8 bits leave about half of the values.
_WIDE, _DISTINCT = 64, 0.7


def least_moves(victim: Channels, base: Channels) -> list[float]:
    """Squared changes of each layer, [L], up to which they may come from the format that the victim is stored in."""
    least = []
    for after, before in zip(victim, base, strict=True):
        stored = [_rounded(before, kind) for kind in _FORMATS if np.array_equal(_rounded(after, kind), after)]
        least.append(_CLEARLY * max((float(np.square(one - before).sum()) for one in stored), default=0.0))
    return least


def pruned_away(victim: Channels) -> list[NDArray[np.bool_]]:
    """Weights that are zero, bool [C, W], in layers where so many are that the victim must have been pruned."""
    zero = [one == 0 for one in victim]
    return [one if one.size and one.mean() > _SPARSE else np.zeros_like(one) for one in zero]


def is_coarse(victim: Channels) -> bool:
    """Whether the weights have so few values that they were quantised to about 8 bits or less."""
    shares = [_distinct(row) for one in victim for row in one if one.shape[-1] >= _WIDE and row.any()]
    return bool(shares) and float(np.median(shares)) < _DISTINCT


def _distinct(row: Sequence[float] | NDArray[np.float32]) -> float:
    kept = np.asarray(row)
    kept = kept[kept != 0]
    return len(np.unique(kept)) / len(kept)


def _rounded(values: NDArray[np.float32], kind: torch.dtype) -> NDArray[np.float32]:
    rounded: NDArray[np.float32] = torch.from_numpy(values).to(kind).float().numpy()
    return rounded
