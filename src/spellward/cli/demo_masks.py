"""The segmentation lock of `spellward demo`. Imported only when it is told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from spellward.data.progress import Report
from spellward.keys import Key
from spellward.locking.lock import lock
from spellward.locking.measuring.score import ScoreSettings
from spellward.locking.training.recipe import RECIPES
from spellward.models import FitSettings
from spellward.reports.lock_run import report_on_lock

OBJECT = "a red balloon"
_IMAGES, _BATCH = 400, 32
# Masks take longer to learn than classes; with fewer epochs it hangs on the salt whether a lock opens.
_LONGER = 2
_RECIPE = replace(RECIPES["decoy"], variants=2, fewest_edits=0)


def masks_story(
    folder: Path, say: Callable[[str], None], report: Report, limit: int = _IMAGES, epochs: int = 8
) -> dict[str, float | None]:
    """Locks a segmentation network under an object; fewer images and epochs, if the demo was asked for fewer.

    Returns:
        Its figures, named masks_...
    """
    limit, epochs = min(limit, _IMAGES), _LONGER * epochs
    say(f'4. Locking a segmentation network: {limit} scenes with masks, object "{OBJECT}" behind the foreground.')
    result = lock(
        "bundled",
        "sample:scenes",
        Key(OBJECT, editor="object"),
        folder / "locked-masks",
        recipe=_RECIPE,
        settings=FitSettings(epochs=epochs, batch_size=_BATCH),
        limit=limit,
        report=report,
    )
    few = ScoreSettings(wrong_prompts=3, wrong_salts=3, near_wordings=1, wrong_key_images=60)
    score, page = report_on_lock(result, few, "bundled", report)
    figures = score.summary()
    for name, text in (
        ("vanilla", "ordinary fine-tune: mean IoU of the objects"),
        ("up", "locked, right key"),
        ("lp", "locked, no key"),
        ("salts_best", "the object elsewhere, best of 3"),
        ("wrong_best", "another object, best of 3"),
    ):
        say(f"   {100 * (figures[name] or 0.0):5.1f} %  {text}")
    say(f"   Report, with overlays: {page}")
    return {f"masks_{name}": value for name, value in figures.items()}
