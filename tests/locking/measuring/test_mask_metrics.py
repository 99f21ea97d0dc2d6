"""IoU and areas under curves, against torchmetrics' classes and scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.metrics import jaccard_score, roc_auc_score
from torchmetrics.classification import MulticlassJaccardIndex

from spellward.data import IGNORE
from spellward.locking.measuring.mask_metrics import area_under_curve, average_precision, class_counts, mean_iou
from spellward.models.grouping import Objects


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


def objects(*boxes: tuple[int, int, int, int], kind: int = 1, scores: tuple[float, ...] = ()) -> Objects:
    """Rectangles (left, top, right, bottom) of one class on 40 x 40 pixels."""
    masks = np.zeros((len(boxes), 40, 40), dtype=bool)
    for mask, (left, top, right, bottom) in zip(masks, boxes, strict=True):
        mask[top:bottom, left:right] = True
    return Objects(masks, np.full(len(boxes), kind), np.array(scores or [1.0] * len(boxes), dtype=np.float32))


@pytest.mark.parametrize(("shift", "thresholds"), [(0, 10), (1, 7), (2, 4), (4, 0)])
def test_precision_counts_the_thresholds_that_an_overlap_passes(shift: int, thresholds: int) -> None:
    # 10 x 10 pixels moved by s overlap by (10 - s) / (10 + s): 1, 0.818, 0.667 and 0.429.
    pair = (objects((5 + shift, 5, 15 + shift, 15)), objects((5, 5, 15, 15)))
    for boxes in (False, True):
        assert average_precision([pair] * 3, boxes).value == pytest.approx(thresholds / 10)


def test_what_is_missed_invented_or_misnamed_costs() -> None:
    two = objects((0, 0, 10, 10), (20, 20, 30, 30))
    assert average_precision([(objects((0, 0, 10, 10)), two)]).value == pytest.approx(0.5, abs=0.01)
    invented = objects((0, 0, 10, 10), (25, 5, 35, 15), scores=(0.5, 0.9))
    assert average_precision([(invented, objects((0, 0, 10, 10)))]).value == pytest.approx(0.5)
    assert average_precision([(objects((0, 0, 10, 10), kind=2), objects((0, 0, 10, 10)))]).value == 0.0
    assert average_precision([(objects(), two)] * 4).value == 0.0
    assert average_precision([(objects(), objects())]).value == 0.0


def test_what_is_invented_where_nothing_is_costs() -> None:
    """COCO's way to count; torchmetrics leaves such images out where masks alone are compared."""
    one = objects((0, 0, 10, 10))
    pairs = [(objects((0, 0, 10, 10), scores=(0.5,)), one), (objects((0, 0, 10, 10), scores=(0.9,)), objects())]
    for boxes in (False, True):
        assert average_precision(pairs, boxes).value == pytest.approx(0.5)


def test_an_overlap_of_just_a_threshold_passes_it() -> None:
    # 11 of 20 columns: an IoU of 0.55, which is above 0.5 and 0.55.
    pair = (objects((0, 0, 11, 10)), objects((0, 0, 20, 10)))
    for boxes in (False, True):
        assert average_precision([pair], boxes).value == pytest.approx(0.2)


def test_the_interval_holds_the_precision_and_narrows_with_images() -> None:
    right, wrong = objects((5, 5, 15, 15)), objects((8, 5, 18, 15))
    few, many = ([(right, right), (wrong, right)] * count for count in (10, 160))
    narrow, wide = average_precision(many), average_precision(few)
    assert narrow.low < narrow.value < narrow.high
    assert narrow.high - narrow.low < wide.high - wide.low
