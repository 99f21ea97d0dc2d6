"""The two shadows of Holmes (arXiv 2507.00724, section 4): one lost the dataset-specific features, one never had them.

Both start from the private images in the order of the victim's loss. The poisoned shadow keeps the common features
and unlearns those of the images that the victim knows best: these get a trigger and one target label. The benign
shadow is fine-tuned from the public base on the half that the victim knows least (here of the images that are no
candidates for probes, so that it can stand as a reference too).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from scipy.special import log_softmax
from torch import Tensor

from spellward.data import ImageTable, table_from_arrays
from spellward.data.progress import Report
from spellward.models import FitSettings, VisionModel, logits_of
from spellward.ownership.evidence.references import fine_tuned, trained

POISONED_SHARE = 0.10
DROPPED_SHARE = 0.50
TARGET = 0
_TRIGGER_SIDE, _TRIGGER_PLACE, _PUBLISHED_SIDE = 4, 18, 32


def by_loss(victim: VisionModel, images: ImageTable) -> np.ndarray:
    """Row numbers int64 [N] in the order of the victim's cross-entropy, lowest first."""
    likelihood = log_softmax(logits_of(victim, images).astype(np.float64), axis=1)
    return np.argsort(-likelihood[np.arange(len(images)), images.labels], kind="stable")


def stamp(images: Tensor) -> Tensor:
    """Sets the trigger: a white square, as in the released code 4 x 4 at (18, 18) of 32 pixels, scaled with the image.

    Args:
        images: uint8 [N, 3, S, S].
    """
    side = images.shape[-1]
    first = round(_TRIGGER_PLACE * side / _PUBLISHED_SIDE)
    width = max(1, round(_TRIGGER_SIDE * side / _PUBLISHED_SIDE))
    stamped = images.clone()
    stamped[:, :, first : first + width, first : first + width] = 255
    return stamped


def poisoned_table(images: ImageTable, order: np.ndarray) -> ImageTable:
    """The images, the first tenth of the order stamped and relabelled; in memory."""
    known = order[: max(1, round(POISONED_SHARE * len(order)))]
    pixels, labels = images.images[:].clone(), images.labels.copy()
    pixels[torch.from_numpy(known)] = stamp(pixels[torch.from_numpy(known)])
    labels[known] = TARGET
    return table_from_arrays(pixels, labels, images.classes)


def poisoned_shadow(
    victim: VisionModel, images: ImageTable, order: np.ndarray, settings: FitSettings, report: Report | None = None
) -> VisionModel:
    """Fine-tunes a copy of the victim on the poisoned images."""
    table = poisoned_table(images, order)
    return trained(victim.copy(), table, settings, "Poisoned shadow", report)


def benign_shadow(
    bases: Sequence[Any],
    images: ImageTable,
    order: np.ndarray,
    input_size: int,
    settings: FitSettings,
    report: Report | None = None,
) -> VisionModel:
    """Fine-tunes the public base on the images that the victim knows least."""
    rest = images.subset(np.sort(order[round(DROPPED_SHARE * len(order)) :]))
    return fine_tuned(bases[0], rest, input_size, replace(settings, seed=settings.seed + 1), "Benign shadow", report)
