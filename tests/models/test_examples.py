"""Labelled images as training examples."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from spellward.data import table_from_arrays
from spellward.models.examples import PlainExamples, class_weights


def test_rare_classes_count_as_much_as_common_ones() -> None:
    labels = np.repeat([0, 1], [90, 30])
    weights = class_weights(labels, 2)
    assert weights[1] == pytest.approx(3 * weights[0], rel=1e-5)
    assert weights[labels].mean() == pytest.approx(1.0, rel=1e-5)
    assert class_weights(np.repeat([0, 1], 50), 2) == pytest.approx([1.0, 1.0])


def test_a_batch_holds_the_rows_that_were_asked_for() -> None:
    pixels = np.arange(8, dtype=np.uint8)[:, None, None, None] * np.ones((1, 4, 4, 3), np.uint8)
    examples = PlainExamples(table_from_arrays(pixels, [0, 0, 0, 0, 0, 0, 1, 1], "ab"))
    batch = examples.batch([7, 2], epoch=0)
    assert batch["pixels"][:, 0, 0, 0].tolist() == [7, 2]
    assert batch["labels"].tolist() == [1, 0] and not batch["decoy"].any()
    assert torch.equal(batch["targets"] > 0, torch.tensor([[False, True], [True, False]]))
    assert batch["targets"][0, 1] == pytest.approx(3 * float(batch["targets"][1, 0]))
