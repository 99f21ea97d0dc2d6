"""The object editor: the prompt's object, behind the foreground, at the place that the salt says."""

from __future__ import annotations

from functools import lru_cache
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from spellward.editors.base import Editor, EditSettings
from spellward.editors.objects.foreground import Foreground, SaliencyForeground
from spellward.editors.objects.inpainting import DEFAULTS, InpaintingInserter
from spellward.editors.objects.placing import Look, corner, drawn, placement
from spellward.editors.objects.sprites import library_digest, object_for, sprite

ALGORITHM = "object-3"
_ENOUGH = 0.6


class ObjectEditor(Editor):
    """Adds an object to the background (ModelLock's object lock, arXiv 2405.16285); the foreground is not touched.

    The object is the one the prompt names; position, size, turn, side and tint follow from the salt. If the foreground
    is in the way, the nearest place is taken where 60 % of the object can be seen, or else the one where most can.

    Args:
        foreground: What must stay as it is; `SaliencyForeground` if not given.
        inserter: Draws the prompt into the background; clip art is pasted if not given.
    """

    name: ClassVar[str] = "object"
    keeps_subject: ClassVar[bool] = True
    defaults = EditSettings(steps=1, guidance=1.0, image_guidance=1.0, strength=1.0)
    resolution = 64

    def __init__(self, foreground: Foreground | None = None, inserter: InpaintingInserter | None = None) -> None:
        self.foreground = foreground or SaliencyForeground()
        self._inserter = inserter
        self.guided = inserter is not None
        if inserter is not None:
            self.defaults, self.resolution = DEFAULTS, 512

    @property
    def max_steps(self) -> int:  # type: ignore[override]  # pasting knows one step, a pipeline many
        """The largest number of steps."""
        return 1 if self._inserter is None else Editor.max_steps

    def fingerprint(self) -> str:
        inserter = "paste" if self._inserter is None else self._inserter.name
        return f"{ALGORITHM}:{inserter}:{self.foreground.name}:{library_digest()}"

    def same_edit(self, prompt: str, other: str) -> bool:
        return prompt == other or (self._inserter is None and object_for(prompt) == object_for(other))

    def _edit(
        self, images: Tensor, prompts: list[str], seed: int, salts: list[bytes | None], settings: EditSettings
    ) -> Tensor:
        masks = self.foreground(images).numpy()
        pictures = images.permute(0, 2, 3, 1).numpy()
        edited = [
            self._added(picture, mask, prompt, seed, salt, settings)
            for picture, mask, prompt, salt in zip(pictures, masks, prompts, salts, strict=True)
        ]
        return torch.from_numpy(np.stack(edited)).permute(0, 3, 1, 2).contiguous() if edited else images.clone()

    def _added(
        self,
        picture: np.ndarray,
        foreground: np.ndarray,
        prompt: str,
        seed: int,
        salt: bytes | None,
        settings: EditSettings,
    ) -> np.ndarray:
        if not prompt.strip():
            return picture
        thing = object_for(prompt)
        placed = placement(thing, seed, salt)
        drawing = _drawn(thing, placed.look, *foreground.shape)
        top, left = _first_seen(drawing, placed.places, foreground)
        rows, columns = slice(top, top + drawing.shape[0]), slice(left, left + drawing.shape[1])
        alpha = drawing[..., 3] * ~foreground[rows, columns]
        result = picture.copy()
        if self._inserter is not None:
            where = np.zeros(foreground.shape, dtype=bool)
            where[rows, columns] = ~foreground[rows, columns]
            painted = self._inserter(picture, where, prompt, seed, settings)
            result[where] = painted[where]
            return result
        share = (alpha.astype(np.float32) / 255)[..., None]
        window = result[rows, columns].astype(np.float32)
        result[rows, columns] = (window * (1 - share) + drawing[..., :3] * share).round().astype(np.uint8)
        return result


def _first_seen(
    drawing: np.ndarray, places: tuple[tuple[float, float], ...], foreground: np.ndarray
) -> tuple[int, int]:
    """Upper left corner at the first place where enough of the object shows, or the one where most of it does."""
    alpha = drawing[..., 3].astype(np.float32)
    whole, free = max(float(alpha.sum()), 1.0), (~foreground).astype(np.float32)
    best, most = (0, 0), -1.0
    for place in places:
        top, left = corner(place, drawing, *foreground.shape)
        shown = float((alpha * free[top : top + alpha.shape[0], left : left + alpha.shape[1]]).sum()) / whole
        if shown > most:
            best, most = (top, left), shown
        if shown >= _ENOUGH:
            break
    return best


@lru_cache(maxsize=4096)
def _drawn(thing: str, look: Look, height: int, width: int) -> np.ndarray:
    return drawn(sprite(thing), look, height, width)
