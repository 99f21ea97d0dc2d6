"""Training a lock, whole: its teacher, its edits, the fit."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from spellward.artifacts import run_name
from spellward.data import ImageTable
from spellward.data.progress import Report
from spellward.editors.base import Editor
from spellward.editors.cache import edit_table
from spellward.keys import Key
from spellward.locking.keying import settings_of
from spellward.locking.measuring.tasks import TASKS
from spellward.locking.training.fitting import fit_lock, lock_examples, teacher_for
from spellward.locking.training.recipe import Recipe
from spellward.models import FitResult, FitSettings, VisionModel, network_digest


@dataclass(frozen=True)
class TrainedLock:
    """What training a lock gave, besides the weights.

    Attributes:
        fit: What the fit gave.
        settings: How it went, with nothing left open.
        usual_epochs: What the recipe takes for such images where epochs are left open.
        edit_seconds: Time spent on editing.
        folder: Where the run is kept.
    """

    fit: FitResult
    settings: FitSettings
    usual_epochs: int
    edit_seconds: float
    folder: Path


def train_lock(
    model: VisionModel,
    train: ImageTable,
    validation: ImageTable,
    key: Key,
    editor: Editor,
    recipe: Recipe,
    settings: FitSettings,
    work: Path,
    report: Report | None = None,
) -> TrainedLock:
    """Trains a model in place to be a lock; a run that was killed goes on from its last epoch.

    Args:
        model: The public base with a new head.
        train, validation: Clean images.
        key, editor: What unlocks.
        recipe: How to lock.
        settings: How to train; the learning rate is settled, epochs may be open.
        work: Private folder for the run.
        report: Told about progress.

    Raises:
        EditorError, ModelError, StorageError: For edits that fail, and see `fit`.
    """
    teacher = teacher_for(model, train, recipe, settings, report)
    usual = recipe.resolved(replace(settings, epochs=0), train).epochs
    settings = recipe.resolved(settings, train)
    begun = time.perf_counter()
    examples = lock_examples(train, key, editor, recipe, settings, model, teacher)
    keyed = edit_table(
        editor, validation, key.prompt, key.seed, key.salt, settings_of(key, editor), progress=report is not None
    )
    edit_seconds = time.perf_counter() - begun
    # Whatever changes the training names the run; an edit's fingerprint is keyed, so it does not give the spell away.
    run = run_name(
        key.lock_id,
        repr(recipe),
        asdict(settings),
        model.spec,
        network_digest(model.network),  # a folder can be trained anew, and modules share the name of their class
        model.mean,
        model.std,
        model.input_size,
        *(() if teacher is None else (network_digest(teacher.network),)),
        train.fingerprint,
        keyed.fingerprint,
    )
    folder = work / f"fit-{run}"
    fit = fit_lock(
        model,
        examples,
        train,
        recipe,
        settings,
        folder,
        validate=lambda trained: TASKS[trained.task].judge(trained.logits, keyed).value,
        report=None if report is None else lambda done, total: report("Training (steps)", done, total),
    )
    return TrainedLock(fit, settings, usual, edit_seconds, folder)
