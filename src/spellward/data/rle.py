"""Shapes as COCO writes them, polygons and run lengths, -> which pixels they cover."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from spellward.errors import DataError

_MOST_POINTS = 100_000
_EDGES_AT_ONCE = 512


def shape_pixels(shape: Any, width: int, height: int, name: str) -> np.ndarray:
    """Draws one COCO `segmentation`.

    Args:
        shape: A list of polygons, each x1, y1, x2, y2, ... in pixels from the upper left corner of the image; or an
            object with `size` [height, width] and `counts`, a list of run lengths or the same as a compressed string.
        width: Of the image, in pixels.
        height: Of the image, in pixels.
        name: What to call the annotation in errors.

    Returns:
        bool [height, width].

    Raises:
        DataError: For anything else; the message names the annotation.
    """
    if isinstance(shape, dict):
        if shape.get("size") != [height, width]:
            raise DataError(
                f"{name} is drawn for the size {shape.get('size')!s:.40}, not [{height}, {width}]. Mend it."
            )
        counts = shape.get("counts")
        runs = _uncompressed(counts, name) if isinstance(counts, str) else counts
        return _run_lengths(runs, width, height, name)
    if not isinstance(shape, list) or not shape:
        raise DataError(f"{name} has no outline, perhaps only a box. Give it a segmentation, or remove it.")
    covered = np.zeros((height, width), dtype=bool)
    for polygon in shape:
        if not _is_polygon(polygon):
            raise DataError(f"{name} has a polygon that is no list of x and y of 3 to {_MOST_POINTS} points. Mend it.")
        _fill(covered, np.array(polygon, dtype=np.float64).reshape(-1, 2))
    return covered


def _fill(covered: np.ndarray, points: np.ndarray) -> None:
    """Adds the pixels whose centre lies within a polygon (even-odd rule) to bool [H, W]; points are [P, 2], x and y."""
    height, width = covered.shape
    # Working within the bounding box keeps small objects on large images cheap.
    low, high = points.min(axis=0), points.max(axis=0)
    left, top = (max(0, int(np.floor(value))) for value in low)
    right, bottom = min(width, int(np.ceil(high[0]))), min(height, int(np.ceil(high[1])))
    if left >= right or top >= bottom:
        return
    start, end = points - (left, top), np.roll(points, -1, axis=0) - (left, top)
    # Every edge is crossed by the centre lines of some rows; right of a crossing, inside and outside change places.
    changes = np.zeros((bottom - top, right - left + 1), dtype=np.int32)
    for first in range(0, len(points), _EDGES_AT_ONCE):
        one, other = start[first : first + _EDGES_AT_ONCE], end[first : first + _EDGES_AT_ONCE]
        above = np.ceil(np.minimum(one[:, 1], other[:, 1]) - 0.5).clip(0, len(changes)).astype(np.int64)
        below = np.ceil(np.maximum(one[:, 1], other[:, 1]) - 0.5).clip(0, len(changes)).astype(np.int64)
        counts = below - above
        edge = np.repeat(np.arange(len(one)), counts)
        rows = np.arange(len(edge)) - np.repeat(np.cumsum(counts) - counts - above, counts)
        along = (rows + 0.5 - one[edge, 1]) / (other[edge, 1] - one[edge, 1])
        crossings = one[edge, 0] + along * (other[edge, 0] - one[edge, 0])
        columns = np.ceil(crossings - 0.5).clip(0, changes.shape[1] - 1).astype(np.int64)
        np.add.at(changes, (rows, columns), 1)
    covered[top:bottom, left:right] |= np.cumsum(changes[:, :-1], axis=1) % 2 == 1


def _is_polygon(polygon: Any) -> bool:
    return (
        isinstance(polygon, list)
        and 6 <= len(polygon) <= 2 * _MOST_POINTS
        and len(polygon) % 2 == 0
        and all(type(value) in (int, float) and abs(value) < 1e6 for value in polygon)
    )


def _run_lengths(runs: Any, width: int, height: int, name: str) -> np.ndarray:
    """Runs of zeros and ones in turn, down the columns from the left one on."""
    if (
        not isinstance(runs, list)
        or not all(type(run) is int and run >= 0 for run in runs)
        or sum(runs) != width * height
    ):
        raise DataError(f"{name} has run lengths that do not add up to {width} x {height} pixels. Mend it.")
    values = np.repeat(np.arange(len(runs)) % 2 == 1, runs)
    return values.reshape(width, height).T


def _uncompressed(text: str, name: str) -> Sequence[int]:
    """Decodes the string form of COCO's `maskApi.c`: 5 bits a character; from the fourth run on, differences."""
    runs: list[int] = []
    place = 0
    while place < len(text):
        value = shift = 0
        more = True
        while more:
            # No run is as long as 2 to the power of 35, so more characters can only be an attack.
            code = ord(text[place]) - 48 if place < len(text) and shift < 35 else -1
            if not 0 <= code < 64:
                raise DataError(f"{name} has a broken run length string. Mend it.")
            value |= (code & 31) << shift
            more = bool(code & 32)
            place, shift = place + 1, shift + 5
            if not more and code & 16:
                value -= 1 << shift
        runs.append(value + runs[-2] if len(runs) > 2 else value)
    return runs
