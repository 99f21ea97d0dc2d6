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
