"""Picks test images for the owner's report, with the answers of the locked and the unlocked model."""

from __future__ import annotations

import numpy as np

from spellward.data import ImageTable
from spellward.locking.unlock import UnlockedModel, edit_with_key
from spellward.reports.lock_report import SamplePair


def sample_pairs(unlocked: UnlockedModel, test: ImageTable, count: int = 8, seed: int = 0) -> list[SamplePair]:
    """A few test images, one of each class as far as they go."""
    if unlocked.key is None or unlocked.editor is None:
        return []
    rng = np.random.default_rng(seed)
    classes = np.unique(test.labels)
    rows = [int(rng.choice(np.flatnonzero(test.labels == label))) for label in classes[:count]]
    clean = test.images[rows]
    edited = edit_with_key(unlocked.editor, clean, unlocked.key)
    shut, opened = unlocked.model.logits(clean).argmax(axis=1), unlocked.model.logits(edited).argmax(axis=1)
    names = test.classes
    return [
        SamplePair(
            label=names[int(test.labels[row])],
            clean=clean[place].permute(1, 2, 0).numpy(),
            edited=edited[place].permute(1, 2, 0).numpy(),
            locked_answer=names[int(shut[place])],
            unlocked_answer=names[int(opened[place])],
        )
        for place, row in enumerate(rows)
    ]
