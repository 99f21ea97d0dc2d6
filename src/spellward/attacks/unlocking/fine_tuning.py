"""Fine-tuning: all layers or the head alone, at many rates, with two optimisers, with the old head and a new one."""

from __future__ import annotations

from spellward.attacks.unlocking.search import search, tunings
from spellward.attacks.unlocking.thief import Loot, Thief
from spellward.attacks.unlocking.tuning import Tuning
from spellward.models import VisionModel

# The likeliest first: a small effort tries the first ones alone.
SETTINGS: tuple[Tuning, ...] = (
    Tuning(4e-3, fresh_head=True),
    Tuning(1e-3),
    Tuning(4e-3),
    Tuning(1e-3, fresh_head=True),
    Tuning(3e-2, "sgd"),
    Tuning(1e-3, frozen_norms=True),
    Tuning(3e-4),
    Tuning(3e-4, fresh_head=True),
    Tuning(1e-2, fresh_head=True),
    Tuning(1e-1, "sgd", fresh_head=True),
    Tuning(1e-2, "sgd"),
    Tuning(4e-3, fresh_head=True, frozen_norms=True),
)
HEAD_SETTINGS: tuple[Tuning, ...] = (
    Tuning(2e-3, head_only=True, fresh_head=True),
    Tuning(2e-3, head_only=True),
    Tuning(2e-2, head_only=True, fresh_head=True),
    Tuning(1e-1, "sgd", head_only=True, fresh_head=True),
)


def fine_tuning(model: VisionModel, thief: Thief) -> Loot:
    """Trains all layers on the labelled images."""
    return search(thief, tunings(thief, model, thief.effort.some(SETTINGS)))


def head_tuning(model: VisionModel, thief: Thief) -> Loot:
    """Trains the head alone."""
    return search(thief, tunings(thief, model, thief.effort.some(HEAD_SETTINGS)))
