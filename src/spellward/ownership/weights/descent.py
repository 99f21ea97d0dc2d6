"""Descent: whether a suspect's weights moved from the public base where the victim's did, and the references' did not.

What training changes in a network is mostly its own: two fine-tunes of one base on one task, even on the very same
images, move its weights in directions of which all but a few hundredths, once what the references share is taken out,
have nothing in common. Whoever goes on from the victim's weights keeps the way they had come. So a copy that was
fine-tuned hard, pruned, or taught another task shows here when its answers have long become those of another model;
a student that learnt from answers never does, nor does one with weights of its own.

The null is over models as for answers: each reference is left out in turn, with a prior for what a few references
cannot show.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from spellward.ownership.statistics.null import Null
from spellward.ownership.verdict import Descent
from spellward.ownership.weights.grain import is_coarse, least_moves, pruned_away
from spellward.ownership.weights.sample import Channels, WeightSample

Changes = list[NDArray[np.float64]]
"""Of every layer, [C, W]."""

SHARE = 0.1
"""Of the rate of false accusations that is spent on weights, where a claim has them; the rest is for answers."""

# From `tune` (benchmarks/zoo.py): left-out references had 0.01 to 0.04, innocent models 0.01 to 0.05, a model that was
# trained on the victim's own images 0.05; weights that were pruned by 70 % and fine-tuned 0.30, all other thefts of
# weights 0.51 or more. Two locks of one model on the same images with different keys had 0.03 to 0.10.
_KINSHIP, _LOCKED_KINSHIP = 0.04, 0.10
_SPREAD, _PRIOR_FREEDOM = 0.03, 12.0
_FAINT = 0.05
_TINY = 1e-12
# A victim that moved much further than every reference may come from the base by way of another public model, which
# innocent models may share.
_FURTHER = 5.0


def judge_weights(sample: WeightSample, suspect: Channels, alpha: float, locked: bool) -> Descent:
    """Judges a suspect by its weights.

    Args:
        sample: Of the claim; with three references or more.
        suspect: The same weights of the suspect.
        alpha: Rate of false accusations that is accepted.
        locked: Whether the victim is a locked model. What locking does to weights is common to locks.
    """
    own, others = ways(sample)
    left_out = tuple(correlation(own, one, [*others[:place], *others[place + 1 :]]) for place, one in enumerate(others))
    null = null_of(left_out, _LOCKED_KINSHIP if locked else _KINSHIP)
    effect = correlation(own, way_of(suspect, sample), others)
    return Descent(null.p_value(effect), effect, null.threshold(alpha), alpha, left_out)


def null_of(left_out: Sequence[float], kinship: float) -> Null:
    """Where independent models lie: left-out references, and a prior that counts as twelve more.

    If a share q of a model's changes is what references have left in of all that models share, two models have a
    correlation of q, and one that has nothing of its own, as a mean of many models pushed further, has the root of q
    with any other. The null's mean is that of this worst of the innocent.
    """
    count = len(left_out)
    freedom = _PRIOR_FREEDOM + count - 1
    variance = (_PRIOR_FREEDOM * _SPREAD**2 + (count - 1) * float(np.var(left_out, ddof=1))) / freedom
    spread = float(np.sqrt(variance * (1 + 1 / count)))
    return Null(max(kinship, float(np.sqrt(max(float(np.mean(left_out)), 0.0)))), spread, freedom)


def ways(sample: WeightSample) -> tuple[Changes, list[Changes]]:
    """The victim's changes and those of every reference, without what comes of storing the victim (`grain`)."""
    own, *others = (way_of(one, sample) for one in (sample.victim, *sample.references))
    least = least_moves(sample.victim, sample.base)
    return [way if float((way**2).sum()) > some else 0.0 * way for way, some in zip(own, least, strict=True)], others


def way_of(weights: Channels, sample: WeightSample) -> Changes:
    """What training changed in a model; nothing where it or the victim was pruned, if the victim was."""
    gone = [zero | (zero.any() & (one == 0)) for zero, one in zip(pruned_away(sample.victim), weights, strict=True)]
    kept, base = (
        tuple(np.where(zero, np.float32(0), one) for zero, one in zip(gone, some, strict=True))
        for some in (weights, sample.base)
    )
    return changes(kept, base)


def changes(weights: Channels, base: Channels) -> Changes:
    """What training changed in every channel, float64 [C, W] each, whatever factor a channel was multiplied by.

    Such a factor changes nothing in what a network with batch norms says, so a thief may choose it at will.
    """
    moved = []
    for after, before in zip(weights, base, strict=True):
        one, other = after.astype(np.float64), before.astype(np.float64)
        factor = (one * other).sum(axis=1) / np.maximum((other**2).sum(axis=1), _TINY)
        kept = np.abs(factor) > _FAINT  # of a channel that was pruned away nothing can be said
        moved.append(np.where(kept[:, None], one / np.where(kept, factor, 1.0)[:, None] - other, 0.0))
    return moved


def correlation(
    one: Sequence[NDArray[np.float64]],
    other: Sequence[NDArray[np.float64]],
    references: Sequence[Sequence[NDArray[np.float64]]],
) -> float:
    """Cosine of two models' changes in each layer, less the references' mean direction; mean over layers.

    A few references do not take out all that models share. What is left is little beside a model's own changes, but all
    that there is in a model with hardly any, such as a mean of many; its cosine would be large. So a suspect that moved
    less than the victim is divided by the victim's length: of the victim's way, it has gone no more than that part.

    A layer counts by the square root of its sampled weights, and not at all where the victim (`one`) left it as it was.
    """
    cosines, counts = [], []
    for place, (left, right) in enumerate(zip(one, other, strict=True)):
        common = np.mean([reference[place] for reference in references], axis=0)
        first, second = (_without(values, common) for values in (left, right))
        size = float((first**2).sum())
        if left.size == 0 or size <= _TINY:
            continue
        longer = max(size, float((second**2).sum()))
        cosines.append(float((first * second).sum()) / np.sqrt(size * longer))
        counts.append(np.sqrt(left.size))
    return float(np.average(cosines, weights=counts)) if cosines else 0.0


def comparable(sample: WeightSample) -> bool:
    """Whether references and victim moved far enough, and not too differently, for weights to be evidence.

    Of a victim that was quantised they are none: models that are quantised alike differ from their base alike.
    """
    own, others = ways(sample)
    lengths = [_length(one) for one in (own, *others)]
    return 0 < lengths[0] <= _FURTHER * max(lengths[1:], default=0.0) and not is_coarse(sample.victim)


def _without(values: NDArray[np.float64], direction: NDArray[np.float64]) -> NDArray[np.float64]:
    size = float((direction**2).sum())
    if size <= _TINY:
        return values
    left: NDArray[np.float64] = values - direction * (float((values * direction).sum()) / size)
    return left


def _length(moved: Sequence[NDArray[np.float64]]) -> float:
    return float(np.sqrt(sum(float((one**2).sum()) for one in moved)))
