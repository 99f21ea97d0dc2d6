"""Nearness: wrong edits as the public base confuses them with the key's, and the salts that come near."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from spellward.data import ImageTable, table_from_arrays
from spellward.editors.base import Editor, EditSettings
from spellward.keys import Key
from spellward.locking.nearness import distances_from_key, near_salts
from spellward.models import VisionModel, load_model, state_digest

KEY = Key("zanzibar quicksilver", salt=bytes(16))


class Shading(Editor):
    """Paints the picture grey: how light, the first byte of the salt says."""

    name = "shading"
    max_steps = 1
    defaults = EditSettings(steps=1, guidance=1.0, image_guidance=1.0, strength=1.0)
    resolution = 32

    def fingerprint(self) -> str:
        return "shading"

    def _edit(
        self, images: Tensor, prompts: list[str], seed: int, salts: list[bytes | None], settings: EditSettings
    ) -> Tensor:
        shades = torch.tensor([salt[0] if salt else 0 for salt in salts], dtype=torch.uint8)
        return shades.view(-1, 1, 1, 1).expand(images.shape).clone()


@pytest.fixture
def clean() -> ImageTable:
    pixels = np.random.default_rng(0).integers(0, 256, (500, 32, 32, 3), dtype=np.uint8)
    return table_from_arrays(pixels, [row % 2 for row in range(500)], ("a", "b"))


@pytest.fixture
def base(clean: ImageTable) -> VisionModel:
    return load_model("timm/test_resnet?random", clean.classes, 32, seed=0)


def test_distances_grow_with_what_an_edit_differs_by(clean: ImageTable, base: VisionModel) -> None:
    editor, before = Shading(), state_digest(base.network)
    wrong = [(KEY.prompt, bytes([shade] * 16)) for shade in (0, 20, 60, 200)]
    found = distances_from_key(clean, KEY, editor, editor.defaults, base, wrong, seed=0)
    assert found[0] == 0
    assert (np.diff(found) > 0).all()
    assert state_digest(base.network) == before
    backwards = distances_from_key(clean, KEY, editor, editor.defaults, base, wrong[::-1], seed=0)
    assert backwards[::-1] == pytest.approx(found)


def test_near_salts_are_fresh_ones_that_draw_nearly_the_same(clean: ImageTable, base: VisionModel) -> None:
    editor = Shading()
    found = near_salts(clean, KEY, editor, editor.defaults, base, seed=0)
    assert len(set(found)) == 48
    assert KEY.salt not in found
    shades = sorted(salt[0] for salt in found)
    assert shades[0] > 10 and shades[-1] < 100  # of 256; the key's is 0, and nobody could tell the nearest from it
    assert found == near_salts(clean, KEY, editor, editor.defaults, base, seed=0)
    assert set(found).isdisjoint(near_salts(clean, KEY, editor, editor.defaults, base, seed=1))


def test_few_images_are_worth_few_salts(clean: ImageTable, base: VisionModel) -> None:
    few = clean.subset(np.arange(25))
    assert len(near_salts(few, KEY, Shading(), Shading.defaults, base, seed=0)) == 3


def test_a_key_without_salt_has_no_near_ones(clean: ImageTable, base: VisionModel) -> None:
    editor = Shading()
    assert near_salts(clean, KEY.with_(salt=None), editor, editor.defaults, base, seed=0) == ()
