"""Scoring, whole: from a locked folder, its key and a data source to figures beside an ordinary fine-tune."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import nn

from spellward.data import prepare
from spellward.data.progress import Report
from spellward.editors.base import Editor
from spellward.keys import Key, key_from
from spellward.locking.keying import editor_for
from spellward.locking.measuring.score import Score, ScoreSettings, score_tables
from spellward.locking.measuring.tasks import check_fits
from spellward.locking.settings_file import TrainingRecord, splits_as_locked, warn_of_other_images
from spellward.locking.training.vanilla import vanilla_model
from spellward.locking.unlock import unlock
from spellward.models import FitSettings
from spellward.models.instances import INSTANCES


def score(
    locked: str | Path,
    data: Any,
    key: Key | str | Path,
    *,
    settings: ScoreSettings | None = None,
    vanilla: Any = None,
    fit_settings: FitSettings | None = None,
    editor: Editor | None = None,
    limit: int | None = None,
    module: nn.Module | None = None,
    report: Report | None = None,
) -> Score:
    """Scores a locked folder on the test split of a data source.

    Args:
        locked: The folder `lock` wrote.
        data: The data source it was locked with, or `Splits`: splits are the same for the same source and seed.
        key: Its key, or the path of its key file if that has no passphrase.
        settings: How much to try.
        vanilla: Model spec of the ordinary fine-tune to compare with; `None` leaves the comparison out.
        fit_settings: The budget of the ordinary fine-tune; if not given, the lock's own, from its training record.
        editor: An editor that is loaded already.
        limit: As for `lock`. This and the seed of the splits are the lock's own where its training record is there.
        module: For a lock of a module in memory, as for `unlock`.
        report: Told about progress.

    Raises:
        KeyRefusedError: If there is no such key, or key and model do not belong together.
        ModelError: If the data have other classes than the model, or are for another task.
    """
    key = key_from(key)
    record = TrainingRecord.load(Path(locked))
    fit_settings = fit_settings or (record.settings if record else FitSettings())
    unlocked = unlock(locked, key, editor=editor, module=module, device="auto")
    editor = editor_for(key, editor or unlocked.editor)
    instances = unlocked.model.task == INSTANCES
    splits = splits_as_locked(data, record, seed=fit_settings.seed, limit=limit, instances=instances)
    check_fits(splits, unlocked.model)
    train, test = (prepare(split, unlocked.resolution) for split in (splits.train, splits.test))
    warn_of_other_images(record, train)
    plain = None
    if vanilla is not None:
        plain = vanilla_model(vanilla, train, fit_settings, unlocked.model.input_size, report)
    steps = score_tables(unlocked.model, key, editor, train, test, settings=settings, vanilla=plain)
    for done, total, result in steps:
        if report is not None:
            report("Scoring", done, total)
        if result is not None:
            return result
    raise AssertionError("a score ends with its result")
