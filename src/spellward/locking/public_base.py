"""The public model that a lock was made from, which an attack has and an ordinary fine-tune starts from."""

from __future__ import annotations

from typing import Any

from spellward.errors import ModelError
from spellward.locking.settings_file import TrainingRecord
from spellward.models import VisionModel, load_model
from spellward.models.specs import BUNDLED


def recorded_spec(record: TrainingRecord | None, model: VisionModel) -> str:
    """The model spec that a lock's record names; without one the bundled model's, if the lock is built like that.

    Raises:
        ModelError: If nothing says what the lock was made from.
    """
    if record is not None:
        return record.model
    bundled = load_model(f"{BUNDLED}?random", model.classes, model.input_size, task=model.task)
    shapes = [{name: value.shape for name, value in one.network.state_dict().items()} for one in (bundled, model)]
    if shapes[0] != shapes[1]:
        raise ModelError(
            "There is no record of what this lock was made from (training.json in LOCKED.report), and it is not the "
            "bundled model. Name the model spec."
        )
    return BUNDLED


def public_base(record: TrainingRecord | None, model: VisionModel, base: Any = None, seed: int = 0) -> VisionModel:
    """The public model that a lock was made from, with a fresh head.

    Args:
        record: How the lock was trained.
        model: The locked model.
        base: Another model spec, or a module, to take instead.
        seed: Of the head. Random weights of a recorded base are those that the lock began with.

    Raises:
        ModelError: If nothing says what the lock was made from, or that cannot be loaded.
    """
    spec = recorded_spec(record, model) if base is None else base
    if spec == "module":
        raise ModelError("This was locked from a module in memory. Give that module, as it was before, as `base`.")
    if record is not None and base is None and spec.endswith("?random"):
        seed = record.settings.seed
    return load_model(spec, model.classes, model.input_size, seed, model.task)
