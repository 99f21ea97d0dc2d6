from __future__ import annotations

import numpy as np
import pytest

from spellward.data import load_splits
from spellward.data.sample import in_sample_half

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
