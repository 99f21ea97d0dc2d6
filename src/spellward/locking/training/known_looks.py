"""Looks that an editor is known to know: whoever has it tries these first, and some of them come near the key's own.

What a lock must be shut against most is what the network hardly tells from the key. So looks are drawn the more
often the nearer their edits come (`nearness`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from spellward.attacks.unlocking.wrong_keys import UNRELATED_PROMPTS, unrelated_prompts
from spellward.data import ImageTable
from spellward.editors.base import Editor, EditSettings
from spellward.keys import Key
from spellward.locking.training.nearness import distances_from_key, tell_apart
from spellward.models import VisionModel

_FRAMES = ("{}", "like {}", "{} look", "a picture with {}")
_WORDINGS = slice(None, None, 2 * len(_FRAMES))  # every second one, plainly: they are alike


@dataclass(frozen=True)
class KnownLooks:
    """Looks, and how often each is drawn.

    Attributes:
        prompts: For each look the prompts that ask for it.
        weights: For each look its share of the draws; together 1.
    """

    prompts: tuple[tuple[str, ...], ...]
    weights: tuple[float, ...]

    def draw(self, rng: np.random.Generator) -> str:
        """A prompt for one of the looks."""
        prompts = self.prompts[rng.choice(len(self.prompts), p=self.weights)]
        return prompts[rng.integers(len(prompts))]


def known_looks(
    clean: ImageTable, key: Key, editor: Editor, used: EditSettings, base: VisionModel, seed: int
) -> KnownLooks | None:
    """Tries every look the editor knows on a few images, and weighs it by how near it comes to the key.

    Args:
        clean: Training images.
        key, editor, used: What unlocks.
        base: The public base.
        seed: Draws the images.

    Returns:
        `None` if the editor is not known to know any look but the key's.
    """
    looks = other_looks(key, editor)
    if not looks:
        return None
    asked = [prompt for prompts in looks for prompt in prompts[_WORDINGS]]
    apart = iter(distances_from_key(clean, key, editor, used, base, [(prompt, key.salt) for prompt in asked], seed))
    distances = np.array([np.mean([next(apart) for _ in prompts[_WORDINGS]]) for prompts in looks])
    others_than_own = np.flatnonzero(tell_apart(distances))
    if not len(others_than_own):
        return None
    nearness = distances[others_than_own] ** -2
    shares = (nearness / nearness.sum()).tolist()
    return KnownLooks(tuple(looks[place] for place in others_than_own), tuple(shares))


def other_looks(key: Key, editor: Editor) -> tuple[tuple[str, ...], ...]:
    """Prompts for each look but the key's own; none that the score tries, which training must not see."""
    scored = {text.casefold() for text in UNRELATED_PROMPTS}
    found = []
    for wordings in editor.looks():
        if len(unrelated_prompts(key.prompt, len(wordings), wordings)) < len(wordings):
            continue
        framed = [frame.format(wording) for wording in wordings for frame in _FRAMES]
        usable = [text for text in framed if text.casefold() not in scored and not editor.same_edit(key.prompt, text)]
        if usable:
            found.append(tuple(usable))
    return tuple(found)
