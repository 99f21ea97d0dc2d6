"""From a lock on disk to its score and its reports: what the commands `lock`, `score` and `demo` share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from spellward.data import prepare
from spellward.data.progress import Report
from spellward.keys import Key
from spellward.locking.lock import LockResult
from spellward.locking.measuring.score import Score, ScoreSettings
from spellward.locking.public_base import recorded_spec
from spellward.locking.scoring import score
from spellward.locking.settings_file import TrainingRecord, report_folder, splits_as_locked
from spellward.locking.unlock import unlock
from spellward.models import FitSettings
from spellward.models.instances import INSTANCES
from spellward.models.specs import public_name
from spellward.reports.lock_report import LockReport, write_lock_report
from spellward.reports.lock_samples import sample_pairs


def report_on_lock(
    result: LockResult, settings: ScoreSettings, vanilla: Any = None, report: Report | None = None
) -> tuple[Score, Path]:
    """Scores a fresh lock and writes its reports; returns the score and the owner's page."""
    return score_and_report(
        result.folder, result.splits, result.key, settings, vanilla=vanilla, editor=result.editor, report=report
    )


def score_and_report(
    locked: Path,
    data: Any,
    key: Key,
    settings: ScoreSettings,
    *,
    vanilla: Any = None,
    seed: int = 0,
    editor: Any = None,
    report: Report | None = None,
) -> tuple[Score, Path]:
    """Scores a locked folder on a data source and writes the reports beside it.

    Args:
        locked, data, key, settings: As for `score`.
        vanilla: Model spec of an ordinary fine-tune with the lock's own budget; `True` takes what the lock was made
            from, `None` leaves it out.
        seed: Seed of the splits, for a lock whose training record is not there.
        editor: An editor that is loaded already.
        report: Told about progress.
    """
    record = TrainingRecord.load(locked)
    budget = record.settings if record else FitSettings(seed=seed)
    unlocked = unlock(locked, key, editor=editor, device="auto")
    splits = splits_as_locked(data, record, seed=seed, instances=unlocked.model.task == INSTANCES)
    if vanilla is True:
        vanilla = recorded_spec(record, unlocked.model)
    figures = score(
        locked,
        splits,
        key,
        settings=settings,
        vanilla=vanilla,
        fit_settings=budget,
        editor=unlocked.editor,
        report=report,
    )
    test = prepare(splits.test, unlocked.resolution)
    some = test.subset(range(min(64, len(test))))
    timed = (unlocked.predict if test.task == "classification" else unlocked.segment)(some.images[:])
    timings = {
        "Editing, per image": timed.edit_seconds / len(some),
        "Model, per image": timed.model_seconds / len(some),
    }
    facts = {"Classes": str(len(test.classes)), "Lock id": key.lock_id}
    if record is not None:
        timings = {"Training": record.train_seconds, "Editing the training images": record.edit_seconds, **timings}
        facts |= {
            "Model": public_name(record.model),
            "Recipe": f"{record.recipe} (version {record.recipe_version})",
            "Training images": str(record.train_images),
            "Epochs": str(record.settings.epochs),
            "Seed of the training": str(record.settings.seed),
            "Versions": ", ".join(f"{name} {number}" for name, number in record.versions.items()),
        }
    page = LockReport(locked.name, figures, facts, timings, sample_pairs(unlocked, test), splits.report)
    return figures, write_lock_report(page, report_folder(locked))
