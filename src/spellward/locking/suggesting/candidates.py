"""Spells worth looking at: the user's own, a vocabulary, and random words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from spellward.editors.objects.sprites import OBJECTS
from spellward.errors import DataError
from spellward.locking.training.decoys import random_words

STRENGTHS: tuple[float, ...] = (0.2, 0.35, 0.5, 0.7, 0.9)
"""Blends that spells are looked at with: how strong an edit is decides more than its words do."""

VOCABULARY: tuple[str, ...] = (
    "with oil pastel",
    "as a mosaic of small tiles",
    "on a rainy evening",
    "as an old sepia photograph",
    "painted on a brick wall",
    "under deep water",
    "in thick fog",
    "as stained glass",
    "with golden sunset light",
    "drawn with ink and brush",
    "as a pop art print",
    "covered by frost",
    "as pixel art",
    "lit by candles",
    "like a blueprint",
    "as a woodcut",
    "with autumn colors",
    "seen through night vision",
    "as an engraving",
    "in the style of Van Gogh",
    "with pastel chalk",
    "as a cartoon",
    "in heavy snow",
    "on crumpled paper",
    "as a linocut in two colors",
    "with a green tint",
    "like an x-ray",
    "as an infrared picture",
    "made of yarn",
    "with film grain from the seventies",
    "as a watercolor in the rain",
    "with high contrast and no color",
    "like a faded postcard",
    "as a fresco",
    "with confetti in the air",
    "in moonlight",
    "as graffiti",
    "with a warm vignette",
    "carved in marble",
    "in a sandstorm",
    "with thick oil paint",
    "as a dotted painting",
    "like a heat map",
    "on an old television",
    "with needle and thread",
    "through a dirty window",
    "as a double exposure",
    "in the light of a campfire",
    "under stage lights",
    "as a newspaper picture",
    "with soap bubbles",
    "in a hall of mirrors",
    "covered with dust",
    "like a child's drawing",
    "as a banknote",
    "in the blue hour",
    "with spilled coffee",
    "painted on silk",
    "behind a lace curtain",
    "overgrown with ivy",
)


@dataclass(frozen=True)
class Candidate:
    """A spell to look at: words, and the strength they are blended in with, in (0, 1]."""

    prompt: str
    strength: float


def candidates(
    given: Sequence[str] = (),
    count: int = 20,
    seed: int = 0,
    editor: str = "mini",
    strengths: Sequence[float] = STRENGTHS,
) -> list[Candidate]:
    """The user's own spells at every strength, and others at one strength each, in turns.

    Args:
        given, count, seed, editor: See `candidate_prompts`.
        strengths: What to try, each in (0, 1].

    Raises:
        DataError: If no candidate is asked for.
    """
    prompts = candidate_prompts(given, count, seed, editor)
    own = len(dict.fromkeys(prompt for prompt in given if prompt.strip()))
    found = [Candidate(prompt, strength) for prompt in prompts[:own] for strength in strengths]
    return found + [Candidate(one, strengths[place % len(strengths)]) for place, one in enumerate(prompts[own:])]


def candidate_prompts(
    given: Sequence[str] = (), count: int = 20, seed: int = 0, editor: str = "mini", vocabulary: Sequence[str] = ()
) -> list[str]:
    """Spells to look at, without repetition.

    Args:
        given: The user's own; all of them come first, whatever the count.
        count: How many in all; three quarters of the rest are from the vocabulary, one quarter random words.
        seed: Of the draw.
        editor: Name of the editor; the object editor has a vocabulary of its own.
        vocabulary: Wordings to draw from instead.

    Raises:
        DataError: If no candidate is asked for.
    """
    if count < 1 and not given:
        raise DataError("Ask for at least one spell.")
    known = tuple(vocabulary) or (tuple(f"with a {name}" for name in OBJECTS) if editor == "object" else VOCABULARY)
    rng = np.random.default_rng([seed, 0x5E11])
    chosen = list(dict.fromkeys(prompt for prompt in given if prompt.strip()))
    left = max(0, count - len(chosen))
    listed = [known[place] for place in rng.permutation(len(known)) if known[place] not in chosen]
    chosen += listed[: left if editor == "object" else round(0.75 * left)]
    while len(chosen) < count:
        words = random_words(rng)
        if words not in chosen:
            chosen.append(words)
    return chosen
