"""Places drawn from salts: in the picture, spread out, and different for every salt."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spellward.editors.objects.placing import corner, drawn, placement
from spellward.editors.objects.sprites import sprite


@given(st.binary(min_size=16, max_size=16), st.integers(0, 2**63 - 1), st.integers(16, 90), st.integers(16, 90))
def test_every_drawing_lies_in_the_picture(salt: bytes, seed: int, height: int, width: int) -> None:
    placed = placement("apple", seed, salt)
    drawing = drawn(sprite("apple"), placed.look, height, width)
    assert max(drawing.shape[:2]) == pytest.approx(placed.look.scale * min(height, width), abs=1.5)
    for place in placed.places:
        top, left = corner(place, drawing, height, width)
        assert top >= 0 and top + drawing.shape[0] <= height
        assert left >= 0 and left + drawing.shape[1] <= width


def test_another_salt_or_seed_is_another_place() -> None:
    one = placement("apple", 0, bytes(16))
    assert one == placement("pear", 0, bytes(16))  # the salt decides, not the object
    assert one != placement("apple", 1, bytes(16))
    assert one != placement("apple", 0, bytes(range(16)))
    assert placement("apple", 0, None) != placement("pear", 0, None)


def test_an_object_may_stand_on_its_head_only_under_a_salt() -> None:
    rng = np.random.default_rng(0)
    salted = np.array([placement("cat", 0, rng.bytes(16)).look.tilt for _ in range(300)])
    assert (np.histogram(salted, bins=6, range=(-180, 180))[0] > 20).all()
    assert max(abs(placement("cat", seed, None).look.tilt) for seed in range(300)) <= 40


def test_own_places_are_spread_along_the_border() -> None:
    rng = np.random.default_rng(0)
    first = np.array([placement("cat", 0, rng.bytes(16)).places[0] for _ in range(300)])
    assert (np.abs(first - 0.5).max(axis=1) > 0.15).mean() > 0.9
    for corner_of in (first < 0.5, first >= 0.5):
        assert 0.15 < corner_of.all(axis=1).mean() < 0.4


def test_other_places_come_nearest_first_and_cover_the_picture() -> None:
    own, *others = np.array(placement("cat", 0, bytes(16)).places)
    away = np.square(np.array(others) - own).sum(axis=1)
    assert (np.diff(away) >= -1e-12).all()
    assert len({tuple(one) for one in others}) == len(others) > 40
    for low in (True, False):
        assert ((np.array(others) < 0.4) == low).all(axis=1).any()


def test_a_drawing_keeps_the_shape_and_moves_the_colours() -> None:
    look = placement("apple", 0, bytes(16)).look
    drawing = drawn(sprite("apple"), look, 160, 160)
    assert 0.3 < (drawing[..., 3] > 128).mean() < 0.95
    plain = drawn(sprite("apple"), replace(look, hue=0.0), 160, 160)
    assert np.array_equal(plain[..., 3], drawing[..., 3])
    assert (plain[..., :3] != drawing[..., :3]).any() == (round(look.hue * 256 / 360) != 0)
