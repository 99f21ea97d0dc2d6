"""How a thief settles on a setting: by its own labelled images, never by the test images."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from spellward.attacks.unlocking.thief import Hope, Loot, Predictor, Thief
from spellward.attacks.unlocking.tuning import Tuning, tune
from spellward.data import ImageTable
from spellward.models import VisionModel
from spellward.models.losses import truth_loss

START_TUNINGS: tuple[Tuning, ...] = (
    Tuning(1e-3),
    Tuning(4e-3, fresh_head=True),
    Tuning(1e-3, frozen_norms=True),
    Tuning(4e-3),
)
"""How attacks that change the model before they fine-tune it do so; the starting point is chosen with the first."""
_MAPS = 8
_HOPELESS = -1e12
"""Minus the loss of scores that are no numbers."""


@dataclass(frozen=True)
class Candidate:
    """One setting: its name, and how it learns from labelled images."""

    name: str
    learn: Callable[[ImageTable], Predictor]


@dataclass(frozen=True)
class Start:
    """One starting point for fine-tuning: its name, and how to make the model."""

    name: str
    make: Callable[[], VisionModel]


def search(thief: Thief, candidates: Sequence[Candidate]) -> Loot:
    """Tries every candidate on three quarters of the labelled images, and has the best learn from all of them.

    One that is alone is tried, too, since a thief compares what several attacks make it hope for.
    """
    learnt, held = thief.parts()
    results = [judge(thief, candidate.learn(learnt), held) for candidate in candidates]
    place = max(range(len(candidates)), key=results.__getitem__)
    return Loot(candidates[place].learn(thief.labelled), candidates[place].name, results[place])


def search_starts(thief: Thief, starts: Sequence[Start]) -> Loot:
    """Fine-tunes from several starting points: the best start with one tuning, then the best tuning of that start."""
    first, *others = thief.effort.some(START_TUNINGS)
    learnt, held = thief.parts()
    results = [judge(thief, fine_tuned(thief, start.make(), first, learnt), held) for start in starts]
    place = max(range(len(starts)), key=results.__getitem__)
    best, model, tuning = results[place], starts[place].make(), first
    for other in others:
        result = judge(thief, fine_tuned(thief, model, other, learnt), held)
        if result > best:
            best, tuning = result, other
    return Loot(fine_tuned(thief, model, tuning, thief.labelled), f"{starts[place].name}, {tuning}", best)


def judge(thief: Thief, predict: Predictor, images: ImageTable) -> Hope:
    """Success on labelled images; ties, of which a handful of images gives many, go to the likelier labels."""
    scores, truth = predict(images.images[:]), images.truth(slice(None))
    loss = _mean_loss(torch.from_numpy(scores), truth)
    return thief.success(scores, truth.numpy()), -loss if math.isfinite(loss) else _HOPELESS


def _mean_loss(scores: Tensor, truth: Tensor) -> float:
    """`truth_loss` in float64; of maps a few images at a time, as so many numbers would not fit in memory."""
    if scores.ndim < 4:
        return float(truth_loss(scores.double(), truth))
    parts = zip(torch.split(scores, _MAPS), torch.split(truth, _MAPS), strict=True)
    return sum(len(few) * float(truth_loss(few.double(), shown)) for few, shown in parts) / len(scores)


def fine_tuned(thief: Thief, model: VisionModel, tuning: Tuning, images: ImageTable) -> Predictor:
    """Fine-tunes a copy of a model on labelled images, with the steps that the thief's effort allows."""
    steps = thief.effort.steps_for(len(images))
    return tune(model, images.images[:], images.truth(slice(None)), tuning, steps, thief.seed).logits


def tunings(thief: Thief, model: VisionModel, settings: Sequence[Tuning]) -> list[Candidate]:
    """Ways to fine-tune one model, as candidates."""
    return [Candidate(str(tuning), partial(fine_tuned, thief, model, tuning)) for tuning in settings]
