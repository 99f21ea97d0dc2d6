"""Training a lock: who teaches it, what is edited for it, and the fit that goes through it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from spellward.data import ImageTable, MaskTable
from spellward.data.progress import Report
from spellward.editors.base import Editor
from spellward.editors.cache import edit_table
from spellward.keys import Key
from spellward.locking.keying import settings_of
from spellward.locking.training.decoys import DecoySource, plan_decoys
from spellward.locking.training.examples import LockExamples
from spellward.locking.training.known_looks import known_looks
from spellward.locking.training.lessons import lessons_of
from spellward.locking.training.nearness import near_salts
from spellward.locking.training.public_view import PublicView
from spellward.locking.training.recipe import Recipe
from spellward.locking.training.simulated_thief import SimulatedThief
from spellward.locking.training.vanilla import ordinary_fine_tune
from spellward.models import FitResult, FitSettings, VisionModel, fit
from spellward.models.augment import varied
from spellward.models.batches import Advance, Objective, Validate


def teacher_for(
    model: VisionModel, train: ImageTable, recipe: Recipe, settings: FitSettings, report: Report | None = None
) -> VisionModel | None:
    """An ordinary fine-tune of the clean images from the same base, if the recipe wants to be taught by one.

    Args:
        model: The public base with a new head; it stays as it is.
        train: The clean training images.
        recipe: How to lock.
        settings: How an ordinary fine-tune is trained: with epochs left open, these are not the lock's.
        report: Told about progress.
    """
    return ordinary_fine_tune(model.copy(), train, settings, report) if recipe.is_taught(train) else None


def lock_examples(
    train: ImageTable,
    key: Key,
    editor: Editor,
    recipe: Recipe,
    settings: FitSettings,
    base: VisionModel,
    teacher: VisionModel | None = None,
) -> LockExamples:
    """Edits training images under the key, plans and edits decoys, and joins them as the recipe says.

    Args:
        train: The clean training images.
        key, editor: What unlocks.
        recipe: What is made.
        settings: How the lock is trained.
        base: The model before training, so its network still is the public base; it stays as it is.
        teacher: Of `teacher_for`.
    """
    used = settings_of(key, editor)
    clean = varied(train, recipe.variants_for(len(train)), settings.augment, settings.seed)
    variants = len(clean) // len(train)
    keyed = edit_table(editor, clean, key.prompt, key.seed, key.salt, used)
    lessons, stays = None if teacher is None else lessons_of(teacher, clean), editor.keeps_subject
    if not recipe.decoys_per_image:
        return LockExamples(keyed, None, 0.0, settings.seed, variants, 0, lessons, stays)
    mix = recipe.mix_for(train, bool(editor.looks()))
    looks = known_looks(train, key, editor, used, base, settings.seed) if mix.known_looks else None
    near = near_salts(train, key, editor, used, base, settings.seed) if mix.near_salts else ()
    plan = plan_decoys(len(clean), key, mix, settings.seed, editor.same_edit, looks, near)
    rows = plan.edited_rows
    prompts = [plan.prompts[row] for row in rows]
    salts = [plan.salts[row] for row in rows]
    edited = edit_table(editor, clean.subset(rows), prompts, key.seed, salts, used)
    decoys = DecoySource(clean, edited, plan, mix)
    share = recipe.keyed_first_masks if isinstance(train, MaskTable) else recipe.keyed_first
    decoys_from = round(share * settings.epochs)
    return LockExamples(keyed, decoys, recipe.decoys_per_image, settings.seed, variants, decoys_from, lessons, stays)


def fit_lock(
    model: VisionModel,
    examples: LockExamples,
    clean: ImageTable,
    recipe: Recipe,
    settings: FitSettings,
    folder: Path,
    *,
    validate: Validate | None = None,
    report: Advance | None = None,
) -> FitResult:
    """Trains a model in place as a recipe says; resumable like every `fit`.

    Args:
        model: The public base with a new head.
        examples: Of `lock_examples`.
        clean: The clean training images, which the simulated thief steals with.
        recipe: How to lock.
        settings: How to train.
        folder: Private folder for checkpoints.
        validate, report: See `fit`.

    Raises:
        ModelError, StorageError: See `fit`.
    """
    thief = None
    if recipe.thief is not None:
        # Like decoys, a thief asks for silence, which a fresh decoder of masks must not learn before it sees.
        first = examples.decoys_from * settings.steps_in_epoch(len(examples))
        thief = SimulatedThief(clean, model, recipe.thief, settings.augment, settings.seed, first)
    objective: Objective = recipe.objective
    if recipe.view is not None and examples.keeps_subject and not isinstance(clean, MaskTable):
        objective = PublicView(objective, model, recipe.view)
    if recipe.variants_for(len(examples)) > 1:
        settings = replace(settings, augment=())  # it went into the variants, before the edit
    return fit(
        model,
        examples,
        settings,
        folder=folder,
        validate=validate,
        objective=objective,
        after_backward=thief,
        report=report,
    )
