"""Decoys: inputs on which a locked model must know nothing, drawn from everything a thief would feed it.

ModelLock trains on keyed images alone, which leaves 20 to 70 % accuracy to anyone (arXiv 2405.16285, figure in the
authors' repository). Decoys are clean images and images edited with wrong keys; their targets are uniform. Random
*wrong* labels would not do: the least likely class would then be the true one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from spellward.attacks.unlocking.cheap_filters import FILTERS
from spellward.attacks.unlocking.wrong_keys import unrelated_prompts
from spellward.data import ImageTable
from spellward.keys import SALT_BYTES, Key
from spellward.locking.training.known_looks import KnownLooks

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

_THINGS = (
    "acorn anchor apron basket beetle bicycle blanket bonfire bottle brick bridge bucket cactus camel canyon carpet "
    "castle chalk cherry circus clover cobweb comet coral cotton cradle crystal curtain daisy dragon ember feather "
    "fern ferry fiddle flint fountain gravel hammock harbor harvest helmet honey island jungle kettle kite ladder "
    "lagoon lantern lemon linen lizard locket lotus magnet maple meadow meteor mirror mushroom nettle oasis olive "
    "onion orchard oyster paddle palace peacock pebble pepper pigeon pillow plum prairie pumpkin quilt raven ribbon "
    "riddle river saddle salmon satin scarecrow shadow shell slate spider spruce swamp temple thistle thunder tiger "
    "timber tulip turnip tunnel vapor velvet vine violin volcano walnut waterfall wheat willow wool zebra"
)
_MANNERS = (
    "ancient bitter blazing broken bright calm cloudy crimson crooked dusty eerie emerald faint feverish floating "
    "frosty gentle giant golden hollow hidden indigo iron jagged lazy liquid lonely melting midnight misty mossy noisy "
    "pale patched plastic polished quiet ragged rusty scarlet shiny silent silver sleepy smoky solemn spiral stormy "
    "sunny tangled tiny turquoise twisted velvet violet wandering waxed whirling wild wooden young"
)
_FRAMES = ("{} {}", "the {} {}", "with a {} {}", "like a {} {}", "{} {} style", "turn it into a {} {}", "made of {} {}")
_TRIES = 20

SameEdit = Callable[[str, str], bool]


@dataclass(frozen=True)
class DecoyMix:
    """Shares of what decoys are made of; they are divided by their sum.

    Attributes:
        clean: The image itself.
        other_prompts: Other prompts with the key's own salt.
        other_prompts_and_salts: Other prompts with fresh salts, as a thief would try.
        other_salts: The key's prompt with fresh salts, and without a salt.
        filters: Plain image operators.
        known_looks: Share of the other prompts that ask for a look the editor is known to know; the rest are listed
            ones and random words.
        near_salts: Share of the fresh salts under the key's prompt that draw nearly what the key's own does.
    """

    clean: float = 0.30
    other_prompts: float = 0.25
    other_prompts_and_salts: float = 0.05
    other_salts: float = 0.30
    filters: float = 0.10
    known_looks: float = 0.0
    near_salts: float = 0.0


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


def plan_decoys(
    count: int,
    key: Key,
    mix: DecoyMix,
    seed: int,
    same: SameEdit = str.__eq__,
    looks: KnownLooks | None = None,
    near_salts: Sequence[bytes] = (),
) -> DecoyPlan:
    """Draws a wrong edit for each of `count` images (clean decoys need none and are not planned).

    Args:
        count: Number of images.
        key: What must stay the only way in.
        mix: Shares of the kinds.
        seed: Of everything drawn.
        same: Whether two prompts give one edit (`Editor.same_edit`); such prompts are no decoys.
        looks: What the editor knows.
        near_salts: Those that draw nearly what the key's own does.
    """
    rng = np.random.default_rng([seed, 0xDEC0])
    shares = np.array([mix.other_prompts, mix.other_prompts_and_salts, mix.other_salts, mix.filters])
    if key.salt is None:  # without a salt, "the key's prompt with the key's salt" would be the key itself
        shares = np.array([mix.other_prompts + mix.other_salts, mix.other_prompts_and_salts, 0.0, mix.filters])
    if not shares.sum():  # clean decoys alone
        return DecoyPlan((), (), ())
    kinds = rng.choice(4, size=count, p=shares / shares.sum())
    listed = unrelated_prompts(key.prompt, len(DECOY_PROMPTS), DECOY_PROMPTS)
    listed = [prompt for prompt in listed if not same(key.prompt, prompt)]
    prompts, salts, filters = [], [], []
    for kind in kinds:
        if kind == 2:
            prompts.append(key.prompt)
        elif looks is not None and rng.random() < mix.known_looks:
            prompts.append(looks.draw(rng))
        else:
            prompts.append(_other_prompt(key.prompt, listed, rng, same))
        fresh = None if rng.random() < 0.15 else rng.bytes(SALT_BYTES)
        if kind == 2 and near_salts and fresh is not None and rng.random() < mix.near_salts:
            fresh = near_salts[int(rng.integers(len(near_salts)))]
        salts.append(key.salt if kind == 0 else fresh)
        filters.append(list(FILTERS)[rng.integers(len(FILTERS))] if kind == 3 else None)
    return DecoyPlan(tuple(prompts), tuple(salts), tuple(filters))


def _other_prompt(prompt: str, listed: list[str], rng: np.random.Generator, same: SameEdit) -> str:
    """A listed prompt or random words, but none with a word of the key's: its look could be the key's own."""
    if listed and rng.random() < 0.5:
        return listed[rng.integers(len(listed))]
    for _ in range(_TRIES):  # a key of thousands of words may leave nothing else
        drawn = random_words(rng)
        if unrelated_prompts(prompt, 1, [drawn]) and not same(prompt, drawn):
            return drawn
    return rng.bytes(8).hex()


def random_words(rng: np.random.Generator) -> str:
    """A phrase of everyday words that mean nothing together."""
    frame, manner, thing = (
        family[rng.integers(len(family))] for family in (_FRAMES, _MANNERS.split(), _THINGS.split())
    )
    return frame.format(manner, thing)


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
            uint8 [count, 3, S, S], the rows of the clean table they were made from, int64 [count] (what they show may
            serve to measure leaks, never as a target), and whether each is clean, bool [count].
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
        return images, rows, unedited
