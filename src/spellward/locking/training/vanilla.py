"""The ordinary fine-tune: what a lock is compared with, and what teaches it where images are few."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

from spellward.artifacts import cache_root, private_folder, run_name, versions
from spellward.data import ImageTable
from spellward.data.progress import Report
from spellward.models import FitSettings, VisionModel, fit, load_model, state_digest
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
    settings = replace(settings.resolved(len(train)), learning_rate=settings.rate_for(model.network))
    # The weights count too: modules made in Python share the name of their class.
    start = state_digest(model.network)
    seen_as = (model.input_size, model.mean, model.std)
    name = run_name("vanilla", model.spec, start, seen_as, train.fingerprint, asdict(settings), versions())
    fit(
        model,
        PlainExamples(train),
        settings,
        folder=private_folder(cache_root() / "runs" / f"vanilla-{name}"),
        report=None if report is None else lambda done, total: report("Vanilla fine-tune (steps)", done, total),
    )
    return model


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
