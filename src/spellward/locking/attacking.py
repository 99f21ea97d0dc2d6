"""Attacking a lock, whole: from a locked folder, its key and a data source to every attack beside the public base."""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from spellward.artifacts import versions
from spellward.attacks.unlocking.guessing import seen_through
from spellward.attacks.unlocking.table import ATTACKS
from spellward.attacks.unlocking.thief import EFFORTS, Guess
from spellward.data import ImageTable, prepare
from spellward.data.progress import Report
from spellward.editors.base import Editor
from spellward.editors.cache import private_name
from spellward.errors import EditorError, ModelError
from spellward.keys import Key, key_from
from spellward.locking.keying import editor_for, settings_of
from spellward.locking.measuring.attack_results import AttackReport, HonestRow
from spellward.locking.measuring.attack_target import FROM_A_NETWORK, Target, run_attack
from spellward.locking.measuring.guesses import wrong_key_guesses
from spellward.locking.measuring.honest_use import honest_use
from spellward.locking.measuring.tasks import TASKS, check_fits
from spellward.locking.public_base import public_base
from spellward.locking.settings_file import TrainingRecord, splits_as_locked, warn_of_other_images
from spellward.locking.unlock import unlock
from spellward.models import VisionModel
from spellward.models.instances import INSTANCES

BUDGETS = (0.01, 0.05, 0.10)
TEST_IMAGES = 1000
_HONEST_IMAGES = 500
_NO_GUESSES = {"other-editor": "no other editor was given", "other-salts": "the key has no salt"}
"""Why an attack has no wrong keys to try."""


def attack(
    locked: str | Path,
    data: Any,
    key: Key | str | Path,
    *,
    budgets: Sequence[float] = BUDGETS,
    only: Sequence[str] | str | None = None,
    effort: str = "default",
    base: Any = None,
    seed: int = 0,
    images: int = TEST_IMAGES,
    editor: Editor | None = None,
    other_editors: Sequence[Editor] = (),
    module: nn.Module | None = None,
    report: Report | None = None,
) -> AttackReport:
    """Runs attacks on a locked folder.

    The thief has the weights, the code of this library, the public base model and labelled clean images, but no key;
    attacks with wrong keys are given the part of the key that their name says. Finished attacks are kept in the
    private cache, so a run that was killed goes on where it stood, and the base is measured once for all its locks.

    Args:
        locked: The folder `lock` wrote.
        data: The data source it was locked with, or `Splits`.
        key: Its key, or the path of a key file without a passphrase.
        budgets: Shares of the training images that the thief has labels for.
        only: Names in `ATTACKS`, or one; all if not given.
        effort: "quick", "default" or "full": how long the thief searches.
        base: Model spec of the public base; the one in the lock's training record if not given.
        seed: Of the thief's draws, and of the splits for a lock without a training record.
        images: Test images to measure on at most.
        editor: The key's editor, if it is loaded already.
        other_editors: Editors to try the right prompt with.
        module: For a lock of a module in memory, as for `unlock`; `base` is the public one then.
        report: Told about progress.

    Raises:
        ValueError: For an unknown attack, effort or budget.
        KeyRefusedError: If key and model do not belong together.
        EditorError: If an other editor is the key's own.
        ModelError: If the data have other classes than the model, or are for another task, or nothing says what the
            lock was made from.
    """
    names, seed = check_search(only, effort, budgets), operator.index(seed)
    locked, key = Path(locked), key_from(key)
    unlocked = unlock(locked, key, editor=editor, module=module, device="auto")
    editor = editor_for(key, editor or unlocked.editor)
    record = TrainingRecord.load(locked)
    splits = splits_as_locked(data, record, seed=seed, instances=unlocked.model.task == INSTANCES)
    model = unlocked.model
    check_fits(splits, model)
    train, test = (prepare(split, unlocked.resolution) for split in (splits.train, splits.test))
    warn_of_other_images(record, train)
    public = public_base(record, model, base, seed)
    public.network.to(model.device)
    rng = np.random.default_rng([seed, 0x7E57])
    some = test.subset(np.sort(rng.permutation(len(test))[:images]))
    guesses = wrong_key_guesses(key, editor, seed, other_editors)
    keys = private_name(key.model_dump(), *(one.fingerprint() for one in (editor, *other_editors)))
    target = Target(model, public, train, some, editor, settings_of(key, editor), guesses, keys)
    rows = []
    skipped = {name: _NO_GUESSES.get(name, "there is nothing to guess") for name in names if _lacks(name, target)}
    jobs = [(share, name) for share in budgets for name in names if name not in skipped]
    for done, (share, name) in enumerate(jobs):
        if report is not None:
            report("Attacks", done, len(jobs))
        try:
            rows.append(run_attack(target, name, share, effort=effort, seed=seed))
        except (EditorError, ModelError) as error:
            skipped[name] = str(error)
        except FROM_A_NETWORK as error:
            skipped[name] = f"it failed on this network ({type(error).__name__}: {error})"
    if report is not None:
        report("Attacks", len(jobs), len(jobs))
    few = some.subset(np.sort(rng.permutation(len(some))[:_HONEST_IMAGES]))  # test images may be sorted by class
    up, honest = _honest_rows(model, few, key, editor, report)
    return AttackReport(
        rows=tuple(rows),
        honest=honest,
        wordings=_wordings(model, few, guesses),
        up=up,
        chance=TASKS[model.task].chance(some),
        test_images=len(some),
        measure=TASKS[model.task].measure,
        effort=effort,
        seed=seed,
        base=public.spec,
        skipped=skipped,
        versions=versions(),
    )


def check_search(only: Sequence[str] | str | None, effort: str, budgets: Sequence[float]) -> list[str]:
    """The attacks that are asked for.

    Raises:
        ValueError: For an unknown attack or effort, or a budget that is no share.
    """
    only = (only,) if isinstance(only, str) else only
    names = list(dict.fromkeys(only)) if only else list(ATTACKS)
    if unknown := [name for name in names if name not in ATTACKS]:
        raise ValueError(f"There is no attack {unknown[0]!r}; there are {', '.join(ATTACKS)}.")
    if effort not in EFFORTS:
        raise ValueError(f"There is no effort {effort!r}; there are {', '.join(EFFORTS)}.")
    if not budgets or not all(0 < share < 1 for share in budgets):
        raise ValueError(f"A budget is a share of the training images, above 0 and below 1; got {list(budgets)}.")
    return names


def _lacks(name: str, target: Target) -> bool:
    return bool(ATTACKS[name].guesses) and ATTACKS[name].guesses not in target.guesses


def _honest_rows(
    model: VisionModel, images: ImageTable, key: Key, editor: Editor, report: Report | None
) -> tuple[float, tuple[HonestRow, ...]]:
    up, rows = 0.0, []
    for done, total, name, accuracy in honest_use(model, key, editor, images):
        if report is not None:
            report("Honest use", done, total)
        if done == 1:
            up = accuracy
        else:
            rows.append(HonestRow(name, accuracy, accuracy - up))
    return up, tuple(rows)


def _wordings(model: VisionModel, images: ImageTable, guesses: Mapping[str, Sequence[Guess]]) -> tuple[float, ...]:
    tried = [
        TASKS[model.task].judge(seen_through(model, guess), images).value for guess in guesses.get("near-wordings", ())
    ]
    return (min(tried), float(np.mean(tried)), max(tried)) if tried else ()
