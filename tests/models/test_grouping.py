"""From maps to objects: what maps without error hold is found again, and silence holds nothing."""

from __future__ import annotations

import numpy as np
import torch
from tests.models.test_instances import pairs_of_squares

from spellward.models.grouping import EXTRA, Objects, objects_in, true_objects
from spellward.models.instances import centres_and_ways


def perfect_maps(truth: torch.Tensor, classes: int = 3) -> np.ndarray:
    """What a network without error would give."""
    centres, ways = centres_and_ways(truth)
    known = 20.0 * torch.nn.functional.one_hot(truth[:, 0], classes).movedim(-1, 1).float()
    return torch.cat([known, centres[:, None], ways], dim=1).numpy()


def test_maps_without_error_give_the_truth() -> None:
    truth = pairs_of_squares(12).truth(slice(0, 12))
    for maps, right in zip(perfect_maps(truth), truth.numpy(), strict=True):
        found, there = objects_in(maps), true_objects(right)
        assert len(found) == len(there) == 2
        assert (found.ids() == right[0]).all()
        # The same groups, whatever their order.
        pairs = {(int(a), int(b)) for a, b in zip(found.numbers().ravel(), right[1].ravel(), strict=True)}
        assert len(pairs) == 3
        assert (found.scores > 0.85).all()  # a centre between pixels is a little less than one on each


def test_boxes_hold_their_masks_and_no_more() -> None:
    (truth,) = pairs_of_squares(1).truth([0]).numpy()
    there = true_objects(truth)
    for mask, (left, top, right, bottom) in zip(there.masks, there.boxes(), strict=True):
        assert mask[top:bottom, left:right].sum() == mask.sum()
        assert mask[top].any() and mask[bottom - 1].any() and mask[:, left].any() and mask[:, right - 1].any()


def test_silence_and_background_hold_nothing() -> None:
    silent = np.zeros((3 + len(EXTRA), 16, 16), dtype=np.float32)
    assert len(objects_in(silent)) == 0
    silent[0] = 5.0
    silent[3, 4, 4] = 1.0  # a centre without a pixel that belongs to it
    assert len(objects_in(silent)) == 0
    nothing = objects_in(silent)
    assert nothing.boxes().shape == (0, 4) and not nothing.ids().any() and nothing.numbers().shape == (16, 16)


def test_the_best_come_first_and_specks_are_left_out() -> None:
    maps = np.zeros((3 + len(EXTRA), 24, 24), dtype=np.float32)
    maps[0] = 4.0
    for top, height, kind in ((2, 0.4, 1), (14, 0.9, 2)):
        maps[kind, top : top + 6, 4:10] = 9.0
        maps[3, top + 3, 7] = height
    maps[1, 22, 22] = 9.0
    maps[3, 22, 22] = 0.8
    found = objects_in(maps)
    assert isinstance(found, Objects)
    assert found.classes.tolist() == [2, 1]
    assert found.scores[0] > found.scores[1]


def test_objects_at_another_size_are_where_they_were() -> None:
    (truth,) = pairs_of_squares(1).truth([0]).numpy()
    there = true_objects(truth)
    size = there.masks.shape[-1]
    larger = there.at_size(3 * size)
    assert (larger.masks == there.masks.repeat(3, axis=1).repeat(3, axis=2)).all()
    back = larger.at_size(size)
    assert (back.masks == there.masks).all() and (back.classes == there.classes).all()
    assert there.at_size(size) is there
    speck = np.zeros((2, 16, 16), dtype=bool)
    speck[0, 1, 0], speck[1, 4:12, 4:12] = True, True
    assert Objects(speck, np.array([1, 2]), np.array([0.9, 0.8])).at_size(4).classes.tolist() == [2]


def test_what_lies_on_ignored_pixels_counts_neither_way() -> None:
    masks = np.zeros((3, 16, 16), dtype=bool)
    masks[0, :4, :4], masks[1, 8:, :8], masks[2, 8:, 8:] = True, True, True
    ignored = np.zeros((16, 16), dtype=bool)
    ignored[8:, 8:], ignored[8:10, :8] = True, True
    left = Objects(masks, np.array([1, 2, 3]), np.array([0.9, 0.8, 0.7])).without(ignored)
    assert left.classes.tolist() == [1, 2]
    assert left.masks[1].sum() == 48 and not (left.masks & ignored).any()
