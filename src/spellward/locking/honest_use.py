"""What honest use does to images on their way: JPEG, resizing, another precision; the key has to open all the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor
from torchvision.transforms.v2 import functional as V

from spellward.attacks.unlocking.cheap_filters import jpeg
from spellward.data import ImageTable
from spellward.editors.base import Editor
from spellward.editors.mini import MiniEditor
from spellward.keys import Key
from spellward.locking import metrics
from spellward.locking.unlock import edit_with_key, settings_of
from spellward.models import VisionModel

_CHUNK = 250

Change = Callable[[Tensor], Tensor]
"""uint8 [N, 3, H, W] in and out."""


def _resized(factor: float) -> Change:
    def change(images: Tensor) -> Tensor:
        side = images.shape[2:]
        bicubic = V.InterpolationMode.BICUBIC
        there = V.resize(images, [round(factor * one) for one in side], interpolation=bicubic, antialias=True)
        back: Tensor = V.resize(there, list(side), interpolation=bicubic, antialias=True)
        return back

    return change


def _brighter(images: Tensor) -> Tensor:
    return (1.05 * images.float()).round().clamp(0, 255).to(torch.uint8)


BEFORE_EDITING: dict[str, Change] = {
    "JPEG 95": jpeg(95),
    "JPEG 90": jpeg(90),
    "JPEG 85": jpeg(85),
    "JPEG 75": jpeg(75),
    "twice the size and back": _resized(2.0),
    "three quarters of the size and back": _resized(0.75),
    "5 % brighter": _brighter,
}
OTHERWISE_EDITED = "other precision, or one more step"
AFTER_EDITING: dict[str, Change] = {"edited picture as JPEG 90": jpeg(90)}


def honest_use(model: VisionModel, key: Key, editor: Editor, test: ImageTable) -> Iterator[tuple[int, int, str, float]]:
    """Measures unlocked performance under each change.

    Args:
        model: The locked model.
        key, editor: What opens it.
        test: Clean test images.

    Yields:
        (rows done, rows in all, name, accuracy); the first name is "unchanged".
    """

    def nothing(images: Tensor) -> Tensor:
        return images

    ways: list[tuple[str, Change, Editor, Key, Change]] = [("unchanged", nothing, editor, key, nothing)]
    ways += [(name, change, editor, key, nothing) for name, change in BEFORE_EDITING.items()]
    ways += [(name, nothing, editor, key, change) for name, change in AFTER_EDITING.items()]
    ways.append((OTHERWISE_EDITED, nothing, *edited_otherwise(editor, key), nothing))
    for done, (name, before, by, its_key, after) in enumerate(ways, 1):
        parts = [model.logits(after(edit_with_key(by, before(images), its_key))) for images, _ in test.batches(_CHUNK)]
        yield done, len(ways), name, metrics.accuracy(np.concatenate(parts), test.labels).value


def edited_otherwise(editor: Editor, key: Key) -> tuple[Editor, Key]:
    """What stands nearest to the same edit on another machine.

    The bundled editor in fp32 if it runs in bf16 and the other way round; any other editor with one more step.
    """
    if isinstance(editor, MiniEditor):
        return MiniEditor(precision="fp32" if ":bf16:" in editor.fingerprint() else "bf16"), key
    return editor, key.with_(steps=settings_of(key, editor).steps + 1)
