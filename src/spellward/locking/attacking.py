"""Attacking a lock, whole: from a locked folder, its key and a data source to every attack beside the public base."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from spellward.artifacts import cache_root, private_folder, run_name, versions
from spellward.attacks.unlocking.guessing import seen_through
from spellward.attacks.unlocking.table import ATTACKS
from spellward.attacks.unlocking.thief import EFFORTS, Guess, Thief
from spellward.data import ImageTable, prepare
from spellward.data.progress import Report
from spellward.data.splits import stratified_share
from spellward.editors.base import Editor, EditSettings
from spellward.editors.cache import private_name
from spellward.errors import ModelError
from spellward.keys import Key, key_from
from spellward.locking.attack_results import AttackReport, AttackRow, HonestRow
from spellward.locking.guesses import wrong_key_guesses
from spellward.locking.honest_use import honest_use
from spellward.locking.settings_file import TrainingRecord, splits_as_locked, warn_of_other_images
from spellward.locking.tasks import TASKS, check_fits
from spellward.locking.unlock import editor_for, settings_of, unlock
from spellward.models import VisionModel, load_model, state_digest
from spellward.models.instances import INSTANCES
from spellward.plain_json import parse_json, write_json

BUDGETS = (0.01, 0.05, 0.10)
TEST_IMAGES = 1000
_HONEST_IMAGES = 500
_ALGORITHM = "attacks-4"
"""Raised whenever an attack would give another result, so that cached results of the old one are not taken."""


@dataclass(frozen=True, eq=False)
class Target:
    """What is attacked, and with what.

    Attributes:
        model: The locked model.
        base: The public model it was made from, with a fresh head.
        train: Clean training images; the thief's are drawn from these.
        test: Clean test images; accuracies are measured on these.
        editor: The lock's editor.
        settings: With which it edits.
        guesses: Wrong keys by kind (`wrong_key_guesses`).
        keys: Tells cached results under other keys and other editors from these (`private_name`).
    """

    model: VisionModel
    base: VisionModel
    train: ImageTable
    test: ImageTable
    editor: Editor | None = None
    settings: EditSettings | None = None
    guesses: Mapping[str, Sequence[Guess]] = field(default_factory=dict)
    keys: str = ""

    def thief(self, share: float, effort: str, seed: int) -> Thief:
        """A thief with labels for a share of every class, at least two images each; the others are unlabelled."""
        rng = np.random.default_rng([seed, 0x7E1F])
        labelled = stratified_share(self.train.labels, share, rng)
        others = np.setdiff1d(np.arange(len(self.train)), labelled)
        rest = rng.permutation(others if len(others) else labelled)
        return Thief(
            labelled=self.train.subset(labelled),
            unlabelled=self.train.subset(np.sort(rest[: EFFORTS[effort].unlabelled])),
            base=self.base,
            success=TASKS[self.model.task].success,
            effort=EFFORTS[effort],
            seed=seed,
            editor=self.editor,
            settings=self.settings,
            guesses=self.guesses,
        )


def run_attack(target: Target, name: str, share: float, *, effort: str = "default", seed: int = 0) -> AttackRow:
    """Runs one attack with one budget, on the locked model and on the base.

    Raises:
        ModelError: If the attack cannot be run on this model.
    """
    attack = ATTACKS[name]
    if target.model.task not in attack.tasks:
        raise ModelError(f"The attack {name} is made for {' and '.join(attack.tasks)}, not for {target.model.task}.")
    thief = target.thief(share, effort, seed)
    found = _result(name, target.model, thief, target.test, target.keys if attack.edits else "")
    public = base_accuracy(target, name, thief)
    return AttackRow(
        name=name,
        labelled=share,
        images=len(thief.labelled),
        accuracy=found["accuracy"],
        base=public,
        gain=found["accuracy"] - public,
        setting=found["setting"],
        seconds=found["seconds"],
    )


def base_accuracy(target: Target, name: str, thief: Thief) -> float:
    """What the public base gives this thief instead, by the attack in `on_base` that it would choose."""
    kinds = [one for one in ATTACKS[name].on_base if target.model.task in ATTACKS[one].tasks]
    results = [_result(one, target.base, thief, target.test, "") for one in kinds]
    return float(max(results, key=lambda one: one["hope"] or [])["accuracy"])


def attack(
    locked: str | Path,
    data: Any,
    key: Key | str | Path,
    *,
    budgets: Sequence[float] = BUDGETS,
    only: Sequence[str] | None = None,
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
        only: Names in `ATTACKS`; all if not given.
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
        ModelError: If the data have other classes than the model, or are for another task.
    """
    names = check_search(only, effort, budgets)
    locked, key = Path(locked), key_from(key)
    unlocked = unlock(locked, key, editor=editor, module=module)
    editor = editor_for(key, editor or unlocked.editor)
    record = TrainingRecord.load(locked)
    splits = splits_as_locked(data, record, seed=seed, instances=unlocked.model.task == INSTANCES)
    model = unlocked.model
    check_fits(splits, model)
    train, test = (prepare(split, unlocked.resolution) for split in (splits.train, splits.test))
    warn_of_other_images(record, train)
    spec = base if base is not None else record.model if record else "bundled"
    if spec == "module":
        raise ModelError("This was locked from a module in memory. Give that module, as it was before, as `base`.")
    public = load_model(spec, model.classes, model.input_size, seed, model.task)
    rng = np.random.default_rng([seed, 0x7E57])
    some = test.subset(np.sort(rng.permutation(len(test))[:images]))
    guesses = wrong_key_guesses(key, editor, seed, other_editors)
    keys = private_name(key.model_dump(), *(one.fingerprint() for one in (editor, *other_editors)))
    target = Target(model, public, train, some, editor, settings_of(key, editor), guesses, keys)
    rows, skipped = [], {name: "no other editor was given" for name in names if _lacks_guesses(name, target)}
    jobs = [(share, name) for share in budgets for name in names if name not in skipped]
    for done, (share, name) in enumerate(jobs):
        if report is not None:
            report("Attacks", done, len(jobs))
        try:
            rows.append(run_attack(target, name, share, effort=effort, seed=seed))
        except ModelError as error:
            skipped[name] = str(error)
        except (IndexError, RuntimeError, TypeError, ValueError) as error:  # networks come from anywhere
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
        effort=effort,
        seed=seed,
        base=public.spec,
        skipped=skipped,
        versions=versions(),
    )


def check_search(only: Sequence[str] | None, effort: str, budgets: Sequence[float]) -> list[str]:
    """The attacks that are asked for.

    Raises:
        ValueError: For an unknown attack or effort, or a budget that is no share.
    """
    names = list(dict.fromkeys(only)) if only else list(ATTACKS)
    if unknown := [name for name in names if name not in ATTACKS]:
        raise ValueError(f"There is no attack {unknown[0]!r}; there are {', '.join(ATTACKS)}.")
    if effort not in EFFORTS:
        raise ValueError(f"There is no effort {effort!r}; there are {', '.join(EFFORTS)}.")
    if not budgets or not all(0 < share < 1 for share in budgets):
        raise ValueError(f"A budget is a share of the training images, above 0 and below 1; got {list(budgets)}.")
    return names


def _lacks_guesses(name: str, target: Target) -> bool:
    return bool(ATTACKS[name].guesses) and ATTACKS[name].guesses not in target.guesses


def _result(name: str, model: VisionModel, thief: Thief, test: ImageTable, keys: str) -> dict[str, Any]:
    """Accuracy, setting and seconds of an attack on a model, from the private cache if it was run before."""
    run = run_name(
        _ALGORITHM,
        name,
        *(state_digest(one.network) for one in (model, thief.base)),
        *((one.input_size, one.mean, one.std, one.head) for one in (model, thief.base)),
        versions(),
        keys,
        {**asdict(thief.effort), "steps": thief.effort.steps_for(len(thief.labelled))},
        thief.seed,
        thief.labelled.fingerprint,
        thief.unlabelled.fingerprint,
        test.fingerprint,
    )
    path = private_folder(cache_root() / "attacks") / f"{run}.json"
    if path.is_file():
        known: dict[str, Any] = parse_json(path.read_text(encoding="utf-8"))
        return known
    begun = time.perf_counter()
    loot = ATTACKS[name].run(model, thief)
    seconds = time.perf_counter() - begun
    accuracy = TASKS[model.task].judge(loot.predict, test).value
    result = {
        "name": name,
        "accuracy": accuracy,
        "setting": loot.setting,
        "hope": None if loot.hope is None else list(loot.hope),
        "seconds": seconds,
    }
    write_json(path, result, mode=0o600)
    return result


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
    return tuple(
        TASKS[model.task].judge(seen_through(model, guess), images).value for guess in guesses.get("near-wordings", ())
    )
