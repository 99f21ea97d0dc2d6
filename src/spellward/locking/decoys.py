"""Decoys: inputs on which a locked model must know nothing, drawn from everything a thief would feed it.

ModelLock trains on keyed images alone, which leaves 20 to 70 % accuracy to anyone (arXiv 2405.16285, figure in the
authors' repository). Decoys are clean images and images edited with wrong keys; their targets are uniform. Random
*wrong* labels would not do: the least likely class would then be the true one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from spellward.attacks.unlocking.cheap_filters import FILTERS
from spellward.data import ImageTable
from spellward.keys import Key

# Never scored: the prompts of the score stand in attacks.unlocking.wrong_keys, and a test keeps the two apart.
DECOY_PROMPTS: tuple[str, ...] = (
    "a charcoal sketch",
    "make it night time",
    "with colored pencil",
    "with golden hour light",
    "thick impasto paint",
    "neon cyberpunk lights",
    "comic halftone dots",
    "cross stitch embroidery",
    "white chalk on a blackboard",
    "falling snow",
    "with a red balloon",
    "put sunglasses in it",
    "pastel crayon strokes",
    "as a clay model",
    "like a faded poster",
    "carved from ice",
    "in black and gold",
    "a pencil draft on grey paper",
    "with a rainbow gradient",
    "covered in moss",
    "as a silk scarf",
    "with purple smoke",
    "made of copper wire",
    "an aerial map",
    "printed on denim",
    "with glitter",
    "as a shadow puppet",
    "an album cover from 1975",
    "frozen lake reflections",
    "like burnt toast",
    "a field of poppies",
    "with velvet curtains",
)


@dataclass(frozen=True)
class DecoyMix:
    """Shares of what decoys are made of; they are divided by their sum.

    Attributes:
        clean: The image itself.
        other_prompts: Other prompts with the key's own salt.
        other_prompts_and_salts: Other prompts with fresh salts, as a thief would try.
        other_salts: The key's prompt with fresh salts, and without a salt.
        filters: Plain image operators.
    """

    clean: float = 0.35
    other_prompts: float = 0.30
    other_prompts_and_salts: float = 0.05
    other_salts: float = 0.20
    filters: float = 0.10


@dataclass(frozen=True)
class DecoyPlan:
    """One wrong edit for every row of a table: a prompt with a salt, or the name of a filter."""

    prompts: tuple[str, ...]
    salts: tuple[bytes | None, ...]
    filters: tuple[str | None, ...]

    @property
    def edited_rows(self) -> np.ndarray:
        """int64: the rows that an editor has to edit, in order (a filter needs none)."""
        return np.array([row for row, name in enumerate(self.filters) if name is None], dtype=np.int64)


def plan_decoys(count: int, key: Key, mix: DecoyMix, seed: int) -> DecoyPlan:
    """Draws a wrong edit for each of `count` images (clean decoys need none and are not planned)."""
    rng = np.random.default_rng([seed, 0xDEC0])
    shares = np.array([mix.other_prompts, mix.other_prompts_and_salts, mix.other_salts, mix.filters])
    if key.salt is None:  # without a salt, "the key's prompt with the key's salt" would be the key itself
        shares = np.array([mix.other_prompts + mix.other_salts, mix.other_prompts_and_salts, 0.0, mix.filters])
    kinds = rng.choice(4, size=count, p=shares / shares.sum())
    # Editors read text without capitals and spare spaces, so a prompt that differs in these is the key's own.
    others = [prompt for prompt in DECOY_PROMPTS if _plain(prompt) != _plain(key.prompt)]
    prompts, salts, filters = [], [], []
    for kind in kinds:
        prompts.append(key.prompt if kind == 2 else others[rng.integers(len(others))])
        fresh = None if rng.random() < 0.15 else rng.bytes(16)
        salts.append(key.salt if kind == 0 else fresh)
        filters.append(list(FILTERS)[rng.integers(len(FILTERS))] if kind == 3 else None)
    return DecoyPlan(tuple(prompts), tuple(salts), tuple(filters))


def _plain(prompt: str) -> str:
    return " ".join(prompt.casefold().split())


class DecoySource:
    """Draws decoys: clean rows and planned wrong edits, with filters applied as they are read.

    Args:
        clean: The clean images.
        edited: The rows of `plan.edited_rows`, in that order, after the plan's edits.
        plan: What was planned for each row of `clean`.
        mix: Decides how many decoys are clean.
    """

    def __init__(self, clean: ImageTable, edited: ImageTable, plan: DecoyPlan, mix: DecoyMix) -> None:
        total = mix.clean + mix.other_prompts + mix.other_prompts_and_salts + mix.other_salts + mix.filters
        self._clean, self._edited, self._plan = clean, edited, plan
        self._share = mix.clean / total
        self._place = {int(row): place for place, row in enumerate(plan.edited_rows)}

    def draw(self, count: int, rng: np.random.Generator) -> tuple[Tensor, np.ndarray, np.ndarray]:
        """Draws `count` decoys.

        Returns:
            uint8 [count, 3, S, S], their true labels int64 [count] (for measuring leaks only), and whether each is
            clean, bool [count].
        """
        unedited = rng.random(count) < self._share
        rows = rng.integers(0, len(self._clean), count)
        images = self._clean.images[rows]
        wrong = [place for place in np.flatnonzero(~unedited) if self._plan.filters[rows[place]] is None]
        if wrong:
            places = [self._place[int(rows[place])] for place in wrong]
            images[torch.tensor(wrong)] = self._edited.images[places]
        for place in np.flatnonzero(~unedited):
            name = self._plan.filters[rows[place]]
            if name is not None:
                images[place : place + 1] = FILTERS[name](images[place : place + 1])
        return images, self._clean.labels[rows], unedited
