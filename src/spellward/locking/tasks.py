"""What is asked of a model, by task: how right its answers are, and what its outputs on clean images give away."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol, cast

import numpy as np
from torch import Tensor

from spellward.attacks.unlocking.probing import fit_probe
from spellward.attacks.unlocking.thief import Predictor
from spellward.data import ImageTable
from spellward.data.masks import IGNORE, MaskTable
from spellward.locking import metrics
from spellward.locking.mask_metrics import area_under_curve, class_counts, mean_iou
from spellward.locking.metrics import Accuracy
from spellward.models import VisionModel, logits_of
from spellward.models.segmentation import maps_at_once, maps_of_size

Change = Callable[[Tensor], Tensor]
"""uint8 [N, 3, H, W] in and out: an edit, a filter."""

_CHUNK = 256
_PIXELS_AN_IMAGE = 48
_MOST_PIXELS = 6000


@dataclass(frozen=True)
class CleanChecks:
    """What a model without its key gives away.

    Attributes:
        lp: Its answers.
        argmin: The least likely class taken as the answer.
        leak: A linear probe on its outputs.
        outline: Area under the ROC curve of the best linear reading of object against background from a pixel's
            outputs; 0.5 is chance. Masks alone.
    """

    lp: Accuracy
    argmin: Accuracy
    leak: Accuracy
    outline: float | None = None


class Task(Protocol):
    """How one kind of model is measured."""

    measure: str

    def judge(self, predict: Predictor, table: ImageTable) -> Accuracy:
        """How right answers to the images of a table are; read a few at a time."""

    def success(self, scores: np.ndarray, truth: np.ndarray) -> float:
        """The same figure for scores that are there already; truth is that of `ImageTable.truth`."""

    def clean_checks(self, model: VisionModel, thief: ImageTable, test: ImageTable, seed: int) -> CleanChecks:
        """What is left on clean test images; the probe is fitted on the thief's."""

    def chance(self, test: ImageTable) -> float:
        """What the best constant answer reaches."""


class Classification:
    """Accuracy."""

    measure = "accuracy"

    def judge(self, predict: Predictor, table: ImageTable) -> Accuracy:
        parts = [predict(images) for images, _ in table.batches(_CHUNK)]
        return metrics.accuracy(np.concatenate(parts), table.labels)

    def success(self, scores: np.ndarray, truth: np.ndarray) -> float:
        return metrics.accuracy(scores, truth).value

    def clean_checks(self, model: VisionModel, thief: ImageTable, test: ImageTable, seed: int) -> CleanChecks:
        clean = logits_of(model, test)
        return CleanChecks(
            lp=metrics.accuracy(clean, test.labels),
            argmin=metrics.least_likely_accuracy(clean, test.labels),
            leak=metrics.probe_accuracy(logits_of(model, thief), thief.labels, clean, test.labels, seed),
        )

    def chance(self, test: ImageTable) -> float:
        return float(np.bincount(test.labels).max() / len(test))


class Segmentation:
    """Mean intersection over union (IoU) of the foreground classes, over all pixels of a table together."""

    measure = "mean IoU"

    def judge(self, predict: Predictor, table: ImageTable) -> Accuracy:
        counts = [
            class_counts(scores.argmax(axis=1), truth, scores.shape[1]) for scores, truth in _maps(predict, table)
        ]
        return mean_iou(np.concatenate(counts))

    def success(self, scores: np.ndarray, truth: np.ndarray) -> float:
        answers = maps_of_size(scores, truth.shape[1]).argmax(axis=1)
        return mean_iou(class_counts(answers, truth, scores.shape[1])).value

    def clean_checks(self, model: VisionModel, thief: ImageTable, test: ImageTable, seed: int) -> CleanChecks:
        classes = len(test.classes)
        rng = np.random.default_rng([seed, 0x9E])
        outputs, labels = _some_pixels(model.logits, thief, rng)
        read = fit_probe(outputs, labels, classes, seed)
        # The object against everything else, whatever its class.
        outline = fit_probe(outputs, (labels > 0).astype(np.int64), 2, seed)
        right, least, probed = [], [], []
        scores, shown = [], []
        for logits, truth in _maps(model.logits, test):
            flat = np.moveaxis(logits, 1, -1).reshape(-1, classes)
            right.append(class_counts(logits.argmax(axis=1), truth, classes))
            least.append(class_counts(logits.argmin(axis=1), truth, classes))
            probed.append(class_counts(read(flat).argmax(axis=1).reshape(truth.shape), truth, classes))
            some = rng.choice(len(flat), min(len(flat), _PIXELS_AN_IMAGE * len(truth)), replace=False)
            some = some[truth.reshape(-1)[some] != IGNORE]
            scores.append(outline(flat[some])[:, 1])
            shown.append(truth.reshape(-1)[some] > 0)
        return CleanChecks(
            lp=mean_iou(np.concatenate(right)),
            argmin=mean_iou(np.concatenate(least)),
            leak=mean_iou(np.concatenate(probed)),
            outline=area_under_curve(np.concatenate(scores), np.concatenate(shown)),
        )

    def chance(self, test: ImageTable) -> float:
        """The best of the answers that call every pixel the same."""
        table = cast(MaskTable, test)
        classes = len(test.classes)
        counts = []
        for start in range(0, len(table), _CHUNK):
            truth = table.truth(slice(start, min(start + _CHUNK, len(table)))).numpy()
            counts.append([class_counts(np.full_like(truth, one), truth, classes) for one in range(1, classes)])
        return max(mean_iou(np.concatenate(one)).value for one in zip(*counts, strict=True))


TASKS: dict[str, Task] = {"classification": Classification(), "segmentation": Segmentation()}
"""By `VisionModel.task` and `Splits.task`."""


def through(model: VisionModel, change: Change) -> Predictor:
    """A model behind a change of its images."""
    return lambda images: model.logits(change(images))


def _maps(predict: Predictor, table: ImageTable) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yields scores float32 [B, K, S, S] and truth int64 [B, S, S] of a few images at a time, at the masks' size."""
    size = table.images.size
    chunk = maps_at_once(len(table.classes), size)
    for start in range(0, len(table), chunk):
        rows = slice(start, min(start + chunk, len(table)))
        yield maps_of_size(predict(table.images[rows]), size), table.truth(rows).numpy()


def _some_pixels(predict: Predictor, table: ImageTable, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Outputs float32 [n, K] and classes int64 [n] of pixels drawn evenly from all images."""
    outputs, labels = [], []
    each = max(1, min(_PIXELS_AN_IMAGE, _MOST_PIXELS // max(len(table), 1)))
    for scores, truth in _maps(predict, table):
        flat = np.moveaxis(scores, 1, -1).reshape(len(truth), -1, scores.shape[1])
        classes = truth.reshape(len(truth), -1)
        for row in range(len(truth)):
            places = rng.choice(classes.shape[1], each, replace=False)
            places = places[classes[row, places] != IGNORE]
            outputs.append(flat[row, places])
            labels.append(classes[row, places])
    return np.concatenate(outputs), np.concatenate(labels)
