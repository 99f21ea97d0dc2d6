"""From a model spec to a model: bundled, timm, torchvision, Hugging Face, or a module in memory."""

from __future__ import annotations

import contextlib
import copy
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torchvision.models.detection import MaskRCNN as TorchvisionMaskRCNN

from spellward.errors import ModelError
from spellward.models import bundled
from spellward.models.checkpoint import load_checkpoint
from spellward.models.instances import INSTANCES, output_names
from spellward.models.mask_rcnn import MaskRCNN
from spellward.models.object_networks import ObjectNetwork
from spellward.models.pretrained import segmentation_model, vision_model
from spellward.models.processing import IMAGENET_MEAN, IMAGENET_STD, timm_settings
from spellward.models.segmenters import SEGMENTERS
from spellward.models.timm_names import pretrained_timm, timm_architecture
from spellward.models.vision import CLASSIFICATION, VisionModel, head_of

BUNDLED, PRIVATE, RANDOM = "bundled", "a private model", "random weights"
_HUB_ID = re.compile(r"[\w-]+/[\w.-]+")


def public_name(spec: Any) -> str:
    """What a model spec is called where others read it: a folder of the owner's, or a module, is not named."""
    name, _, option = str(spec).partition("?")
    listed = name == BUNDLED or name.startswith(("timm/", "torchvision/"))
    known = isinstance(spec, str) and (listed or (_HUB_ID.fullmatch(name) is not None and not Path(name).exists()))
    return str(spec) if known else RANDOM if option == "random" else PRIVATE


def load_model(
    spec: str | Path | nn.Module,
    classes: Sequence[str],
    input_size: int | None = None,
    seed: int = 0,
    task: str = "classification",
) -> VisionModel:
    """Loads a pretrained model with a fresh head for the given classes.

    Args:
        spec: "bundled" (EfficientNet-Lite0, ImageNet), "timm/NAME", "torchvision/NAME", a Hub id or local checkpoint
            folder, or a module that gives logits, of which a copy in float32 is taken. "?random" at the end leaves
            out the pretrained weights.
        classes: Names of the classes; for segmentation the first one is the background.
        input_size: Side of the images it will see; the model's own if not given.
        seed: Of the fresh head.
        task: "classification", or "segmentation": a `SegmentationModel`, on a UperNet decoder where the spec names a
            backbone alone; "instances" gives an `InstanceModel` on the same networks.

    Raises:
        ModelError: If the model is not there, or does not fit the classes, or these are no names.
    """
    if isinstance(classes, str) or not isinstance(classes, Iterable):
        raise ModelError(f"Classes are a list of names, such as ['cat', 'dog']; got {classes!r}.")
    classes = tuple(classes)
    if len(classes) < 2:
        raise ModelError(f"A classifier needs at least two classes; got {len(classes)}.")
    torch.manual_seed(seed)
    if isinstance(spec, nn.Module):
        # A copy, as the caller's own is not trained and still is the public base; images come to it in float32.
        spec = copy.deepcopy(spec).float()
        size = input_size or 224
        if task != CLASSIFICATION:
            return _from_module(spec, classes, size, task)
        head = head_of(spec, len(classes))
        return VisionModel(spec, "module", tuple(classes), size, IMAGENET_MEAN, IMAGENET_STD, head)
    text = _lasting(str(spec))
    name, _, option = text.partition("?")
    if option not in ("", "random"):
        raise ModelError(f"Unknown option {option!r} in {text!r}; '?random' is the only one.")
    for prefix, loader in (LOADERS if task == CLASSIFICATION else SEGMENTERS).items():
        if name == prefix or (prefix.endswith("/") and name.startswith(prefix)):
            model = loader(name, output_names(classes, task), input_size, option == "random")
            break
    else:
        model = _from_transformers(name, classes, input_size, option == "random", task)
    if option:  # what is made from this spec again has to come out the same
        model.spec = text
    return model


def _lasting(spec: str) -> str:
    """The same spec from any working directory: a folder in it is named from the root, and so is known for one."""
    name, mark, option = spec.partition("?")
    listed = name == BUNDLED or name.startswith(("timm/", "torchvision/"))
    with contextlib.suppress(OSError, RuntimeError):  # too long for a path, or a home that nobody has
        if not listed and Path(name).expanduser().is_dir():
            return f"{Path(name).expanduser().absolute()}{mark}{option}"
    return spec


def _from_module(module: nn.Module, classes: Sequence[str], size: int, task: str) -> VisionModel:
    if isinstance(module, TorchvisionMaskRCNN):
        module = MaskRCNN(module, len(classes), size)
    if not isinstance(module, ObjectNetwork):
        return segmentation_model(module, "module", output_names(classes, task), size)
    if task != INSTANCES:
        raise ModelError("This module tells objects apart, which masks of classes alone do not. Ask for instances.")
    return segmentation_model(module, "module", tuple(classes), size)


def _from_bundled(name: str, classes: Sequence[str], input_size: int | None, random: bool) -> VisionModel:
    size = input_size or bundled.INPUT_SIZE
    network = _timm_wrapper(bundled.ARCHITECTURE, classes, size, bundled.MEAN, bundled.STD)
    if not random:
        bundled.load_bundled_weights(network.timm_model)
    return vision_model(network, BUNDLED, size)


def _from_timm(name: str, classes: Sequence[str], input_size: int | None, random: bool) -> VisionModel:
    import timm

    architecture = timm_architecture(name)
    settings = timm.get_pretrained_cfg(architecture)
    mean, std, own_size = settings.mean, settings.std, settings.input_size[-1]
    size = input_size or own_size
    network = _timm_wrapper(architecture, classes, size, mean, std)
    if not random:
        donor = pretrained_timm(architecture, num_classes=len(classes), **_sized(architecture, size))
        network.timm_model.load_state_dict(donor.state_dict())
    return vision_model(network, name, size)


def _timm_wrapper(architecture: str, classes: Sequence[str], size: int, mean: Any, std: Any) -> Any:
    """A TimmWrapper whose saved processor does what `VisionModel.preprocess` does: squash, bicubic, normalise."""
    from transformers import TimmWrapperConfig, TimmWrapperForImageClassification

    labels = dict(enumerate(classes))
    # As a dict, since the config takes any field but some versions of its type hints do not say so.
    fields: dict[str, Any] = {
        "architecture": architecture.split(".")[0],
        "id2label": labels,
        "label2id": {name: index for index, name in labels.items()},
        "pretrained_cfg": {"architecture": architecture.split(".")[0], **timm_settings(size, mean, std)},
        "model_args": _sized(architecture, size) or None,
    }
    config = TimmWrapperConfig(**fields)
    try:
        return TimmWrapperForImageClassification(config)
    except (TypeError, ValueError, RuntimeError, AssertionError) as error:
        raise ModelError(f"timm/{architecture} cannot be built for images of side {size}; try its own size.") from error


def _sized(architecture: str, size: int) -> dict[str, Any]:
    """Models that are built for one image size (transformers, mixers) have to be told; convolutions take any."""
    import timm

    settings = timm.get_pretrained_cfg(architecture.split(".")[0])
    fixed = settings is not None and settings.fixed_input_size and settings.input_size[-1] != size
    return {"img_size": size} if fixed else {}


def _from_torchvision(name: str, classes: Sequence[str], input_size: int | None, random: bool) -> VisionModel:
    from torchvision import models

    architecture = name.removeprefix("torchvision/")
    if architecture not in models.list_models(module=models):
        raise ModelError(
            f"torchvision has no classifier {architecture!r}; `torchvision.models.list_models()` lists them."
        )
    if random:
        network = models.get_model(architecture, weights=None, num_classes=len(classes))
    else:
        try:
            network = models.get_model(architecture, weights="DEFAULT")
        except Exception as error:
            raise ModelError(f"The weights of {name} cannot be fetched. Go online once, or add '?random'.") from error
        _replace_head(network, len(classes))
    size = input_size or 224
    return VisionModel(network, name, tuple(classes), size, IMAGENET_MEAN, IMAGENET_STD, head_of(network, len(classes)))


def _replace_head(network: nn.Module, classes: int) -> None:
    linear = [name for name, module in network.named_modules() if isinstance(module, (nn.Linear, nn.Conv2d))]
    parent_name, _, child = linear[-1].rpartition(".")
    parent, old = network.get_submodule(parent_name), network.get_submodule(linear[-1])
    new: nn.Module
    if isinstance(old, nn.Linear):
        new = nn.Linear(old.in_features, classes, bias=old.bias is not None)
    else:
        assert isinstance(old, nn.Conv2d)
        new = nn.Conv2d(old.in_channels, classes, kernel_size=1)
    setattr(parent, child, new)


def _from_transformers(
    name: str, classes: Sequence[str], input_size: int | None, random: bool, task: str
) -> VisionModel:
    model = load_checkpoint(name, classes=tuple(classes), random=random, task=task)
    model.input_size = input_size or model.input_size
    return model


Loader = Callable[[str, Sequence[str], int | None, bool], VisionModel]
LOADERS: dict[str, Loader] = {
    BUNDLED: _from_bundled,
    "timm/": _from_timm,
    "torchvision/": _from_torchvision,
}
