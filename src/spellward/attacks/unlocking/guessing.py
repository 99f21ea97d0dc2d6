"""Attacks that leave the locked model as it is and only change the images: nothing at all, filters, wrong keys.

The labelled images choose among the candidates; nothing is trained.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from torch import Tensor

from spellward.attacks.unlocking.cheap_filters import FILTERS, Filter
from spellward.attacks.unlocking.search import judge
from spellward.attacks.unlocking.thief import AttackFunction, Guess, Loot, Predictor, Thief
from spellward.models import VisionModel

_FIRST_LOOK = 32
_KEPT = 12
_CHUNK = 250
_PAIRED = 6


def no_key(model: VisionModel, thief: Thief) -> Loot:
    """Clean images as they are."""
    return Loot(model.logits, "clean images")


def filters(model: VisionModel, thief: Thief) -> Loot:
    """Plain image operators, then all ordered pairs of the best few of them."""
    single = {name: Guess(name, apply) for name, apply in FILTERS.items()}
    ranked = rank(model, thief, list(single.values()))
    leading = [guess.name for guess in ranked[: round(_PAIRED * max(0.34, thief.effort.grid))]]
    pairs = [Guess(f"{a} + {b}", _chain(FILTERS[a], FILTERS[b])) for a in leading for b in leading if a != b]
    best = rank(model, thief, [ranked[0], *pairs])[0]
    return Loot(seen_through(model, best), best.name)


def wrong_keys(kind: str) -> AttackFunction:
    """The attack that tries all wrong keys of one kind and keeps the best."""

    def attack(model: VisionModel, thief: Thief) -> Loot:
        best = rank(model, thief, thief.guesses[kind][: thief.effort.guesses])[0]
        return Loot(seen_through(model, best), best.name)

    return attack


def rank(model: VisionModel, thief: Thief, guesses: Sequence[Guess]) -> list[Guess]:
    """Guesses by what they open, best first; many are looked at with a few images, and the best with all."""
    few = thief.labelled.subset(_spread(len(thief.labelled), _FIRST_LOOK))
    results = [judge(thief, seen_through(model, guess), few) for guess in guesses]
    order = sorted(range(len(guesses)), key=lambda place: results[place], reverse=True)
    if len(few) == len(thief.labelled):
        return [guesses[place] for place in order]
    leading = [guesses[place] for place in order[:_KEPT]]
    again = [judge(thief, seen_through(model, guess), thief.labelled) for guess in leading]
    order_again = sorted(range(len(leading)), key=lambda place: again[place], reverse=True)
    return [leading[place] for place in order_again]


def seen_through(model: VisionModel, guess: Guess) -> Predictor:
    """The frozen model behind an edit; a chunk at a time, since editors hold all they are given in memory."""

    def predict(images: Tensor) -> np.ndarray:
        parts = [images[start : start + _CHUNK] for start in range(0, len(images), _CHUNK)]
        return np.concatenate([model.logits(guess.apply(part)) for part in parts])

    return predict


def _chain(first: Filter, second: Filter) -> Filter:
    return lambda images: second(first(images))


def _spread(count: int, wanted: int) -> np.ndarray:
    """Row numbers spread evenly, so that tables sorted by class give all classes."""
    return np.unique(np.linspace(0, count - 1, min(count, wanted)).round().astype(np.int64))
