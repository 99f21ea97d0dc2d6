"""Networks of transformers: loaded whole or with a fresh head, and wrapped with what they say of themselves."""

from __future__ import annotations

import contextlib
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from torch import nn

from spellward.errors import ArtifactError, ModelError
from spellward.hub import quiet_hub
from spellward.models.grouping import EXTRA
from spellward.models.inspection import INDEX_FILE, WEIGHTS_FILE, check_config
from spellward.models.instances import INSTANCES, InstanceModel, output_names, tells_instances
from spellward.models.mask_queries import CLASS_PREDICTOR, MODEL_TYPES, ClassQueries, ObjectQueries
from spellward.models.object_networks import ObjectNetwork
from spellward.models.processing import IMAGENET_MEAN, IMAGENET_STD, check_channel_order, named_side, normalisation
from spellward.models.segmentation import SEGMENTATION, SegmentationModel
from spellward.models.vision import CLASSIFICATION, VisionModel, head_of

_MISSING_SHARE = 0.1
_ALIGNMENT = 64  # bytes, of PyTorch's own allocator
_SEGMENTERS = "ForSemanticSegmentation"
_TASK = "spellward_task"
"""Field of the config of a mask transformer, which does several tasks with one network."""


@contextlib.contextmanager
def no_hub_noise() -> Iterator[None]:
    """Keeps transformers' warnings (fresh heads, say), progress bars and the Hub's new tries off the terminal."""
    from transformers.utils import logging as their_logging

    level, active = their_logging.get_verbosity(), their_logging.is_progress_bar_enabled()
    their_logging.set_verbosity(logging.CRITICAL)
    their_logging.disable_progress_bar()
    try:
        with quiet_hub():
            yield
    finally:
        their_logging.set_verbosity(level)
        if active:
            their_logging.enable_progress_bar()


def vision_model(network: Any, spec: str, input_size: int, processor: Any = None) -> VisionModel:
    """Wraps a transformers classifier or segmenter; classes, and whether it tells instances, come from its config."""
    labels = network.config.id2label
    outputs = tuple(str(labels[index]) for index in range(len(labels)))
    mean, std = normalisation(network.config, processor)
    if network.config.model_type in MODEL_TYPES:
        queries = ObjectQueries if getattr(network.config, _TASK, None) == INSTANCES else ClassQueries
        return segmentation_model(queries(network), spec, outputs, input_size, mean, std)
    if type(network).__name__.endswith(_SEGMENTERS):
        return segmentation_model(network, spec, outputs, input_size, mean, std)
    return VisionModel(network, spec, outputs, input_size, mean, std, head_of(network, len(outputs)))


def segmentation_model(
    network: nn.Module,
    spec: str,
    outputs: tuple[str, ...],
    input_size: int,
    mean: Any = IMAGENET_MEAN,
    std: Any = IMAGENET_STD,
) -> SegmentationModel:
    """Wraps a segmentation network by the names of its outputs: an `InstanceModel` where they are an instance's."""
    head = head_of(network, len(outputs))
    if isinstance(network, ObjectNetwork):
        return InstanceModel(network, spec, outputs, input_size, mean, std, head)
    if tells_instances(outputs):
        return InstanceModel(network, spec, outputs[: -len(EXTRA)], input_size, mean, std, head)
    return SegmentationModel(network, spec, outputs, input_size, mean, std, head)


def load_pretrained(source: str, classes: tuple[str, ...] | None, random: bool, task: str | None) -> VisionModel:
    """Loads a network of transformers, with the names of its classes and the processing of its images.

    Args:
        source: A checkpoint folder or Hub id.
        classes, random, task: See `load_checkpoint`.

    Raises:
        ModelError: If it is no network for the task, or needs code of its own or its colours swapped.
        ArtifactError: If its weights are not all there, or are foreign.
    """
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
            check_config(f"config.json of {source}", config.to_dict())
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
            if isinstance(error, OSError) and "connect" in reason:
                raise ModelError(
                    f"{source} is no folder, and the Hub cannot be reached. Check the name and the network, or give a "
                    "checkpoint folder."
                ) from error
            what = "an image classifier" if kind is AutoModelForImageClassification else "a segmentation network"
            raise ModelError(f"{source} is not {what} that can be loaded here: {reason}") from error
        try:
            processor = AutoImageProcessor.from_pretrained(source, trust_remote_code=False)
        except (OSError, ValueError, KeyError, ImportError):
            processor = None
    if not random:
        check_channel_order(source, processor)
    side = named_side(network.config, processor)
    if processor is None and not random and not getattr(network.config, "pretrained_cfg", None):
        warnings.warn(
            f"{source} does not say how it takes images, so it is given {side} px, normalised as for ImageNet. If it "
            "was trained otherwise, save its image processor beside it (preprocessor_config.json).",
            stacklevel=2,
        )
    return vision_model(_aligned(network.float()), source, side, processor)


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
