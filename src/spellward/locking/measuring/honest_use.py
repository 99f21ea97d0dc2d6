"""What honest use does to images on their way: JPEG, resizing, another precision; the key has to open all the same."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import torch
from torch import Tensor
from torchvision.transforms.v2 import functional as V

from spellward.attacks.unlocking.cheap_filters import jpeg
from spellward.data import ImageTable
from spellward.editors.base import Editor
from spellward.editors.mini import MiniEditor
from spellward.keys import Key
from spellward.locking.keying import edit_with_key, settings_of
from spellward.locking.measuring.tasks import TASKS, Change, through
from spellward.models import VisionModel


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
    if (otherwise := edited_otherwise(editor, key)) is not None:
        ways.append((OTHERWISE_EDITED, nothing, *otherwise, nothing))
    for done, (name, before, by, its_key, after) in enumerate(ways, 1):
        predict = through(model, partial(_changed, before=before, by=by, key=its_key, after=after))
        yield done, len(ways), name, TASKS[model.task].judge(predict, test).value


def _changed(images: Tensor, before: Change, by: Editor, key: Key, after: Change) -> Tensor:
    return after(edit_with_key(by, before(images), key))


def edited_otherwise(editor: Editor, key: Key) -> tuple[Editor, Key] | None:
    """What stands nearest to the same edit on another machine.

    The bundled editor in fp32 if it runs in bf16 and the other way round; any other editor with one more step. `None`
    if the editor takes no more steps: one that draws objects from its library knows one way only.
    """
    if isinstance(editor, MiniEditor):
        return editor.in_precision("fp32" if ":bf16:" in editor.fingerprint() else "bf16"), key
    steps = settings_of(key, editor).steps + 1
    return (editor, key.with_(steps=steps)) if steps <= editor.max_steps else None
