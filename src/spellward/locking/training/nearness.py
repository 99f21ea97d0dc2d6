"""How near wrong edits come to the key's, in what the public base sees before anything is trained.

The nearest are what opens a lock that was shut against wrong edits in general, so decoys are drawn from them most
often (hard negatives, as in Shrivastava et al., arXiv 1604.03540).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from spellward.attacks.unlocking.probing import features
from spellward.data import ImageTable
from spellward.editors.base import Editor, EditSettings
from spellward.editors.cache import edit_table
from spellward.keys import Key
from spellward.models import VisionModel

_DEPTH = 0.3
_IMAGES = 12
_MOST_SALTS, _NEAR = 480, 0.1
_SAME = 0.2


def distances_from_key(
    clean: ImageTable,
    key: Key,
    editor: Editor,
    used: EditSettings,
    base: VisionModel,
    wrong: Sequence[tuple[str, bytes | None]],
    seed: int,
) -> np.ndarray:
    """Edits a few images in wrong ways and compares what the public base sees of them with what the key makes of them.

    Args:
        clean: Training images.
        key, editor, used: What unlocks.
        base: The public base.
        wrong: Prompts and salts.
        seed: Draws the images.

    Returns:
        float64 [len(wrong)]: the root mean square of what features at 0.3 of the depth differ by, at least 0.
    """
    rows = np.sort(np.random.default_rng([seed, 0x4EA2]).choice(len(clean), min(_IMAGES, len(clean)), replace=False))
    asked = [(key.prompt, key.salt), *wrong]
    few = clean.subset(np.tile(rows, len(asked)))
    prompts, salts = [prompt for prompt, _ in asked for _ in rows], [salt for _, salt in asked for _ in rows]
    edited = edit_table(editor, few, prompts, key.seed, salts, used)
    own, *others = features(base, _DEPTH, edited.images[:]).reshape(len(asked), len(rows), -1)
    return np.array([float(np.sqrt(np.square(other - own).mean())) for other in others])


def tell_apart(distances: np.ndarray) -> np.ndarray:
    """bool, as `distances`: which wrong edits are not all but the key's own; from those nothing could be learnt.

    Other wordings for the key's look come to 0.1 to 0.2 of the median look, other looks to 0.3 or more; other salts
    to 0.4 or more of the median salt.
    """
    return np.asarray(distances > _SAME * np.median(distances))


def near_salts(
    clean: ImageTable, key: Key, editor: Editor, used: EditSettings, base: VisionModel, seed: int
) -> tuple[bytes, ...]:
    """Fresh salts that draw nearly what the key's own does: the nearest tenth of 480, or of one for each image.

    A dozen edits for each training image at most, so that the search stays in proportion to the lock.

    Args:
        clean, key, editor, used, base, seed: See `distances_from_key`.

    Returns:
        None of them, if the key has no salt.
    """
    if key.salt is None:
        return ()
    rng = np.random.default_rng([seed, 0x5A17])
    salts = [rng.bytes(len(key.salt)) for _ in range(min(len(clean), _MOST_SALTS))]
    distances = distances_from_key(clean, key, editor, used, base, [(key.prompt, salt) for salt in salts], seed)
    others = tell_apart(distances)
    nearest = [salts[place] for place in np.argsort(distances, kind="stable") if others[place]]
    return tuple(nearest[: math.ceil(_NEAR * len(salts))])
