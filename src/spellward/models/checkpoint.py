"""Checkpoint folders: ordinary ones that `transformers` loads, read with care since others may have made them."""

from __future__ import annotations

import contextlib
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_model as load_tensors
from safetensors.torch import save_model as save_tensors
from torch import nn

from spellward.artifacts import storage_errors, write_json
from spellward.errors import ArtifactError, ModelError, StorageError
from spellward.models.vision import VisionModel, head_of

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
WEIGHTS_FILE = "model.safetensors"
_OWN_FILE = "spellward_model.json"
_OWN_FORMAT = "spellward-model-1"
_MAX_JSON = 5_000_000


@contextlib.contextmanager
def no_hub_noise() -> Iterator[None]:
    """Keeps transformers' warnings (fresh heads, say) and progress bars off the terminal."""
    from transformers.utils import logging as their_logging

    level, active = their_logging.get_verbosity(), their_logging.is_progress_bar_enabled()
    their_logging.set_verbosity(logging.CRITICAL)
    their_logging.disable_progress_bar()
    try:
        yield
    finally:
        their_logging.set_verbosity(level)
        if active:
            their_logging.enable_progress_bar()


def vision_model(network: Any, spec: str, input_size: int, processor: Any = None) -> VisionModel:
    """Wraps a transformers classifier; classes come from its config."""
    labels = network.config.id2label
    classes = tuple(str(labels[index]) for index in range(len(labels)))
    settings = getattr(network.config, "pretrained_cfg", None) or {}
    mean = tuple(settings.get("mean") or getattr(processor, "image_mean", None) or IMAGENET_MEAN)
    std = tuple(settings.get("std") or getattr(processor, "image_std", None) or IMAGENET_STD)
    head = head_of(network, len(classes))
    return VisionModel(network, spec, classes, input_size, mean, std, head, {"processor": processor})


def save_checkpoint(model: VisionModel, folder: Path) -> None:
    """Writes a model into a folder: safetensors, config, image processor.

    A transformers model loads again in plain `transformers`; a torchvision model or a module of the user's own gets
    safetensors and a small JSON file, and loads with Spellward.

    Raises:
        StorageError: If the disk is full or cannot be written.
    """
    with storage_errors(folder), _safetensors_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        network: Any = model.network
        if hasattr(network, "save_pretrained"):
            with no_hub_noise():
                network.save_pretrained(folder)
                if network.config.model_type != "timm_wrapper":  # that one keeps its processing in config.json
                    (model.extra.get("processor") or _processor_for(model)).save_pretrained(folder)
            return
        save_tensors(model.network, str(folder / WEIGHTS_FILE))
        record = {
            "format": _OWN_FORMAT,
            "spec": model.spec,
            "classes": list(model.classes),
            "input_size": model.input_size,
            "mean": list(model.mean),
            "std": list(model.std),
        }
        write_json(folder / _OWN_FILE, record)


def load_checkpoint(
    folder: str | Path,
    *,
    classes: tuple[str, ...] | None = None,
    random: bool = False,
    module: nn.Module | None = None,
) -> VisionModel:
    """Loads a checkpoint folder, or a model of the Hub; safetensors only, and no code from it.

    Args:
        folder: The folder or Hub id.
        classes: Class names for a fresh head; the checkpoint's own if not given. When the names are the checkpoint's
            own, its head is kept.
        random: Take the architecture only.
        module: The module to fill, for checkpoints that came from a module in memory.

    Raises:
        ModelError: If there is no such model, or it needs code of its own.
        ArtifactError: If a file is foreign or truncated.
    """
    path = Path(folder)
    if not path.is_dir():
        if path.is_absolute() or str(folder).startswith((".", "~")) or str(folder).count("/") > 1 or path.exists():
            raise ModelError(f"There is no checkpoint folder {folder}.")
        return _load_transformers(str(folder), classes, random)
    _check_folder(path)
    if (path / _OWN_FILE).is_file():
        return _load_own(path, module)
    return _load_transformers(str(path), classes, random)


def _load_transformers(source: str, classes: tuple[str, ...] | None, random: bool) -> VisionModel:
    from transformers import AutoConfig, AutoImageProcessor, AutoModelForImageClassification

    with no_hub_noise():
        try:
            config = AutoConfig.from_pretrained(source, trust_remote_code=False)
            own = tuple(str(config.id2label[index]) for index in range(len(config.id2label)))
            if classes is not None and classes != own:
                config.id2label = dict(enumerate(classes))
                config.label2id = {name: index for index, name in enumerate(classes)}
            if random:
                network = AutoModelForImageClassification.from_config(config, trust_remote_code=False)
            else:
                network = AutoModelForImageClassification.from_pretrained(
                    source, config=config, use_safetensors=True, trust_remote_code=False, ignore_mismatched_sizes=True
                )
                if classes is not None and classes != own:
                    _fresh_head(network, len(classes))
        except SafetensorError as error:
            raise ArtifactError(f"The weights in {source} are truncated or foreign. Get them again.") from error
        except (OSError, ValueError, RuntimeError, KeyError, AttributeError, TypeError) as error:
            reason = str(error).splitlines()[0][:160] if str(error) else type(error).__name__
            raise ModelError(f"{source} is not an image classifier that can be loaded here: {reason}") from error
        try:
            processor = AutoImageProcessor.from_pretrained(source, trust_remote_code=False)
        except (OSError, ValueError, KeyError, ImportError):
            processor = None
    return vision_model(network.float(), source, _input_size(network.config, processor), processor)


def _fresh_head(network: nn.Module, classes: int) -> None:
    head = network.get_submodule(head_of(network, classes))
    assert isinstance(head, (nn.Linear, nn.Conv2d))
    head.reset_parameters()


def _input_size(config: Any, processor: Any) -> int:
    settings = getattr(config, "pretrained_cfg", None) or {}
    if settings.get("input_size"):
        return int(settings["input_size"][-1])
    size = getattr(processor, "crop_size", None) or getattr(processor, "size", None)
    for name in ("height", "shortest_edge"):
        if size is not None and name in size:
            return int(size[name])
    image_size = getattr(config, "image_size", 224)
    return int(image_size if isinstance(image_size, int) else image_size[-1])


def _processor_for(model: VisionModel) -> Any:
    """An image processor that repeats `VisionModel.preprocess` in plain transformers."""
    from PIL.Image import Resampling
    from transformers import ViTImageProcessor

    size = {"height": model.input_size, "width": model.input_size}
    return ViTImageProcessor(
        size=size, image_mean=list(model.mean), image_std=list(model.std), resample=Resampling.BICUBIC
    )


def _load_own(folder: Path, module: nn.Module | None) -> VisionModel:
    from spellward.models.specs import load_model

    record = json.loads((folder / _OWN_FILE).read_text(encoding="utf-8"))
    if not isinstance(record, dict) or record.get("format") != _OWN_FORMAT:
        raise ArtifactError(f"{folder / _OWN_FILE} is from another version or not Spellward's.")
    spec = str(record["spec"])
    if spec == "module" and module is None:
        raise ModelError(f"{folder} was made from a module in memory; load it with `load_checkpoint(..., module=...)`.")
    source: Any = module if spec == "module" else spec.split("?")[0] + "?random"
    model = load_model(source, tuple(record["classes"]), int(record["input_size"]))
    model.spec, model.mean, model.std = spec, tuple(record["mean"]), tuple(record["std"])
    try:
        load_tensors(model.network, str(folder / WEIGHTS_FILE))
    except (RuntimeError, SafetensorError) as error:
        raise ArtifactError(f"{folder / WEIGHTS_FILE} does not fit {spec}, or is truncated.") from error
    return model


def _check_folder(folder: Path) -> None:
    """Refuses what should not be opened at all: pickles alone, code, oversized or broken JSON, truncated weights."""
    files = {path.name for path in folder.iterdir()}
    if not any(name.endswith(".safetensors") for name in files):
        if any(name.endswith((".bin", ".pt", ".pth", ".ckpt", ".pkl")) for name in files):
            raise ArtifactError(f"{folder} has its weights in a pickle, which can run code. Convert it to safetensors.")
        raise ArtifactError(f"{folder} has no weights (*.safetensors). Name a checkpoint folder.")
    for name in ("config.json", _OWN_FILE):
        path = folder / name
        if not path.is_file():
            continue
        if path.stat().st_size > _MAX_JSON:
            raise ArtifactError(f"{path} is too large to be a model config.")
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
        except (ValueError, RecursionError) as error:
            raise ArtifactError(f"{path} is not valid JSON; it is truncated or foreign.") from error
        if isinstance(content, dict) and content.get("auto_map"):
            raise ModelError(f"{path} asks to run code that comes with the model, which Spellward never does.")
    for name in sorted(files):
        if name.endswith(".safetensors"):
            try:
                with safe_open(folder / name, framework="pt") as file:
                    file.keys()
            except (SafetensorError, OSError) as error:
                raise ArtifactError(f"{folder / name} is truncated or not safetensors. Get it again.") from error


@contextlib.contextmanager
def _safetensors_errors(folder: Path) -> Iterator[None]:
    """Safetensors wraps what the operating system said in an error of its own."""
    try:
        yield
    except SafetensorError as error:
        if "No space" in str(error) or "quota" in str(error):
            raise StorageError(f"Cannot write {folder}: the disk is full. What was finished before is kept.") from error
        raise


def state_digest(network: nn.Module) -> str:
    """sha256 over names and values of all tensors: two networks with the same digest are the same."""
    import hashlib

    digest = hashlib.sha256()
    for name, tensor in sorted(network.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
