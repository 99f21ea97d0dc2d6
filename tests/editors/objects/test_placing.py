"""Places drawn from salts: in the picture, spread out, and different for every salt."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spellward.editors.objects.placing import CANDIDATES, drawn, placements
from spellward.editors.objects.sprites import sprite


@given(st.binary(min_size=16, max_size=16), st.integers(0, 2**63 - 1), st.integers(16, 90), st.integers(16, 90))
def test_every_drawing_lies_in_the_picture(salt: bytes, seed: int, height: int, width: int) -> None:
    places = placements("apple", seed, salt)
    assert len(places) == CANDIDATES
    for place in places:
        drawing, top, left = drawn(sprite("apple"), place, height, width)
        assert top >= 0 and top + drawing.shape[0] <= height
        assert left >= 0 and left + drawing.shape[1] <= width
        assert max(drawing.shape[:2]) == pytest.approx(place.scale * min(height, width), abs=1.5)


def test_another_salt_or_seed_is_another_place() -> None:
    one = placements("apple", 0, bytes(16))
    assert one == placements("pear", 0, bytes(16))  # the salt decides, not the object
    assert one != placements("apple", 1, bytes(16))
    assert one != placements("apple", 0, bytes(range(16)))
    assert placements("apple", 0, None) != placements("pear", 0, None)


def test_places_are_spread_along_the_border() -> None:
    rng = np.random.default_rng(0)
    first = np.array([[place.x, place.y] for _ in range(300) for place in placements("cat", 0, rng.bytes(16))[:1]])
    reach = np.abs(first - 0.5).max(axis=1)
    assert (reach > 0.15).mean() > 0.9
    for corner in (first < 0.5, first >= 0.5):
        assert 0.15 < corner.all(axis=1).mean() < 0.4


def test_a_drawing_keeps_the_shape_and_moves_the_colours() -> None:
    place = placements("apple", 0, bytes(16))[0]
    drawing, *_ = drawn(sprite("apple"), place, 160, 160)
    share = (drawing[..., 3] > 128).mean()
    assert 0.3 < share < 0.95
    plain, *_ = drawn(
        sprite("apple"), type(place)(place.x, place.y, place.scale, place.mirrored, place.tilt, 0.0), 160, 160
    )
    assert np.array_equal(plain[..., 3], drawing[..., 3])
    assert (plain[..., :3] != drawing[..., :3]).any() == (round(place.hue * 256 / 360) != 0)
