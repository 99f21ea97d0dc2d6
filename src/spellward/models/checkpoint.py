"""Checkpoint folders: ordinary ones that `transformers` loads, read with care since others may have made them."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_model as load_tensors
from safetensors.torch import save_model as save_tensors
from torch import nn

from spellward.artifacts import storage_errors
from spellward.errors import ArtifactError, ModelError, StorageError
from spellward.models import mask_rcnn
from spellward.models.inspection import OWN_FILE, OWN_FORMAT, WEIGHTS_FILE, check_folder, read_json, read_own_record
from spellward.models.pretrained import load_pretrained, no_hub_noise
from spellward.models.processing import processor_for, timm_settings
from spellward.models.vision import CLASSIFICATION, VisionModel
from spellward.plain_json import write_json

_OWN_FIELDS = {"architectures", "dtype", "model_type", "pretrained_cfg", "spellward_task", "transformers_version"}
_DISK_FULL = ("No space", "quota", "File too large", "os error 27", "os error 28", "os error 122", "iostream error")


def save_checkpoint(model: VisionModel, folder: Path) -> None:
    """Writes a model into a folder: safetensors, config, image processor.

    A transformers model loads again in plain `transformers`; a torchvision model or a module of the user's own gets
    safetensors and a small JSON file, and loads with Spellward.

    Raises:
        StorageError: If the disk is full or cannot be written.
    """
    with storage_errors(folder), full_disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        network: Any = model.network
        if hasattr(network, "save_pretrained"):
            config = network.config
            if own := getattr(config, "pretrained_cfg", None):
                config.pretrained_cfg = {**own, **timm_settings(model.input_size, model.mean, model.std)}
            with no_hub_noise():
                network.save_pretrained(folder)
                if config.model_type != "timm_wrapper":  # that one keeps its processing in config.json
                    processor_for(model).save_pretrained(folder)
            _forget_notes(folder / "config.json", config)
            _readable(folder)
            return
        save_tensors(model.network, str(folder / WEIGHTS_FILE))
        _readable(folder)
        record = {
            "format": OWN_FORMAT,
            "spec": model.spec,
            "classes": list(model.classes),
            "input_size": model.input_size,
            "mean": list(model.mean),
            "std": list(model.std),
        }
        if model.task != CLASSIFICATION:
            record["task"] = model.task
        write_json(folder / OWN_FILE, record)


def _forget_notes(path: Path, config: Any) -> None:
    """Takes out of a written config what its class has no field for: notes on the base, such as where it lay."""
    try:
        fields = set(type(config)().to_dict())
    except (TypeError, ValueError):  # a class that is nothing without its parts
        return
    write_json(path, {name: value for name, value in read_json(path).items() if name in fields | _OWN_FIELDS})


def _readable(folder: Path) -> None:
    """A checkpoint is made to be passed on; safetensors leaves its files to their owner alone."""
    for path in folder.glob("*.safetensors"):
        path.chmod(0o644)


def load_checkpoint(
    folder: str | Path,
    *,
    classes: tuple[str, ...] | None = None,
    random: bool = False,
    module: nn.Module | None = None,
    task: str | None = None,
) -> VisionModel:
    """Loads a checkpoint folder, or a model of the Hub; safetensors only, and no code from it.

    Args:
        folder: The folder or Hub id.
        classes: Class names for a fresh head; the checkpoint's own if not given. When the names are the checkpoint's
            own, its head is kept.
        random: Take the architecture only.
        module: The module to fill, for checkpoints that came from a module in memory.
        task: "classification", "segmentation" or "instances"; what the checkpoint was made for if not given.

    Raises:
        ModelError: If there is no such model, or it needs code of its own.
        ArtifactError: If a file is foreign or truncated.
    """
    path = Path(folder)
    if not path.is_dir():
        name = str(folder)
        local = path.is_absolute() or name.startswith((".", "~")) or name.endswith("/") or name.count("/") > 1
        if local or path.exists():
            raise ModelError(f"There is no checkpoint folder {folder}.")
        return load_pretrained(name, classes, random, task)
    check_folder(path)
    if (path / OWN_FILE).is_file():
        return _load_own(path, classes, random, module, task)
    return load_pretrained(str(path), classes, random, task)


def _load_own(
    folder: Path, classes: tuple[str, ...] | None, random: bool, module: nn.Module | None, task: str | None
) -> VisionModel:
    from spellward.models.specs import load_model

    record = read_own_record(folder)
    spec: str = record["spec"]
    if spec == "module" and module is None:
        raise ModelError(
            f"{folder} was made from a module in memory. Give one built alike, in Python: "
            "`unlock(FOLDER, KEY, module=...)`, or `load_checkpoint(FOLDER, module=...)`."
        )
    made_for, names = record.get("task", CLASSIFICATION), tuple(record["classes"])
    if task not in (None, made_for):
        raise ModelError(f"{folder} is for {made_for}, not for {task}. Name another model.")
    source: Any = module if spec == "module" else spec.split("?")[0] + "?random"

    def built(own: tuple[str, ...]) -> VisionModel:
        # `load_model`, which may have called this, has set the seed of whatever is fresh.
        model = load_model(source, own, record["input_size"], seed=torch.initial_seed(), task=made_for)
        model.spec, model.mean, model.std = spec, tuple(record["mean"]), tuple(record["std"])
        return model

    asked = names if classes is None else classes
    if random:
        return built(asked)
    model = built(names)
    try:
        if isinstance(model.network, mask_rcnn.MaskRCNN):
            with safe_open(folder / WEIGHTS_FILE, framework="pt") as file:
                mask_rcnn.fit_norms(model.network, list(file.keys()))
        load_tensors(model.network, str(folder / WEIGHTS_FILE))
    except (RuntimeError, SafetensorError) as error:
        raise ArtifactError(f"{folder / WEIGHTS_FILE} does not fit {spec}, or is truncated.") from error
    return model if asked == names else _with_body(built(asked), model)


def _with_body(fresh: VisionModel, model: VisionModel) -> VisionModel:
    """A fresh model with another's weights, but for the head and whatever else goes by the number of classes."""
    state = fresh.network.state_dict()
    body = {
        name: value
        for name, value in model.network.state_dict().items()
        if name in state and not fresh.in_head(name) and state[name].shape == value.shape
    }
    fresh.network.load_state_dict({**state, **body})
    return fresh


@contextlib.contextmanager
def full_disk_errors(folder: Path) -> Iterator[None]:
    """Safetensors and `torch.save` wrap what the operating system said in errors of their own.

    Raises:
        StorageError: If it said that the disk is full.
    """
    try:
        yield
    except (SafetensorError, RuntimeError) as error:
        if any(words in str(error) for words in _DISK_FULL) or "PytorchStreamWriter failed writing" in str(error):
            raise StorageError(f"Cannot write {folder}: the disk is full. What was finished before is kept.") from error
        raise


def network_digest(network: nn.Module) -> str:
    """sha256 over tensors and layers as they print: two modules may have the same weights and compute otherwise."""
    return hashlib.sha256(f"{state_digest(network)} {network!r}".encode()).hexdigest()


def state_digest(network: nn.Module) -> str:
    """sha256 over names and values of all tensors: two networks with the same digest are the same."""
    digest = hashlib.sha256()
    for name, tensor in sorted(network.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
