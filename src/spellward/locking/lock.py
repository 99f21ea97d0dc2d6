"""Locking, whole: from a data source to a locked folder with its key beside it."""

from __future__ import annotations

import shutil
import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from spellward.artifacts import (
    check_outside,
    check_place,
    named_output,
    private_folder,
    storage_errors,
    turn_in,
    versions,
)
from spellward.data import Splits, load_splits, prepare
from spellward.data.progress import Report
from spellward.editors import load_editor
from spellward.editors.base import Editor
from spellward.errors import DataError
from spellward.keys import Key
from spellward.locking.keying import complete_key, edit_with_key, given_key
from spellward.locking.publishing import PENDING, publish, resume_key, work_folder
from spellward.locking.settings_file import TrainingRecord, report_folder
from spellward.locking.training.recipe import Recipe, check_recipe, recipe_for
from spellward.locking.training.whole import train_lock
from spellward.models import FitResult, FitSettings, VisionModel, load_model


@dataclass(frozen=True)
class LockResult:
    """A finished lock.

    Attributes:
        folder: The locked checkpoint.
        key_path: Its key.
        key: The same key, complete.
        model: The locked model.
        editor: The editor that was used.
        splits: The data that were used.
        recipe: Name of the recipe.
        fit: What training gave.
        edit_seconds: Time spent on editing.
        usual_epochs: What the recipe takes for such images where epochs are left open.
    """

    folder: Path
    key_path: Path
    key: Key
    model: VisionModel
    editor: Editor
    splits: Splits
    recipe: str
    fit: FitResult
    edit_seconds: float
    usual_epochs: int


def lock(
    model: Any,
    data: Any,
    key: Key | Path | str,
    output: str | Path,
    *,
    recipe: str | Recipe | None = None,
    settings: FitSettings | None = None,
    input_size: int | None = None,
    editor: Editor | None = None,
    passphrase: str | None = None,
    limit: int | None = None,
    instances: bool = False,
    report: Report | None = None,
) -> LockResult:
    """Locks a model: edits the training images under the key, fine-tunes, and writes model and key apart.

    A run that was killed goes on where it stood when it is started again with the same arguments (give a `Key` with
    a fixed salt and seed, or the key file that the first run wrote).

    Args:
        model: A model spec (`load_model`).
        data: A data source (`load_splits`), or `Splits`.
        key: The key, the `Path` of a key file without a passphrase, or a key prompt, which gets a fresh salt.
        output: The folder for the locked checkpoint; the key goes to `OUTPUT.key` beside it.
        recipe: A name in `RECIPES`, or a recipe of your own; if not given, the usual one for images of this kind.
        settings: How to train.
        input_size: Side of the images the model sees; the model's own if not given.
        editor: An editor that is loaded already.
        passphrase: Protects the key file.
        limit: At most so many training images, drawn evenly from the classes.
        instances: Whether a model that gives masks is to tell objects of one class apart.
        report: Told about progress.

    Raises:
        ArtifactError: If `output` or its key exists.
        StorageError: If nothing can be written there.
        KeyRefusedError: If the spell is blank or the name of a key file, or the key file cannot be used.
        DataError: For `limit` or `instances` beside `Splits`, which are made with or without.
        SpellwardError: For data, models and editors that cannot be used.
    """
    output = named_output(output)
    if isinstance(data, Splits) and (limit is not None or instances):
        raise DataError("These are splits already. Give limit and instances to `load_splits`, which makes them.")
    if isinstance(recipe, str):
        check_recipe(recipe)
    check_outside(output, data)
    key_path = output.with_name(output.name + ".key")
    key = given_key(key, editor)
    with storage_errors(output):
        work = work_folder(output)
    # Two locks with one output would share checkpoints and the key to go on with. The second finds the first one's.
    with turn_in(work):
        with storage_errors(output):
            key = resume_key(output, key, passphrase)
        check_place(output)
        if report_folder(output).exists():
            private_folder(report_folder(output))  # or else it could not be written to when all is done
        settings = settings or FitSettings()
        editor = editor or load_editor(key.editor)  # before the images, which may be many
        splits = (
            data
            if isinstance(data, Splits)
            else load_splits(data, seed=settings.seed, limit=limit, instances=instances)
        )
        vision = load_model(model, splits.classes, input_size, settings.seed, splits.task)
        settings = replace(settings, learning_rate=settings.rate_for(vision.network))
        key = complete_key(key, editor, vision)
        edit_with_key(editor, torch.empty((0, 3, 8, 8), dtype=torch.uint8), key)  # refuses settings before the training
        key.save(work / PENDING, passphrase, overwrite=True)
        resolution = key.resolution or editor.resolution
        if resolution < vision.input_size:
            warnings.warn(
                f"This key edits at {resolution} pixels, and the model sees {vision.input_size}, so images "
                "are enlarged and lose detail. Take a new key, or a key with another resolution.",
                stacklevel=2,
            )
        train = prepare(splits.train, resolution)
        recipe = recipe if isinstance(recipe, Recipe) else recipe_for(train, recipe)
        validation = prepare(splits.validation, resolution)
        trained = train_lock(vision, train, validation, key, editor, recipe, settings, work, report)
        # Before the lock is there: without it, a score of the lock could take images for tests that it has learnt.
        TrainingRecord(
            model=vision.spec,
            input_size=vision.input_size,
            recipe=recipe.name,
            recipe_version=recipe.version,
            limit=limit,
            settings=trained.settings,
            train_images=len(train),
            train_seconds=trained.fit.seconds,
            edit_seconds=trained.edit_seconds,
            train_fingerprint=train.fingerprint,
            versions=versions(),
        ).save(output)
        key = publish(vision, key, recipe, output, key_path, passphrase)
        logs = trained.folder / "runs"
        if logs.is_dir():  # TensorBoard's
            shutil.copytree(logs, report_folder(output) / logs.name, dirs_exist_ok=True)
        shutil.rmtree(work, ignore_errors=True)
        return LockResult(
            output,
            key_path,
            key,
            vision,
            editor,
            splits,
            recipe.name,
            trained.fit,
            trained.edit_seconds,
            trained.usual_epochs,
        )
