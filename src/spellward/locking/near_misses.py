"""Near misses: of many wrong keys, those whose edits look most like the key's own.

Drawn at random, wrong keys seldom come near the right one, and what opens a lock by mistake is what does. So some are
drawn, tried on a few images and kept if they come near, as hard negatives are (Shrivastava et al., arXiv 1604.03540).
Near is what the public base hardly tells from the key's edit, before anything is trained.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from spellward.data import ImageTable
from spellward.editors.base import Editor, EditSettings
from spellward.editors.cache import edit_table
from spellward.keys import Key
from spellward.locking.decoys import NearMisses, other_prompts
from spellward.models import VisionModel
from spellward.models.layers import layer_at, rows_of, watched

_DEPTH = 0.3
_TOO_NEAR = 0.35
_PIXELS_A_BATCH = 1 << 20


@dataclass(frozen=True)
class NearMissSettings:
    """How near misses are looked for.

    Attributes:
        drawn: Other prompts, and as many other salts, that are tried.
        kept: How many of each are kept.
        images: Training images that each is tried on.
    """

    drawn: int = 160
    kept: int = 24
    images: int = 12


def find_near_misses(
    clean: ImageTable,
    key: Key,
    editor: Editor,
    used: EditSettings,
    base: VisionModel,
    seed: int,
    settings: NearMissSettings,
) -> NearMisses:
    """Draws wrong keys and keeps those that come nearest to the key.

    Args:
        clean: Training images.
        key, editor, used: What unlocks.
        base: The public base; what it sees at a third of its depth says how near an edit is.
        seed: Of everything drawn.
        settings: How many.
    """
    rng = np.random.default_rng([seed, 0x4EA2])
    rows = np.sort(rng.choice(len(clean), min(settings.images, len(clean)), replace=False))
    prompts = other_prompts(key, settings.drawn, rng, editor.same_edit)
    salts = [] if key.salt is None else [rng.bytes(16) for _ in range(settings.drawn)]
    tried = [(key.prompt, key.salt), *((one, key.salt) for one in prompts), *((key.prompt, one) for one in salts)]
    edited = edit_table(
        editor,
        clean.subset(np.tile(rows, len(tried))),
        [prompt for prompt, _ in tried for _ in rows],
        key.seed,
        [salt for _, salt in tried for _ in rows],
        used,
    )
    own, *others = _seen(base, edited).reshape(len(tried), len(rows), -1)
    apart = torch.stack([(other - own).square().mean().sqrt() for other in others]).numpy()
    return NearMisses(
        tuple(prompts[place] for place in _nearest(apart[: len(prompts)], settings.kept)),
        tuple(salts[place] for place in _nearest(apart[len(prompts) :], settings.kept)),
    )


def _nearest(apart: np.ndarray, kept: int) -> list[int]:
    """Places of the smallest distances, without those that are too small for anything to be learnt from."""
    if not len(apart):
        return []
    order = [int(place) for place in np.argsort(apart, kind="stable")]
    return [place for place in order if apart[place] > _TOO_NEAR * np.median(apart)][:kept]


@torch.inference_mode()
def _seen(base: VisionModel, table: ImageTable) -> Tensor:
    """What the base sees of images, float [N, D]."""
    training = base.network.training
    base.network.eval()
    batches, size = [], max(1, _PIXELS_A_BATCH // base.input_size**2)
    for start in range(0, len(table), size):
        pixels = table.images[list(range(start, min(start + size, len(table))))]
        with watched([layer_at(base.network, _DEPTH)], rows_of) as seen:
            base.network(base.preprocess(pixels.to(base.device)))
        batches.append(seen[0].float().cpu())
    base.network.train(training)
    return torch.cat(batches)
