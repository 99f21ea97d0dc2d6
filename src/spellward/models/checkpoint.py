"""Checkpoint folders: ordinary ones that `transformers` loads, read with care since others may have made them."""

from __future__ import annotations

import contextlib
import hashlib
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
from spellward.models import mask_rcnn
from spellward.models.grouping import EXTRA
from spellward.models.inspection import INDEX_FILE, OWN_FILE, OWN_FORMAT, check_folder, read_own_record
from spellward.models.instances import INSTANCES, InstanceModel, output_names, tells_instances
from spellward.models.mask_queries import CLASS_PREDICTOR, MODEL_TYPES, ClassQueries, ObjectQueries
from spellward.models.object_networks import ObjectNetwork
from spellward.models.segmentation import SegmentationModel
from spellward.models.vision import VisionModel, head_of

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
WEIGHTS_FILE = "model.safetensors"
_DISK_FULL = ("No space", "quota", "File too large", "os error 27", "os error 28", "os error 122", "iostream error")
_MISSING_SHARE = 0.1
_ALIGNMENT = 64  # bytes, of PyTorch's own allocator
CLASSIFICATION, SEGMENTATION = "classification", "segmentation"
_SEGMENTERS = "ForSemanticSegmentation"
_TASK = "spellward_task"
"""Field of the config of a mask transformer, which does several tasks with one network."""


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
    """Wraps a transformers classifier or segmenter; classes, and whether it tells instances, come from its config."""
    labels = network.config.id2label
    outputs = tuple(str(labels[index]) for index in range(len(labels)))
    settings = getattr(network.config, "pretrained_cfg", None) or {}
    mean = tuple(settings.get("mean") or getattr(processor, "image_mean", None) or IMAGENET_MEAN)
    std = tuple(settings.get("std") or getattr(processor, "image_std", None) or IMAGENET_STD)
    extra = {"processor": processor}
    if network.config.model_type in MODEL_TYPES:
        queries = ObjectQueries if getattr(network.config, _TASK, None) == INSTANCES else ClassQueries
        return segmentation_model(queries(network), spec, outputs, input_size, mean, std, extra)
    if type(network).__name__.endswith(_SEGMENTERS):
        return segmentation_model(network, spec, outputs, input_size, mean, std, extra)
    return VisionModel(network, spec, outputs, input_size, mean, std, head_of(network, len(outputs)), extra)


def segmentation_model(
    network: nn.Module,
    spec: str,
    outputs: tuple[str, ...],
    input_size: int,
    mean: Any = IMAGENET_MEAN,
    std: Any = IMAGENET_STD,
    extra: dict[str, Any] | None = None,
) -> SegmentationModel:
    """Wraps a segmentation network by the names of its outputs: an `InstanceModel` where they are an instance's."""
    head = head_of(network, len(outputs))
    if isinstance(network, ObjectNetwork):
        return InstanceModel(network, spec, outputs, input_size, mean, std, head, extra or {})
    if tells_instances(outputs):
        return InstanceModel(network, spec, outputs[: -len(EXTRA)], input_size, mean, std, head, extra or {})
    return SegmentationModel(network, spec, outputs, input_size, mean, std, head, extra or {})


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
            with no_hub_noise():
                network.save_pretrained(folder)
                if network.config.model_type != "timm_wrapper":  # that one keeps its processing in config.json
                    (model.extra.get("processor") or _processor_for(model)).save_pretrained(folder)
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
        return _load_transformers(name, classes, random, task)
    check_folder(path)
    if (path / OWN_FILE).is_file():
        return _load_own(path, module)
    return _load_transformers(str(path), classes, random, task)


def _load_transformers(source: str, classes: tuple[str, ...] | None, random: bool, task: str | None) -> VisionModel:
    from transformers import (
        AutoConfig,
        AutoImageProcessor,
        AutoModelForImageClassification,
        AutoModelForSemanticSegmentation,
        AutoModelForUniversalSegmentation,
    )

    kind: Any = AutoModelForImageClassification
    with no_hub_noise():
        try:
            config = AutoConfig.from_pretrained(source, trust_remote_code=False)
            made_for = " ".join(config.architectures or [])
            if config.model_type in MODEL_TYPES and task != CLASSIFICATION:
                kind = AutoModelForUniversalSegmentation
                if task is not None:
                    setattr(config, _TASK, task)
            elif task in (SEGMENTATION, INSTANCES) or (task is None and made_for.endswith(_SEGMENTERS)):
                kind = AutoModelForSemanticSegmentation
                classes = classes if classes is None or task is None else output_names(classes, task)
            own = tuple(str(config.id2label[index]) for index in range(len(config.id2label)))
            fresh = classes is not None and classes != own
            if classes is not None and fresh:
                config.id2label = dict(enumerate(classes))
                config.label2id = {name: index for index, name in enumerate(classes)}
            if random:
                network = kind.from_config(config, trust_remote_code=False)
            else:
                network, found = kind.from_pretrained(
                    source,
                    config=config,
                    use_safetensors=True,
                    trust_remote_code=False,
                    ignore_mismatched_sizes=True,
                    output_loading_info=True,
                )
                _check_complete(source, network, found, len(classes or own), fresh)
                if classes is not None and fresh:
                    _fresh_head(network, len(classes))
        except SafetensorError as error:
            raise ArtifactError(f"The weights in {source} are truncated or foreign. Get them again.") from error
        except (OSError, ValueError, RuntimeError, LookupError, AttributeError, TypeError, ImportError) as error:
            reason = str(error).splitlines()[0][:160] if str(error) else type(error).__name__
            what = "an image classifier" if kind is AutoModelForImageClassification else "a segmentation network"
            raise ModelError(f"{source} is not {what} that can be loaded here: {reason}") from error
        try:
            processor = AutoImageProcessor.from_pretrained(source, trust_remote_code=False)
        except (OSError, ValueError, KeyError, ImportError):
            processor = None
    return vision_model(_aligned(network.float()), source, _input_size(network.config, processor), processor)


def _aligned(network: nn.Module) -> nn.Module:
    """Moves weights to where PyTorch would have put them.

    Safetensors leaves them where the file happens to be mapped, and kernels sum in another order at another alignment:
    the same model would answer with other last bits, now and then, and a verdict would not repeat bit for bit.
    """
    for tensor in (*network.parameters(), *network.buffers()):
        if tensor.data_ptr() % _ALIGNMENT:
            tensor.data = tensor.data.clone()
    return network


def _check_complete(source: str, network: nn.Module, found: dict[str, Any], classes: int, fresh: bool) -> None:
    """Refuses weights that do not belong to the model: transformers would fill the gaps with random numbers.

    With a fresh head a little may be missing: pretraining without labels leaves out the last norm as well.
    """
    gaps = {*found["missing_keys"], *(name for name, *_ in found["mismatched_keys"])}
    gaps = {name for name in gaps if not name.endswith("num_batches_tracked")}
    fresh_parts = (_head_in(network, classes), "decode_head", "auxiliary_head", "criterion")
    sizes = {name: tensor.numel() for name, tensor in network.state_dict().items() if not name.startswith(fresh_parts)}
    share = sum(sizes.get(name, 0) for name in gaps) / max(1, sum(sizes.values()))
    if (gaps and not fresh) or share > _MISSING_SHARE:
        file = Path(source) / (INDEX_FILE if (Path(source) / INDEX_FILE).is_file() else WEIGHTS_FILE)
        place = str(file) if Path(source).is_dir() else source
        raise ArtifactError(
            f"The weights in {place} belong to another model or are not all there: {len(gaps)} are missing or have "
            f"another shape, such as {sorted(gaps)[0]}. Get them again."
        )


def _fresh_head(network: nn.Module, classes: int) -> None:
    head = network.get_submodule(_head_in(network, classes))
    assert isinstance(head, (nn.Linear, nn.Conv2d))
    head.reset_parameters()


def _head_in(network: Any, classes: int) -> str:
    """`head_of` a transformers network, which a mask transformer calls `class_predictor`: it has one output more."""
    return CLASS_PREDICTOR if network.config.model_type in MODEL_TYPES else head_of(network, classes)


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
    from transformers import Mask2FormerImageProcessor, SegformerImageProcessor, ViTImageProcessor

    size = {"height": model.input_size, "width": model.input_size}
    kind: Any = ViTImageProcessor if model.task == CLASSIFICATION else SegformerImageProcessor
    if isinstance(model.network, (ClassQueries, ObjectQueries)):
        kind = Mask2FormerImageProcessor
    return kind(size=size, image_mean=list(model.mean), image_std=list(model.std), resample=Resampling.BICUBIC)


def _load_own(folder: Path, module: nn.Module | None) -> VisionModel:
    from spellward.models.specs import load_model

    record = read_own_record(folder)
    spec: str = record["spec"]
    if spec == "module" and module is None:
        raise ModelError(f"{folder} was made from a module in memory; load it with `load_checkpoint(..., module=...)`.")
    source: Any = module if spec == "module" else spec.split("?")[0] + "?random"
    task = record.get("task", CLASSIFICATION)
    model = load_model(source, tuple(record["classes"]), record["input_size"], task=task)
    model.spec, model.mean, model.std = spec, tuple(record["mean"]), tuple(record["std"])
    try:
        if isinstance(model.network, mask_rcnn.MaskRCNN):
            with safe_open(folder / WEIGHTS_FILE, framework="pt") as file:
                mask_rcnn.fit_norms(model.network, list(file.keys()))
        load_tensors(model.network, str(folder / WEIGHTS_FILE))
    except (RuntimeError, SafetensorError) as error:
        raise ArtifactError(f"{folder / WEIGHTS_FILE} does not fit {spec}, or is truncated.") from error
    return model


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


def state_digest(network: nn.Module) -> str:
    """sha256 over names and values of all tensors: two networks with the same digest are the same."""
    digest = hashlib.sha256()
    for name, tensor in sorted(network.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
