"""The ordinary fine-tune: what a lock is compared with, and what teaches it where images are few."""

from __future__ import annotations

from typing import Any

from spellward.data import ImageTable
from spellward.data.progress import Report
from spellward.models import FitSettings, VisionModel, fit_once, load_model
from spellward.models.examples import PlainExamples


def ordinary_fine_tune(
    model: VisionModel, train: ImageTable, settings: FitSettings, report: Report | None = None
) -> VisionModel:
    """Fine-tunes a model in place on clean images; made once and kept in the private cache.

    Args:
        model: The public base with a new head.
        train: Clean training images.
        settings: How to train.
        report: Told about progress.

    Raises:
        ModelError, StorageError: See `fit`.
    """
    return fit_once(
        "vanilla",
        model,
        PlainExamples(train),
        settings,
        train.fingerprint,
        report=None if report is None else lambda done, total: report("Vanilla fine-tune (steps)", done, total),
    )


def vanilla_model(
    spec: Any,
    train: ImageTable,
    settings: FitSettings,
    input_size: int | None = None,
    report: Report | None = None,
) -> VisionModel:
    """An ordinary fine-tune of a model spec, for comparison with a lock of the same budget."""
    return ordinary_fine_tune(
        load_model(spec, train.classes, input_size, settings.seed, train.task), train, settings, report
    )
