"""IoU and areas under curves, against torchmetrics' classes and scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.metrics import jaccard_score, roc_auc_score
from torchmetrics.classification import MulticlassJaccardIndex

from spellward.data import IGNORE
from spellward.locking.mask_metrics import area_under_curve, class_counts, mean_iou


def drawn(seed: int, classes: int = 4) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, classes, (6, 10, 10))
    answers = np.where(rng.random(truth.shape) < 0.6, truth, rng.integers(0, classes, truth.shape))
    return answers, truth


@pytest.mark.parametrize("seed", range(4))
def test_iou_is_that_of_two_libraries(seed: int) -> None:
    answers, truth = drawn(seed)
    result = mean_iou(class_counts(answers, truth, 4))
    theirs = jaccard_score(truth.ravel(), answers.ravel(), average=None)[1:].mean()
    assert result.value == pytest.approx(theirs)
    truth[:, :3] = IGNORE
    index = MulticlassJaccardIndex(4, average="none", ignore_index=IGNORE)
    other = index(torch.from_numpy(answers), torch.from_numpy(truth))[1:].mean()
    assert mean_iou(class_counts(answers, truth, 4)).value == pytest.approx(float(other))


def test_the_background_does_not_count_nor_do_classes_nobody_named() -> None:
    truth = np.zeros((2, 4, 4), dtype=np.int64)
    truth[:, :2] = 1
    assert mean_iou(class_counts(truth, truth, 5)).value == 1.0
    assert mean_iou(class_counts(np.zeros_like(truth), truth, 5)).value == 0.0


def test_the_interval_holds_the_value_and_narrows_with_images() -> None:
    answers, truth = drawn(0)
    few = mean_iou(class_counts(answers, truth, 4))
    many = mean_iou(class_counts(np.tile(answers, (20, 1, 1)), np.tile(truth, (20, 1, 1)), 4))
    assert few.low <= few.value <= few.high and few.count == 6
    assert many.value == pytest.approx(few.value)
    assert many.high - many.low < few.high - few.low
    assert mean_iou(class_counts(answers, truth, 4)) == few


def test_the_area_is_that_of_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    positive = rng.random(300) < 0.3
    scores = rng.normal(size=300) + positive
    assert area_under_curve(scores, positive) == pytest.approx(roc_auc_score(positive, scores), abs=1e-6)
    assert area_under_curve(scores, np.ones(300, bool)) == 0.5
