"""What a thief has who holds the weights and no key, and what an attack gives back."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
from torch import Tensor

from spellward.data import ImageTable
from spellward.data.splits import stratified_share
from spellward.editors.base import Editor, EditSettings
from spellward.errors import ModelError
from spellward.models import VisionModel

_VALIDATION_SHARE = 0.25
# With the square root, up to 2.5 times, 500 labels brought fine-tuning of the public base less than 250 did.
_LONGEST = 6.0
_Option = TypeVar("_Option")

Predictor = Callable[[Tensor], np.ndarray]
"""uint8 [N, 3, S, S] to scores float [N, K], or [N, K, S, S] of every pixel; the largest is the answer."""
Success = Callable[[np.ndarray, np.ndarray], float]
"""Such scores and the truth, int64 [N] or [N, S, S], to what the thief wants most of; higher is better."""


@dataclass(frozen=True)
class Guess:
    """An edit that may open the lock: uint8 [N, 3, H, W] in, the same out. Its name gives no secret away."""

    name: str
    apply: Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Effort:
    """How long a thief searches.

    Attributes:
        grid: Share of each attack's settings that is tried, the likeliest first; at least one.
        steps: Training steps with up to 64 labelled images; more images get more, up to six times as many.
        unlabelled: Clean images without labels that are used at most.
        guesses: Wrong keys of each kind that are tried at most.
    """

    grid: float
    steps: int
    unlabelled: int
    guesses: int

    def some(self, options: Sequence[_Option]) -> Sequence[_Option]:
        """The first of the options, as many as this effort tries."""
        return options[: max(1, math.ceil(self.grid * len(options)))]

    def steps_for(self, labelled: int) -> int:
        """Training steps with so many labelled images."""
        return round(self.steps * min(_LONGEST, max(1.0, labelled / 64)))


EFFORTS: dict[str, Effort] = {
    "quick": Effort(grid=0.0, steps=24, unlabelled=128, guesses=24),
    "default": Effort(grid=0.5, steps=60, unlabelled=512, guesses=200),
    "full": Effort(grid=1.0, steps=150, unlabelled=2000, guesses=1000),
}


@dataclass(frozen=True, eq=False)
class Thief:
    """What an attacker has besides the locked model.

    Attributes:
        labelled: Clean images with labels.
        unlabelled: Clean images; their labels are never read.
        base: The public model that the locked one was made from, with a fresh head.
        success: What the attacker chooses settings by, on labelled images of its own.
        effort: How long it searches.
        seed: Of everything it draws at random.
        editor: The editor that the lock was made with, where the thief knows it.
        settings: With which settings it edits: a few numbers, which a thief could try one after the other.
        guesses: Kind to wrong keys, for attacks that edit images before they ask.
    """

    labelled: ImageTable
    unlabelled: ImageTable
    base: VisionModel
    success: Success
    effort: Effort
    seed: int = 0
    editor: Editor | None = None
    settings: EditSettings | None = None
    guesses: Mapping[str, Sequence[Guess]] = field(default_factory=dict)

    def parts(self) -> tuple[ImageTable, ImageTable]:
        """The labelled images to learn from and those to choose settings by: a quarter of every class, at least one.

        The only image of a class is learnt from.

        Raises:
            ModelError: If no class has two labelled images.
        """
        labels = self.labelled.labels
        rng = np.random.default_rng([self.seed, 0x7A1])
        held = stratified_share(labels, _VALIDATION_SHARE, rng, fewest=1)
        held = held[np.bincount(labels)[labels[held]] > 1]
        if not len(held):
            raise ModelError(
                f"The thief has {len(labels)} labelled images, one of each class, which is too few to learn from some "
                "and choose by others. Take more images, or a larger share of them."
            )
        learnt = np.setdiff1d(np.arange(len(self.labelled)), held)
        return self.labelled.subset(learnt), self.labelled.subset(held)


Hope = tuple[float, float]
"""Success on labelled images that were held back, and minus the loss on them, which settles ties; higher is better."""


@dataclass(frozen=True)
class Loot:
    """What an attack gave.

    Attributes:
        predict: A way to classify clean images.
        setting: What gave it; nothing secret.
        hope: What the thief thought of that setting, and may choose between attacks by; `None` if it did not learn.
    """

    predict: Predictor
    setting: str
    hope: Hope | None = None


AttackFunction = Callable[[VisionModel, Thief], Loot]
