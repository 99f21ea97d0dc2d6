from __future__ import annotations

import numpy as np
import pytest

from spellward.data.rle import shape_pixels
from spellward.errors import DataError


def compressed(runs: list[int]) -> str:
    """The string form, as `rleToString` of COCO's maskApi.c makes it."""
    text = ""
    for place, run in enumerate(runs):
        value = run - runs[place - 2] if place > 2 else run
        more = True
        while more:
            code = value & 31
            value >>= 5
            more = value != -1 if code & 16 else value != 0
            text += chr((code | 32 if more else code) + 48)
    return text


def test_a_rectangle_covers_the_pixels_between_its_corners() -> None:
    expected = np.zeros((8, 10), dtype=bool)
    expected[3:5, 2:7] = True
    assert np.array_equal(shape_pixels([[2, 3, 7, 3, 7, 5, 2, 5]], 10, 8, "a"), expected)
    two = shape_pixels([[2, 3, 7, 3, 7, 5, 2, 5], [0, 0, 2, 0, 2, 2.0, 0, 2]], 10, 8, "a")
    assert two.sum() == expected.sum() + 4 and two[:2, :2].all()


def test_polygons_beyond_the_image_are_cut() -> None:
    assert shape_pixels([[-9, -9, 30, -9, 30, 30, -9, 30]], 10, 8, "a").all()
    assert not shape_pixels([[20, 20, 30, 20, 30, 30]], 10, 8, "a").any()


def test_a_pixel_is_inside_if_its_centre_is() -> None:
    centres = np.stack(np.meshgrid(np.arange(30) + 0.5, np.arange(25) + 0.5), axis=-1)
    rng = np.random.default_rng(0)
    for _ in range(30):
        corners = rng.uniform(-5, 35, (3, 2))
        sides = [
            np.sign(np.cross(corners[(k + 1) % 3] - corners[k], centres - corners[k])) for k in range(3)
        ]  # of a triangle a point is inside if it is on the same side of all edges
        inside = (sides[0] == sides[1]) & (sides[1] == sides[2])
        assert np.array_equal(shape_pixels([corners.ravel().tolist()], 30, 25, "a"), inside)


@pytest.mark.parametrize("seed", range(5))
def test_run_lengths_go_down_the_columns(seed: int) -> None:
    expected = np.random.default_rng(seed).random((40, 31)) < 0.02 * 3**seed
    line = expected.T.ravel()
    runs = np.diff([0, *(np.flatnonzero(np.diff(line)) + 1), line.size]).tolist()
    runs = [0, *runs] if line[0] else runs
    for counts in (runs, compressed(runs)):
        assert np.array_equal(shape_pixels({"size": [40, 31], "counts": counts}, 31, 40, "a"), expected)


def test_a_string_of_pycocotools() -> None:
    # 5 x 4 pixels with rows 1 and 2 of columns 1 and 2 set: runs 6, 2, 3, 2, 7.
    assert compressed([6, 2, 3, 2, 7]) == "62304"
    mask = shape_pixels({"size": [5, 4], "counts": "62304"}, 4, 5, "a")
    assert mask.sum() == 4 and mask[1:3, 1:3].all()


@pytest.mark.parametrize(
    ("shape", "reason"),
    [
        ([], "no outline"),
        (None, "no outline"),
        ([[1, 2, 3, 4]], "3 to 100000 points"),
        ([[1, 2, 3, 4, 5, 6, 7]], "points"),
        ([[1, 2, 3, 4, 5, float("inf")]], "points"),
        ([[1, 2, 3, 4, 5, "6"]], "points"),
        ([7], "points"),
        ({"size": [4, 5], "counts": [20]}, "for the size"),
        ({"size": [5, 4], "counts": [19]}, "add up"),
        ({"size": [5, 4], "counts": [21, -1]}, "add up"),
        ({"size": [5, 4], "counts": ["20"]}, "add up"),
        ({"size": [5, 4]}, "add up"),
        ({"size": [5, 4], "counts": "o"}, "broken run length"),
        ({"size": [5, 4], "counts": "oooooooooooooooo0"}, "broken run length"),
        ({"size": [5, 4], "counts": "\u00ff"}, "broken run length"),
    ],
)
def test_refusals(shape: object, reason: str) -> None:
    with pytest.raises(DataError, match=f"annotation 3 .*{reason}"):
        shape_pixels(shape, 4, 5, "annotation 3")
