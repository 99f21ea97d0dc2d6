"""What a suspect tells: everything, rounded or clipped probabilities, the top few classes, or the class alone.

Whatever a suspect holds back is taken from victim and references too, so that all models are compared on equal terms
and what was lost cannot look like a likeness. Rounded probabilities lose more the sharper the model is, and the
sharpness (a temperature) is the thief's to choose: so each full model is first brought to the sharpness of the
coarse one, which for a rescaled copy undoes the rescaling.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.special import log_softmax

from spellward.ownership.answers.noised import noise_in, without_uniform
from spellward.ownership.answers.outputs import Floats

_MOST_DECIMALS = 6
_PERCENT = 100.0
_MOST_OF_IT = 0.9
_SHARPNESS_STEPS = 24
_ABOVE_NOISE = 4.0
_PAIR = 2
"""Where two classes are told, all others take the score of the second: rows differ in the likeliest one alone."""
_SHARPEST = 1e3
_COARSENESS = ("full", "clipped", "rounded", "top", "label")


@dataclass(frozen=True)
class Channel:
    """How much of its outputs a model tells.

    Attributes:
        kind: `full`; `clipped` at `floor`; `rounded` to `decimals`; `top` `count` classes; `label`.
        floor: Smallest probability that is told apart from zero (`clipped`, `rounded`).
        decimals: Of probabilities (`rounded`).
        count: Classes that are told (`top`).
    """

    kind: Literal["full", "clipped", "rounded", "top", "label"] = "full"
    floor: float = 0.0
    decimals: int = 0
    count: int = 0

    def __str__(self) -> str:
        return {
            "full": "all scores",
            "clipped": f"probabilities above {self.floor:.0e}",
            "rounded": f"probabilities with {self.decimals} decimals",
            "top": f"the {self.count} likeliest classes",
            "label": "the class alone",
        }[self.kind]


@dataclass(frozen=True)
class Told:
    """Scores as far as they are told: float64 [N, K], logits or log-probabilities, -inf where nothing is told."""

    scores: Floats
    channel: Channel


def one_hot(labels: Floats, classes: int) -> Floats:
    """Class numbers [N] as float64 [N, K] probabilities."""
    return np.eye(classes)[labels.astype(np.int64)]


def listen(outputs: Floats) -> Told:
    """Recognises logits, probabilities and how much they tell.

    Args:
        outputs: float64 [N, K], finite but for -inf. Probabilities may be in per cent, or parts of any other whole.
    """
    outputs = _as_shares(outputs)
    if noise := noise_in(outputs):
        return Told(_logarithms(outputs), Channel("clipped", floor=_ABOVE_NOISE * noise))
    if not _are_probabilities(outputs):
        return Told(outputs, _channel_of_scores(outputs))
    scores = _logarithms(outputs)
    coarse = _channel_of_scores(scores)
    if coarse.kind == "label":
        return Told(scores, coarse)
    if decimals := _decimals(outputs):
        return Told(scores, Channel("rounded", floor=0.5 * 10.0**-decimals, decimals=decimals))
    if coarse.kind == "top":
        return Told(scores, coarse)
    apart = without_uniform(outputs)
    least, smallest = float(apart.min()), float(apart[apart > 0].min())
    if (apart <= least).sum() > max(3, apart.size // 500):
        return Told(_logarithms(apart), Channel("clipped", floor=max(least, smallest)))
    # A few zeros are what single precision could not hold, or what somebody put there: no reason to tell less.
    return Told(_logarithms(np.maximum(apart, smallest)), Channel())


def _logarithms(outputs: Floats) -> Floats:
    with np.errstate(divide="ignore"):
        scores: Floats = np.log(np.maximum(outputs, 0.0))
    return scores


def on_equal_terms(models: Sequence[Told]) -> tuple[list[Floats], Channel]:
    """Passes all models through the coarsest of their channels.

    Args:
        models: The suspect last: its sharpness is what the others are brought to.

    Returns:
        float64 [N, K] scores for each model, and the channel.
    """
    coarsest = max(
        (told.channel for told in models), key=lambda one: (_COARSENESS.index(one.kind), -one.count, one.floor)
    )
    if coarsest.kind == "top" and coarsest.count == _PAIR:
        coarsest = Channel("label", count=1)
    if coarsest.kind in ("full", "top", "label"):
        return [_narrow(told.scores, coarsest) for told in models], coarsest
    given = [told for told in models if told.channel.kind != "full"]
    wanted = _depth(_narrow(given[-1].scores, coarsest))
    return [
        _narrow(_sharpened(told.scores, coarsest, wanted) if told.channel.kind == "full" else told.scores, coarsest)
        for told in models
    ], coarsest


def _channel_of_scores(scores: Floats) -> Channel:
    told = np.isfinite(scores).sum(axis=1)
    if (told == 1).all():
        return Channel("label", count=1)
    if (told < scores.shape[1]).all() and (told == told[0]).all():
        return Channel("top", count=int(told[0]))
    if (told < scores.shape[1]).any():
        relative = scores - scores.max(axis=1, keepdims=True)
        return Channel("clipped", floor=float(np.exp(relative[np.isfinite(relative)].min())))
    return Channel()


def _as_shares(outputs: Floats) -> Floats:
    """Divides what adds up to another number than one in every row, or to at most a hundred of some classes alone."""
    if not np.isfinite(outputs).all() or outputs.min() < 0 or outputs.max() <= 1:
        return outputs
    sums = outputs.sum(axis=1)
    whole = float(np.median(sums))
    unit = 1.0 if (outputs == np.round(outputs)).all() else 10.0 ** -(_decimals(outputs) or _MOST_DECIMALS)
    rounding = min(0.5 * unit * outputs.shape[1], 0.05 * whole)
    if np.abs(sums - whole).max() <= 0.01 * whole + rounding:
        return outputs / (_PERCENT if abs(whole - _PERCENT) <= 0.01 * _PERCENT + rounding else whole)
    told = (outputs > 0).sum(axis=1)
    some = bool((told == told[0]).all()) and 0 < told[0] < outputs.shape[1]
    some = some or _lacks_little(sums / _PERCENT)
    return outputs / _PERCENT if some and sums.max() <= 1.01 * _PERCENT + rounding else outputs


def _are_probabilities(outputs: Floats) -> bool:
    if not np.isfinite(outputs).all() or outputs.min() < -1e-6 or outputs.max() > 1 + 1e-6:
        return False
    sums = outputs.sum(axis=1)
    # Rounding to 3 decimals may take half a thousandth from each class.
    decimals = _decimals(outputs)
    slack = min(0.5, 0.01 + (0.5 * 10.0**-decimals * outputs.shape[1] if decimals else 0.0))
    if np.abs(sums - 1).max() <= slack or (sums.max() <= 1 + slack and _lacks_little(sums)):
        return True
    told = (outputs > 0).sum(axis=1)
    return bool((told == told[0]).all() and 0 < told[0] < outputs.shape[1] and sums.max() <= 1 + slack)


def _lacks_little(sums: Floats) -> bool:
    """Whether shares may be those of the claim's classes alone, a class of the suspect's own having the rest."""
    return bool(np.median(sums) >= _MOST_OF_IT)


def _decimals(outputs: Floats) -> int | None:
    """To how many decimals values are rounded; `None` if they are not."""
    for decimals in range(1, _MOST_DECIMALS + 1):
        scaled = outputs * 10.0**decimals
        if np.abs(scaled - np.round(scaled)).max() < 1e-3:
            return decimals
    return None


def _narrow(scores: Floats, channel: Channel) -> Floats:
    """Keeps of the scores what the channel lets through; everything finite."""
    if channel.kind == "full":
        return scores
    if channel.kind == "label":
        return one_hot(scores.argmax(axis=1).astype(np.float64), scores.shape[1])
    if channel.kind == "top":
        # What is not told lies below the least likely class that is.
        least = np.partition(scores, -channel.count, axis=1)[:, -channel.count, None]
        least = np.where(np.isfinite(least), least, np.where(np.isfinite(scores), scores, np.inf).min(1, keepdims=True))
        return np.maximum(scores, least)
    probabilities = np.exp(log_softmax(scores, axis=1))
    if channel.kind == "rounded":
        probabilities = np.round(probabilities, channel.decimals)
    narrowed: Floats = np.log(np.maximum(probabilities, channel.floor))
    return narrowed


def _depth(scores: Floats) -> float:
    """How far the mean class lies below the likeliest one: grows with the sharpness until all is at the floor."""
    return float((scores.max(axis=1, keepdims=True) - scores).mean())


def _sharpened(scores: Floats, channel: Channel, wanted: float) -> Floats:
    """Multiplies scores by the one number that gives them the wanted depth after the channel."""
    # Starts from a unit spread, so that the range covers logits of any scale.
    scale = float((scores - scores.mean(axis=1, keepdims=True)).std()) or 1.0
    low, high = np.log(1 / _SHARPEST), np.log(_SHARPEST)
    for _ in range(_SHARPNESS_STEPS):
        middle = (low + high) / 2
        if _depth(_narrow(scores * (np.exp(middle) / scale), channel)) < wanted:
            low = middle
        else:
            high = middle
    sharpened: Floats = scores * (np.exp((low + high) / 2) / scale)
    return sharpened
