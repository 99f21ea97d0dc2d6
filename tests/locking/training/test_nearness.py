"""Nearness: wrong edits as the public base confuses them with the key's, and the salts that come near."""

from __future__ import annotations

import numpy as np
import pytest
from tests.locking.tinting import Tinting, noise_table, untrained

from spellward.data import ImageTable
from spellward.keys import Key
from spellward.locking.training.nearness import distances_from_key, near_salts
from spellward.models import VisionModel, state_digest

KEY = Key("zanzibar quicksilver", salt=bytes(16))


@pytest.fixture
def clean() -> ImageTable:
    return noise_table(500)


@pytest.fixture
def base(clean: ImageTable) -> VisionModel:
    return untrained(clean)


def test_distances_grow_with_what_an_edit_differs_by(clean: ImageTable, base: VisionModel) -> None:
    editor, before = Tinting(), state_digest(base.network)
    wrong = [(KEY.prompt, bytes([shade] * 16)) for shade in (0, 20, 60, 200)]
    found = distances_from_key(clean, KEY, editor, editor.defaults, base, wrong, seed=0)
    assert found[0] == 0
    assert (np.diff(found) > 0).all()
    assert state_digest(base.network) == before
    backwards = distances_from_key(clean, KEY, editor, editor.defaults, base, wrong[::-1], seed=0)
    assert backwards[::-1] == pytest.approx(found)


def test_near_salts_are_fresh_ones_that_draw_nearly_the_same(clean: ImageTable, base: VisionModel) -> None:
    editor = Tinting()
    found = near_salts(clean, KEY, editor, editor.defaults, base, seed=0)
    assert len(set(found)) == 48
    assert KEY.salt not in found
    shades = sorted(salt[0] for salt in found)
    assert shades[0] > 10 and shades[-1] < 100  # of 256; the key's is 0, and nobody could tell the nearest from it
    assert found == near_salts(clean, KEY, editor, editor.defaults, base, seed=0)
    assert set(found).isdisjoint(near_salts(clean, KEY, editor, editor.defaults, base, seed=1))


def test_few_images_are_worth_few_salts(clean: ImageTable, base: VisionModel) -> None:
    few = clean.subset(np.arange(25))
    assert len(near_salts(few, KEY, Tinting(), Tinting.defaults, base, seed=0)) == 3


def test_a_key_without_salt_has_no_near_ones(clean: ImageTable, base: VisionModel) -> None:
    editor = Tinting()
    assert near_salts(clean, KEY.with_(salt=None), editor, editor.defaults, base, seed=0) == ()
