"""Masks as pictures: ids survive, colours differ, the background shows through."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from spellward.data import IGNORE
from spellward.data.overlays import class_colours, mask_png, overlay


@pytest.mark.parametrize("count", [1, 2, 6, 40])
def test_colours_are_different_and_the_background_is_black(count: int) -> None:
    colours = class_colours(count)
    assert colours.shape == (count, 3) and colours.dtype == np.uint8
    assert not colours[0].any()
    assert len(np.unique(colours, axis=0)) == count


def test_a_mask_file_holds_the_ids() -> None:
    ids = np.array([[0, 1, 2], [2, IGNORE, 0]], dtype=np.uint8)
    picture = Image.open(io.BytesIO(mask_png(ids, 3)))
    assert picture.mode == "P"
    assert np.array_equal(np.asarray(picture), ids)
    assert tuple(np.asarray(picture.convert("RGB"))[0, 1]) == tuple(class_colours(3)[1])


def test_an_overlay_tints_objects_and_draws_their_edges() -> None:
    image = np.full((9, 9, 3), 100, dtype=np.uint8)
    ids = np.zeros((9, 9), dtype=np.uint8)
    ids[2:7, 2:7] = 1
    shown, colour = overlay(image, ids, 2), class_colours(2)[1]
    assert np.array_equal(shown[ids == 0], image[ids == 0])
    assert np.array_equal(shown[2, 4], colour)
    assert not np.array_equal(shown[4, 4], colour) and not np.array_equal(shown[4, 4], image[4, 4])
