"""Measures of masks: mean intersection over union, average precision, and the area under the ROC curve."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torchmetrics.detection import MeanAveragePrecision
from torchmetrics.functional.classification import binary_auroc, multiclass_confusion_matrix

from spellward.data.masks import IGNORE
from spellward.locking.measuring.metrics import Accuracy
from spellward.models.grouping import Objects

_RESAMPLES = 500
_GROUPS = 10
_OVERLAPS, _RECALLS = np.linspace(0.5, 0.95, 10), np.linspace(0.0, 1.0, 101)


def class_counts(answers: np.ndarray, truth: np.ndarray, classes: int) -> np.ndarray:
    """What IoU is made of, image by image.

    Args:
        answers: Integers [N, S, S] in [0, K).
        truth: Integers [N, S, S] in [0, K), or `IGNORE` where nothing counts.
        classes: K.

    Returns:
        int64 [N, 2, K]: pixels of each class in both (the intersection), and in either (the union).
    """
    counts = np.zeros((len(truth), 2, classes), dtype=np.int64)
    for row, (answer, right) in enumerate(zip(answers, truth, strict=True)):
        matrix = multiclass_confusion_matrix(
            torch.from_numpy(answer.astype(np.int64)).flatten(),
            torch.from_numpy(right.astype(np.int64)).flatten(),
            classes,
            ignore_index=IGNORE,
            validate_args=False,
        ).numpy()
        counts[row, 0] = np.diag(matrix)
        counts[row, 1] = matrix.sum(axis=0) + matrix.sum(axis=1) - np.diag(matrix)
    return counts


def mean_iou(counts: np.ndarray, seed: int = 0) -> Accuracy:
    """Mean IoU of the foreground classes, pixels of all images together.

    Args:
        counts: Of `class_counts`. A class that no image shows and no answer names does not count.
        seed: Of the bootstrap over images that gives the 95 % interval.
    """
    rng = np.random.default_rng([seed, 0x10])
    draws = rng.integers(0, len(counts), (_RESAMPLES, len(counts)))
    spread = [_foreground_mean(counts[rows].sum(axis=0)) for rows in draws]
    low, high = np.quantile(spread, [0.025, 0.975])
    return Accuracy(_foreground_mean(counts.sum(axis=0)), float(low), float(high), len(counts))


def average_precision(compared: Sequence[tuple[Objects, Objects]], boxes: bool = False) -> Accuracy:
    """Average precision as COCO has it: over ten thresholds of IoU from 0.5 to 0.95, mean over the classes.

    Args:
        compared: What was found in each image, and what is there.
        boxes: Compare boxes in place of masks.

    Returns:
        The precision with a 95 % interval, from leaving out each tenth of the images in turn (jackknife).
    """
    pairs = [_as_torchmetrics(found, there) for found, there in compared]
    value = _precision(pairs, boxes)
    groups = [pairs[number::_GROUPS] for number in range(min(_GROUPS, len(pairs)))]
    without = [
        _precision([pair for other in groups[:place] + groups[place + 1 :] for pair in other], boxes)
        for place in range(len(groups))
    ]
    spread = 1.96 * np.std(without) * np.sqrt(max(len(without) - 1, 0)) if value else 0.0
    return Accuracy(value, max(0.0, float(value - spread)), min(1.0, float(value + spread)), len(compared))


def _precision(pairs: list[tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]], boxes: bool) -> float:
    if not any(len(found["labels"]) for found, _ in pairs):
        return 0.0
    # Masks alone would leave out images without a true object, and what was invented there. The library's own
    # thresholds are rounded, so that an overlap of just 0.55 would not pass.
    metric = MeanAveragePrecision(
        iou_type=("bbox", "segm"), iou_thresholds=_OVERLAPS.tolist(), rec_thresholds=_RECALLS.tolist()
    )
    metric.warn_on_many_detections = False
    metric.update([found for found, _ in pairs], [there for _, there in pairs])
    return max(0.0, float(metric.compute()["bbox_map" if boxes else "segm_map"]))  # -1 where there are no objects


def _as_torchmetrics(found: Objects, there: Objects) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    given, right = (
        {
            "boxes": torch.from_numpy(one.boxes()).float(),
            "masks": torch.from_numpy(one.masks),
            "labels": torch.from_numpy(one.classes),
        }
        for one in (found, there)
    )
    return {**given, "scores": torch.from_numpy(found.scores)}, right


def area_under_curve(scores: np.ndarray, positive: np.ndarray) -> float:
    """Area under the ROC curve of float scores [n] for booleans [n]; 0.5 if only one kind is there."""
    if positive.all() or not positive.any():
        return 0.5
    area = binary_auroc(torch.from_numpy(scores.astype(np.float64)).sigmoid(), torch.from_numpy(positive.astype(int)))
    return float(area)


def _foreground_mean(total: np.ndarray) -> float:
    both, either = total[0, 1:], total[1, 1:]
    known = either > 0
    return float((both[known] / either[known]).mean()) if known.any() else 0.0
