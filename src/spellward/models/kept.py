"""Fits that are made once: a run is kept in the private cache under the name of all that its result depends on."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

import torch

from spellward.artifacts import cache_root, private_folder, run_name, versions
from spellward.models.batches import Advance, AfterBackward, ExampleSource
from spellward.models.checkpoint import network_digest
from spellward.models.fit import fit
from spellward.models.fit_settings import FitSettings
from spellward.models.vision import VisionModel


def fit_once(
    kind: str,
    model: VisionModel,
    examples: ExampleSource,
    settings: FitSettings,
    *learnt: Any,
    report: Advance | None = None,
    after_backward: AfterBackward | None = None,
) -> VisionModel:
    """Trains a model in place, or loads what the same run gave before.

    Args:
        kind: What the run is for; begins the name of its folder.
        model: Its weights and layers name the run, as modules made in Python share the name of their class, and so does
            what it makes of pixels before they reach these.
        examples: What to learn.
        settings: How; what is left open is filled in.
        learnt: What tells these examples, and this way of learning them, from others; plain values.
        report: Called with (steps done, steps in all).
        after_backward: See `fit`.

    Returns:
        The model.

    Raises:
        ModelError, StorageError: See `fit`.
    """
    settings = settings.resolved(len(examples))
    settings = replace(settings, learning_rate=settings.rate_for(model.network))
    seen_as = (model.input_size, model.mean, model.std)
    run = run_name(kind, network_digest(model.network), seen_as, asdict(settings), versions(), *learnt)
    folder = private_folder(cache_root() / "runs" / f"{kind}-{run}")
    fit(model, examples, settings, folder=folder, report=report, after_backward=after_backward)
    # Training leaves channels-last weights, loading plain ones; the two differ in the last bit of the outputs.
    model.network.to(memory_format=torch.contiguous_format)
    return model
