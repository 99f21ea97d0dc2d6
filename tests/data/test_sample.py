from __future__ import annotations

import numpy as np
import pytest

from spellward.data import load_splits
from spellward.data.sample import in_sample_half, load_sample
from spellward.data.scenes import CLASSES, COUNTS, SIDE, scenes

HALVES = [False, False, True, True, True, False, False, False]
EXPECTED = {"fashion": ((5000, 1000, 2000), 10, (28, 28)), "clipart": ((801, 221, 341), 7, (64, 64))}


@pytest.mark.parametrize("name", EXPECTED)
def test_samples_are_whole_and_disjoint(name: str) -> None:
    sizes, classes, pixels = EXPECTED[name]
    splits = load_splits(f"sample:{name}")
    parts = (splits.train, splits.validation, splits.test)
    assert tuple(map(len, parts)) == sizes and len(splits.classes) == classes
    assert splits.report.duplicates == splits.report.warnings == ()
    assert splits.test[0]["image"].size == pixels
    for part in parts:
        assert len(np.unique(part["label"][:])) == classes


def test_the_two_halves_of_the_clip_art() -> None:
    # Fixed by name: the editor was trained with this very rule.
    assert [in_sample_half(f"food/{number}.png") for number in range(8)] == HALVES
    halves = [in_sample_half(f"food/{number}.png") for number in range(2000)]
    assert 0.45 < np.mean(halves) < 0.55


def test_scenes_are_the_same_each_time_and_their_masks_exact() -> None:
    fashion = load_sample("fashion")
    few, fewer = scenes(fashion, {"train": 20, "test": 5}), scenes(fashion, {"test": 2})
    assert few["train"].features["label"].names == ["background", *CLASSES]
    assert few["test"].select(range(2)).to_dict() == fewer["test"].to_dict()
    for row in few["train"]:
        mask = np.asarray(row["mask"])
        assert row["image"].size == row["mask"].size == (SIDE, SIDE)
        assert row["label"] == np.bincount(mask[..., 0].ravel())[1:].argmax() + 1
        # Every pixel of a class belongs to an instance, and of the background to none; there are one or two.
        assert np.array_equal(mask[..., 0] > 0, mask[..., 1] > 0) and mask[..., 1].max() <= 2
        assert 0.02 < np.mean(mask[..., 0] > 0) < 0.7


@pytest.mark.slow
def test_scenes_are_whole() -> None:
    splits = load_splits("sample:scenes")
    assert splits.task == "segmentation" and splits.classes == ("background", *CLASSES)
    assert splits.report.duplicates == splits.report.warnings == ()
    parts = {"train": splits.train, "validation": splits.validation, "test": splits.test}
    assert {name: len(part) for name, part in parts.items()} == COUNTS
    for part in parts.values():
        assert set(np.unique(part["label"][:])) == set(range(1, 6))
