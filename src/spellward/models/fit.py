"""The one `fit`: any model, any examples, any objective, on Hugging Face's Trainer.

Everything random is drawn from (seed, epoch, step), and a checkpoint is written at the end of every epoch, so a run
that was killed goes on to the same result.
"""

from __future__ import annotations

import importlib.util
import json
import shutil
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_model as load_tensors
from safetensors.torch import save_model as save_tensors

from spellward.artifacts import private_folder, turn_in
from spellward.errors import MissingExtraError, ModelError
from spellward.hardware import find_device, keep_freed_memory
from spellward.models.batches import Advance, AfterBackward, ExampleSource, Objective, Validate
from spellward.models.checkpoint import full_disk_errors
from spellward.models.early_stop import BEST_FILE
from spellward.models.fit_settings import FitSettings
from spellward.models.losses import soft_cross_entropy
from spellward.models.vision import VisionModel
from spellward.plain_json import write_json

_DONE, _FINAL, _SETTINGS = "done.json", "final.safetensors", "settings.json"


@dataclass(frozen=True)
class FitResult:
    """What a training run gave.

    Attributes:
        epochs: Epochs trained (fewer than asked for after an early stop).
        steps: Optimiser steps.
        scores: `validate` after each epoch, if it was given.
        seconds: Time of this run, without what an earlier, killed run did.
        images_per_second: Rows that went through the network in this run.
    """

    epochs: int
    steps: int
    scores: tuple[float, ...]
    seconds: float
    images_per_second: float


def fit(
    model: VisionModel,
    examples: ExampleSource,
    settings: FitSettings,
    *,
    folder: Path,
    validate: Validate | None = None,
    objective: Objective = soft_cross_entropy,
    after_backward: AfterBackward | None = None,
    report: Advance | None = None,
) -> FitResult:
    """Trains a model in place. From then on the process keeps memory that it frees (`keep_freed_memory`).

    Args:
        model: Its network is changed.
        examples: What to learn.
        settings: How.
        folder: Private folder for checkpoints, which go when the run is complete. A run that was killed goes on from
            there; a complete one is loaded instead of repeated, and one that another process is at is waited for.
        validate: Judges the model after each epoch; higher is better. With `patience` the best epoch's weights stay.
        objective: Network and batch to loss.
        after_backward: May add to the gradients before each optimiser step (network, batch, step).
        report: Called with (steps done, steps in all).

    Raises:
        ModelError: If there is nothing to learn from, the loss is not a number any more, or the folder holds a run
            with other settings.
        MissingExtraError: If TensorBoard logs are asked for and it is not installed.
        StorageError: If the disk is full.
    """
    if len(examples) < 2:
        raise ModelError(f"Training needs at least two images; got {len(examples)}.")
    private_folder(folder)
    settings = settings.resolved(len(examples))
    settings = replace(settings, learning_rate=settings.rate_for(model.network))
    recorded = {**asdict(settings), "augment": list(settings.augment), "examples": len(examples)}
    _check_tensorboard(settings)
    keep_freed_memory()
    # Locks of the same images share their ordinary fine-tune, and two may be made at one time.
    with turn_in(folder), full_disk_errors(folder):
        done = _complete_run(folder, recorded, model)
        if done is not None:
            return done
        _check_settings(folder, recorded)
        from spellward.models.trainer import train  # brings in all of Trainer, which only training needs

        begun = time.perf_counter()
        steps, rows, scores = train(model, examples, settings, folder, validate, objective, after_backward, report)
        if settings.patience is not None and (folder / BEST_FILE).is_file():
            load_tensors(model.network, str(folder / BEST_FILE))
        seconds = time.perf_counter() - begun
        result = FitResult(len(scores) or settings.epochs, steps, tuple(scores), seconds, rows / max(seconds, 1e-9))
        part = folder / f"{_FINAL}.part"
        save_tensors(model.network, str(part))
        part.replace(folder / _FINAL)
        write_json(folder / _DONE, {"settings": recorded, "result": asdict(result)})
        for spent in folder.glob("checkpoint-*"):  # three times the size of the weights each
            shutil.rmtree(spent, ignore_errors=True)
    return result


def _complete_run(folder: Path, recorded: dict[str, Any], model: VisionModel) -> FitResult | None:
    """The result of an earlier complete run with the same settings, with its weights loaded.

    Weights that a full disk or a crash cut short count for nothing: the run is made again.
    """
    path = folder / _DONE
    if not path.is_file():
        return None
    document = json.loads(path.read_text(encoding="utf-8"))
    if document["settings"] != recorded:
        raise ModelError(f"{folder} holds a run with other settings. Remove it, or name another folder.")
    try:
        load_tensors(model.network, str(folder / _FINAL))
    except (OSError, SafetensorError):
        return None
    model.network.to(find_device("auto"))  # where training would have left it
    return FitResult(**{**document["result"], "scores": tuple(document["result"]["scores"])})


def _check_settings(folder: Path, recorded: dict[str, Any]) -> None:
    """Settings are written down before the first step: an unfinished run must not go on with others."""
    path = folder / _SETTINGS
    if not path.is_file():
        write_json(path, recorded)
    elif json.loads(path.read_text(encoding="utf-8")) != recorded:
        raise ModelError(f"{folder} holds a run with other settings. Remove it, or name another folder.")


def _check_tensorboard(settings: FitSettings) -> None:
    if settings.tensorboard and importlib.util.find_spec("tensorboard") is None:
        raise MissingExtraError("TensorBoard logs need an extra; run `pip install 'spellward[tensorboard]'`.")
