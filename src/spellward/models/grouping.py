"""From maps to objects: pixels are grouped by the centre that they point to."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F

EXTRA = ("(centre)", "(way down)", "(way right)")
"""Names of the outputs after the classes. What says nothing is zero in all three."""
SPREAD = 24.0
"""The side of an image, divided by the standard deviation of the mark at an object's centre."""

_LEAST_CENTRE = 0.1
_MOST_OBJECTS = 100
FEWEST_PIXELS = 4
"""What has fewer is no object."""


@dataclass(frozen=True, eq=False)
class Objects:
    """The objects in one image.

    Attributes:
        masks: bool [n, S, S]; no pixel is in two of them.
        classes: int64 [n], each in [1, K).
        scores: float32 [n], in [0, 1]; the best first. Of a truth, one.
    """

    masks: np.ndarray
    classes: np.ndarray
    scores: np.ndarray

    def __len__(self) -> int:
        return len(self.classes)

    def where(self, kept: np.ndarray) -> Objects:
        """Those that are kept, bool [n]."""
        return Objects(self.masks[kept], self.classes[kept], self.scores[kept])

    def at_size(self, size: int) -> Objects:
        """The same in an image of another side: each pixel is what the nearest one was; what gets none is gone."""
        own = self.masks.shape[-1]
        if own == size:
            return self
        nearest = ((np.arange(size) + 0.5) * own / size).astype(np.int64)
        masks = self.masks[:, nearest][:, :, nearest]
        return Objects(masks, self.classes, self.scores).where(np.asarray(masks.any(axis=(1, 2))))

    def without(self, ignored: np.ndarray) -> Objects:
        """Without the pixels of bool [S, S], and without objects that had half of theirs or more there.

        So are members of a crowd, which COCO counts neither as found nor as invented.
        """
        if not ignored.any():
            return self
        masks = self.masks & ~ignored
        left, whole = (some.sum(axis=(1, 2)) for some in (masks, self.masks))
        return Objects(masks, self.classes, self.scores).where(2 * left > whole)

    def boxes(self) -> np.ndarray:
        """Left, top, right and bottom of each in pixels, the last two outside of it: int64 [n, 4]."""
        edges = []
        for mask in self.masks:
            rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
            edges.append((columns[0], rows[0], columns[-1] + 1, rows[-1] + 1))
        return np.array(edges, dtype=np.int64).reshape(-1, 4)

    def ids(self) -> np.ndarray:
        """The class of the object that each pixel belongs to; 0 is none. uint8."""
        found = np.zeros(self.masks.shape[1:], dtype=np.uint8)
        for mask, kind in zip(self.masks, self.classes, strict=True):
            found[mask] = kind
        return found

    def numbers(self) -> np.ndarray:
        """The number of the object that each pixel belongs to, from 1 in the order of `classes`; 0 is none. uint8."""
        found = np.zeros(self.masks.shape[1:], dtype=np.uint8)
        for number, mask in enumerate(self.masks, start=1):
            found[mask] = number
        return found


def no_objects(size: int) -> Objects:
    """What is found in an image of that side where there is nothing."""
    return Objects(np.zeros((0, size, size), bool), np.zeros(0, np.int64), np.zeros(0, np.float32))


def reach_at(size: int) -> int:
    """Of two marks no further apart than so many pixels, down or right, the higher one alone is an object's centre."""
    return round(size / SPREAD)


def objects_in(maps: np.ndarray) -> Objects:
    """Groups the pixels of one image.

    Each local maximum of the centres is an object; each pixel that is not background belongs to the centre nearest to
    where its way leads. The class is the likeliest over the object's pixels; the score is the centre's height times
    how likely the class is (arXiv 1911.10194, section 3.4).

    Args:
        maps: float [K + 3, S, S].
    """
    values = torch.from_numpy(np.ascontiguousarray(maps, dtype=np.float32))
    classes = values[: -len(EXTRA)].softmax(dim=0)
    size = int(values.shape[-1])
    centres = values[-len(EXTRA)]
    reach = reach_at(size)
    highest = F.max_pool2d(centres[None, None], 2 * reach + 1, stride=1, padding=reach)[0, 0]
    peaks = torch.nonzero((centres == highest) & (centres > _LEAST_CENTRE))
    heights = centres[peaks[:, 0], peaks[:, 1]].clamp(max=1.0)
    best = heights.argsort(descending=True, stable=True)[:_MOST_OBJECTS]
    peaks, heights = peaks[best].float(), heights[best]
    pixels = torch.nonzero(classes.argmax(dim=0) > 0)
    if not len(peaks) or not len(pixels):
        return no_objects(size)
    led = pixels + size * values[-len(EXTRA) + 1 :, pixels[:, 0], pixels[:, 1]].T
    own = torch.cdist(led, peaks).argmin(dim=1)
    masks, kinds, scores = [], [], []
    for number in range(len(peaks)):
        rows, columns = pixels[own == number].T
        if len(rows) < FEWEST_PIXELS:
            continue
        likely = classes[1:, rows, columns].mean(dim=1)
        mask = torch.zeros((size, size), dtype=torch.bool)
        mask[rows, columns] = True
        masks.append(mask.numpy())
        kinds.append(int(likely.argmax()) + 1)
        scores.append(float(heights[number] * likely.max()))
    order = np.argsort(-np.array(scores), kind="stable")
    if not len(order):
        return no_objects(size)
    return Objects(np.stack(masks)[order], np.array(kinds)[order], np.array(scores, dtype=np.float32)[order])


def true_objects(truth: np.ndarray) -> Objects:
    """The objects that int64 [2, S, S] of `InstanceTable.truth` holds."""
    ids, numbers = truth
    found = [number for number in np.unique(numbers) if number > 0]
    masks = [numbers == number for number in found]
    kinds = [int(np.bincount(ids[mask]).argmax()) for mask in masks]
    shape = (len(found), *ids.shape)
    stacked = np.array(masks, dtype=bool).reshape(shape)
    return Objects(stacked, np.array(kinds, dtype=np.int64), np.ones(len(found), dtype=np.float32))
