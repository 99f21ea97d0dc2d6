"""The contact sheet of suggested spells: what each does to a few images, beside what is forecast for it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from torch import Tensor

from spellward.artifacts import atomic_write, storage_errors
from spellward.locking.suggest import Suggestion
from spellward.locking.suggesting.forecast import OF_CLASSIFIER
from spellward.reports.figures import png_url
from spellward.reports.pages import fill_in


def write_suggest_report(suggestions: Sequence[Suggestion], clean: Tensor, path: Path) -> Path:
    """Writes one HTML file, mode 0600, since it shows spells that may become keys; returns its path.

    Args:
        suggestions: Of `suggest`, best first.
        clean: The images before the edits, uint8 [N, 3, S, S].
        path: The file.

    Raises:
        StorageError: If it cannot be written.
    """
    page = fill_in(
        "suggest_report",
        clean=[png_url(image.permute(1, 2, 0).numpy()) for image in clean],
        rows=[(one, [png_url(image.permute(1, 2, 0).numpy()) for image in one.pictures]) for one in suggestions],
        gain=suggestions[0].forecast.gain if suggestions else None,
        of_classifier=any(one.forecast.measure == OF_CLASSIFIER for one in suggestions),
    )
    with storage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    atomic_write(path, page, mode=0o600)
    return path
