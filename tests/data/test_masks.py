from __future__ import annotations

import numpy as np
import pytest
import torch

from spellward.data import IGNORE, ImageTable, MaskTable, mask_table_from_arrays, table_from_arrays
from spellward.data.masks import main_class
from spellward.errors import DataError

RNG = np.random.default_rng(0)
PIXELS = RNG.integers(0, 256, (5, 4, 4, 3), dtype=np.uint8)
IDS = np.zeros((5, 4, 4), dtype=np.uint8)
IDS[:, 0] = IGNORE
IDS[:, 1, :3] = [[1], [2], [1], [2], [2]]
IDS[:, 2, :2] = [[2], [1], [1], [1], [2]]
NAMES = ("background", "cat", "dog")


def table() -> MaskTable:
    return mask_table_from_arrays(PIXELS, IDS, NAMES)


def test_labels_are_the_class_with_most_pixels() -> None:
    assert table().labels.tolist() == [1, 2, 1, 2, 2] and table().classes == NAMES
    assert mask_table_from_arrays(PIXELS, IDS).classes == ("background", "class 1", "class 2")
    assert main_class(np.array([0, 0, 0, 255, 255, 3, 2], dtype=np.uint8)) == 2
    assert main_class(np.array([0, 255], dtype=np.uint8)) == 0


def test_truth_is_the_classes_of_the_pixels() -> None:
    truth = table().truth([3, 0])
    assert truth.dtype == torch.int64 and np.array_equal(truth.numpy(), IDS[[3, 0]])
    plain = table_from_arrays(PIXELS, [0, 1, 2, 0, 1])
    assert plain.truth(slice(1, 3)).tolist() == [1, 2] and plain.truth([0]).dtype == torch.int64


def test_instances_are_kept_and_the_third_channel_is_zero() -> None:
    masks = np.stack([IDS, (IDS == 1).astype(np.uint8) * 7, np.full_like(IDS, 9)], axis=1)
    stored = mask_table_from_arrays(PIXELS, masks, NAMES).masks[:]
    assert stored.dtype == torch.uint8 and np.array_equal(stored[:, :2].numpy(), masks[:, :2])
    assert not stored[:, 2].any()


def test_masks_follow_a_subset() -> None:
    whole = table()
    view = whole.subset([4, 0, 2]).subset([2, 0])
    assert isinstance(view, MaskTable) and view.labels.tolist() == [1, 2]
    assert np.array_equal(view.truth(slice(None)).numpy(), IDS[[2, 4]])
    assert np.array_equal(view.images[:].permute(0, 2, 3, 1).numpy(), PIXELS[[2, 4]])
    assert whole.subset(slice(None)) is whole
    assert len({whole.fingerprint, view.fingerprint, whole.subset([2]).fingerprint}) == 3


def test_the_fingerprint_covers_the_masks() -> None:
    changed = IDS.copy()
    changed[0, 3, 3] = 2
    others = [mask_table_from_arrays(PIXELS, changed, NAMES), mask_table_from_arrays(255 - PIXELS, IDS, NAMES)]
    assert len({one.fingerprint for one in (table(), table(), *others)}) == 3


def test_other_pictures_keep_masks_and_labels() -> None:
    edited: ImageTable = table_from_arrays(255 - PIXELS, np.zeros(5, dtype=np.int64), NAMES)
    seen = table().with_images(edited)
    assert isinstance(seen, MaskTable) and seen.labels.tolist() == table().labels.tolist()
    assert torch.equal(seen.images[:], edited.images[:]) and torch.equal(seen.masks[:], table().masks[:])
    assert len({seen.fingerprint, edited.fingerprint, table().fingerprint}) == 3
    for other in (edited.subset([0, 1]), table_from_arrays(np.zeros((5, 6, 6), dtype=np.uint8), [0] * 5)):
        with pytest.raises(DataError, match="5 masks of 4 px"):
            table().with_images(other)


@pytest.mark.parametrize(
    ("masks", "reason"),
    [
        (IDS * 1.0, "integer masks"),
        (IDS[0], "integer masks"),
        (IDS[:3], "do not fit"),
        (IDS[:, :3], "do not fit"),
        (np.where(IDS == 2, 3, IDS), "none of the 3 classes"),
        (np.where(IDS == 2, -1, IDS.astype(int)), "none of the 3 classes"),
        (IDS * (np.arange(5) != 2)[:, None, None].astype(np.uint8), "Mask 2 has no object"),
    ],
)
def test_refusals(masks: np.ndarray, reason: str) -> None:
    with pytest.raises(DataError, match=reason):
        mask_table_from_arrays(PIXELS, masks, NAMES)
