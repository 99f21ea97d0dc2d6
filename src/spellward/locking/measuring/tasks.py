"""What is asked of a model, by task: how right its answers are, and what its outputs on clean images give away."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol, cast

import numpy as np
from torch import Tensor

from spellward.attacks.unlocking.probing import fit_probe
from spellward.attacks.unlocking.thief import Predictor
from spellward.data import ImageTable, Splits
from spellward.data.masks import IGNORE, MaskTable
from spellward.errors import ModelError
from spellward.locking.measuring import metrics
from spellward.locking.measuring.mask_metrics import area_under_curve, average_precision, class_counts, mean_iou
from spellward.locking.measuring.metrics import Accuracy
from spellward.models import VisionModel, logits_of
from spellward.models.grouping import EXTRA, objects_in, true_objects
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
    _extra = 0  # outputs after those of the classes

    def judge(self, predict: Predictor, table: ImageTable) -> Accuracy:
        classes = len(table.classes)
        return self._measured([self._compared(scores, truth, classes) for scores, truth in _maps(predict, table)])

    def success(self, scores: np.ndarray, truth: np.ndarray) -> float:
        classes, few = scores.shape[1] - self._extra, maps_at_once(scores.shape[1], truth.shape[-1])
        parts = [slice(start, start + few) for start in range(0, len(scores), few)]
        return self._measured([self._compared(scores[part], truth[part], classes) for part in parts]).value

    def clean_checks(self, model: VisionModel, thief: ImageTable, test: ImageTable, seed: int) -> CleanChecks:
        classes = len(test.classes)
        rng = np.random.default_rng([seed, 0x9E])
        outputs, labels = _some_pixels(model.logits, thief, rng)
        read = fit_probe(outputs, labels, classes, seed)
        # The object against everything else, whatever its class.
        outline = fit_probe(outputs, (labels > 0).astype(np.int64), 2, seed)
        right, least, probed = [], [], []
        scores, shown = [], []
        for maps, truth in _maps(model.logits, test):
            logits, extra = maps[:, :classes], maps[:, classes:]
            pixels = np.moveaxis(maps, 1, -1)
            read_out = read(pixels.reshape(-1, maps.shape[1])).reshape(*pixels.shape[:3], classes)
            read_out = np.moveaxis(read_out, -1, 1)
            ids = _classes_in(truth)
            flat = np.moveaxis(maps_of_size(maps, ids.shape[-1]), 1, -1).reshape(-1, maps.shape[1])
            right.append(self._compared(maps, truth, classes))
            least.append(self._compared(np.concatenate([-logits, extra], axis=1), truth, classes))
            probed.append(self._compared(np.concatenate([read_out, extra], axis=1), truth, classes))
            some = rng.choice(len(flat), min(len(flat), _PIXELS_AN_IMAGE * len(truth)), replace=False)
            some = some[ids.reshape(-1)[some] != IGNORE]
            scores.append(outline(flat[some])[:, 1])
            shown.append(ids.reshape(-1)[some] > 0)
        return CleanChecks(
            lp=self._measured(right),
            argmin=self._measured(least),
            leak=self._measured(probed),
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

    def _compared(self, maps: np.ndarray, truth: np.ndarray, classes: int) -> Any:
        """What a few images add to the measure, from maps float32 [B, K + extra, s, s] of the network's own size."""
        return class_counts(maps_of_size(maps, truth.shape[-1]).argmax(axis=1), truth, classes)

    def _measured(self, compared: list[Any]) -> Accuracy:
        """The measure over all that was compared."""
        return mean_iou(np.concatenate(compared))


class Instances(Segmentation):
    """Average precision of the objects' masks, as COCO has it (`mask_metrics.average_precision`).

    The probe of the leak reads classes alone; where objects are, it takes from the outputs as they are.
    """

    measure = "mask AP"
    _extra = len(EXTRA)

    def chance(self, test: ImageTable) -> float:
        """Nothing: an answer that does not look at the image finds no object."""
        return 0.0

    def boxes(self, predict: Predictor, table: ImageTable) -> Accuracy:
        """Average precision of the objects' boxes."""
        compared = [self._compared(scores, truth, len(table.classes)) for scores, truth in _maps(predict, table)]
        return average_precision([pair for few in compared for pair in few], boxes=True)

    def _compared(self, maps: np.ndarray, truth: np.ndarray, classes: int) -> Any:
        # Grouped where the network sees: maps that are enlarged first have ties, and one object becomes several.
        size = truth.shape[-1]
        return [
            (objects_in(one).at_size(size).without(right[0] == IGNORE), true_objects(right))
            for one, right in zip(maps, truth, strict=True)
        ]

    def _measured(self, compared: list[Any]) -> Accuracy:
        return average_precision([pair for few in compared for pair in few])


TASKS: dict[str, Task] = {
    "classification": Classification(),
    "segmentation": Segmentation(),
    "instances": Instances(),
}
"""By `VisionModel.task` and `Splits.task`."""


def check_fits(splits: Splits, model: VisionModel) -> None:
    """Refuses data that a model was not made for.

    Raises:
        ModelError: If classes or task differ.
    """
    if tuple(splits.classes) != model.classes:
        raise ModelError(
            f"The data have the classes {', '.join(splits.classes[:5])}, the model {', '.join(model.classes[:5])}. "
            "Use the data it was locked with."
        )
    if splits.task != model.task:
        raise ModelError(f"The data are for {splits.task}, the model is for {model.task}. Load them as it was locked.")


def through(model: VisionModel, change: Change) -> Predictor:
    """A model behind a change of its images."""
    return lambda images: model.logits(change(images))


def _maps(predict: Predictor, table: ImageTable) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yields scores float32 [B, K, s, s] at the network's own size and the truth of a few images at a time."""
    chunk = maps_at_once(len(table.classes), table.images.size)
    for start in range(0, len(table), chunk):
        rows = slice(start, min(start + chunk, len(table)))
        yield predict(table.images[rows]), table.truth(rows).numpy()


def _classes_in(truth: np.ndarray) -> np.ndarray:
    """Class ids int64 [B, S, S] of a truth with or without instances."""
    return truth if truth.ndim == 3 else truth[:, 0]


def _some_pixels(predict: Predictor, table: ImageTable, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Outputs float32 [n, K] and classes int64 [n] of pixels drawn evenly from all images."""
    outputs, labels = [], []
    each = max(1, min(_PIXELS_AN_IMAGE, _MOST_PIXELS // max(len(table), 1)))
    for scores, truth in _maps(predict, table):
        shown = maps_of_size(scores, truth.shape[-1])
        flat = np.moveaxis(shown, 1, -1).reshape(len(truth), -1, scores.shape[1])
        classes = _classes_in(truth).reshape(len(truth), -1)
        for row in range(len(truth)):
            places = rng.choice(classes.shape[1], each, replace=False)
            places = places[classes[row, places] != IGNORE]
            outputs.append(flat[row, places])
            labels.append(classes[row, places])
    return np.concatenate(outputs), np.concatenate(labels)
