"""An editor whose edits are as far apart as their shades, and what its edits are looked at with."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from spellward.data import ImageTable, table_from_arrays
from spellward.editors.base import Editor, EditSettings
from spellward.models import VisionModel, load_model


class Tinting(Editor):
    """Paints the picture grey: how light, a number in the prompt says, or else the first byte of the salt."""

    name = "tinting"
    max_steps = 1
    defaults = EditSettings(steps=1, guidance=1.0, image_guidance=1.0, strength=1.0)
    resolution = 32

    def __init__(self, *shades: int) -> None:
        self.shades = shades

    def fingerprint(self) -> str:
        return f"tinting:{self.shades}"

    def looks(self) -> tuple[tuple[str, ...], ...]:
        return tuple((f"shade {shade}", f"tone {shade}") for shade in self.shades)

    def _edit(
        self, images: Tensor, prompts: list[str], seed: int, salts: list[bytes | None], settings: EditSettings
    ) -> Tensor:
        shades = [
            next((int(word) for word in prompt.split() if word.isdigit()), salt[0] if salt else 0)
            for prompt, salt in zip(prompts, salts, strict=True)
        ]
        return torch.tensor(shades, dtype=torch.uint8).view(-1, 1, 1, 1).expand(images.shape).clone()


def noise_table(count: int) -> ImageTable:
    """Random pixels, 32 x 32, of two classes."""
    pixels = np.random.default_rng(0).integers(0, 256, (count, 32, 32, 3), dtype=np.uint8)
    return table_from_arrays(pixels, [row % 2 for row in range(count)], ("a", "b"))


def untrained(table: ImageTable) -> VisionModel:
    """A small network that nobody has trained, for the classes of a table."""
    return load_model("timm/test_resnet?random", table.classes, 32, seed=0)
