"""How a lock was trained, kept beside the owner's report: what `score` needs to repeat it; nothing of the key."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from spellward.artifacts import atomic_write, beside, private_folder
from spellward.data import ImageTable, Splits, load_splits
from spellward.errors import ArtifactError
from spellward.models import FitSettings
from spellward.plain_json import parse_json

REPORT_SUFFIX = ".report"
_FILE = "training.json"


class TrainingRecord(BaseModel):
    """Contents of `training.json`. Law: reading what `save` wrote gives an equal record."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Literal["spellward-training"] = "spellward-training"
    version: Literal[1] = 1
    model: str
    input_size: int
    recipe: str
    recipe_version: int
    limit: int | None
    settings: FitSettings
    train_images: int
    train_seconds: float
    edit_seconds: float
    train_fingerprint: str
    versions: dict[str, str]

    def save(self, locked: Path) -> None:
        """Writes the record for a locked folder."""
        folder = private_folder(report_folder(locked))
        atomic_write(folder / _FILE, self.model_dump_json(indent=2) + "\n", mode=0o600)

    @classmethod
    def load(cls, locked: Path) -> TrainingRecord | None:
        """The record of a locked folder, or `None` if it has none here.

        Raises:
            ArtifactError: If it is broken.
        """
        path = report_folder(locked) / _FILE
        if not path.is_file():
            return None
        try:
            return cls.model_validate(parse_json(path.read_text(encoding="utf-8")))
        except (ValidationError, ValueError) as error:
            raise ArtifactError(f"{path} is broken; remove it to score without it.") from error


def splits_as_locked(
    data: Any, record: TrainingRecord | None, *, seed: int = 0, limit: int | None = None, instances: bool = False
) -> Splits:
    """A data source, split as it was for a lock, so that no image that it was trained on is taken for a test.

    Args:
        data: The data source, or `Splits`, which stay as they are.
        record: How the lock was trained.
        seed, limit: What to go by without a record.
        instances: Whether masks tell objects of one class apart.
    """
    if isinstance(data, Splits):
        return data
    if record is not None:
        seed, limit = record.settings.seed, record.limit
    else:
        warnings.warn(
            "There is no record of how this lock was trained (training.json in LOCKED.report). If the data have no "
            "test images of their own, what is drawn for a test may have been trained on: give the seed of the lock.",
            stacklevel=3,
        )
    return load_splits(data, seed=seed, limit=limit, instances=instances)


def warn_of_other_images(record: TrainingRecord | None, train: ImageTable) -> None:
    """Warns where the training images are not those of the lock: then test images may have been trained on."""
    if record is not None and train.fingerprint != record.train_fingerprint:
        warnings.warn(
            f"These {len(train)} training images are not the {record.train_images} that the lock was trained with, so "
            "what stands for test images may have been among those. Give the data as they were.",
            stacklevel=3,
        )


def report_folder(locked: Path) -> Path:
    """Where the reports on a locked folder go: LOCKED.report beside it."""
    return beside(locked, REPORT_SUFFIX)
