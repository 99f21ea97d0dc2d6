"""Segmentation networks by spec: a UperNet decoder on any timm backbone, and torchvision's own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn

from spellward.errors import ModelError
from spellward.models import bundled, mask_rcnn
from spellward.models.grouping import EXTRA
from spellward.models.instances import tells_instances
from spellward.models.pretrained import segmentation_model, vision_model
from spellward.models.timm_names import pretrained_timm, timm_architecture
from spellward.models.vision import VisionModel

_HIDDEN = 64
_POOLS = (1, 2)
_STAGES = 4
_SIDE = 224


def _bundled(name: str, classes: Sequence[str], input_size: int | None, random: bool) -> VisionModel:
    size = input_size or bundled.INPUT_SIZE
    network = _upernet(bundled.ARCHITECTURE, classes)
    if not random:
        import timm

        whole = timm.create_model(bundled.ARCHITECTURE, pretrained=False)
        with torch.no_grad():
            bundled.load_bundled_weights(whole)
        _fill(network.backbone, whole)
    network.config.pretrained_cfg = {"input_size": [3, size, size], "mean": bundled.MEAN, "std": bundled.STD}
    return vision_model(network, name, size)


def _timm(name: str, classes: Sequence[str], input_size: int | None, random: bool) -> VisionModel:
    import timm

    architecture = timm_architecture(name)
    settings = timm.get_pretrained_cfg(architecture)
    size = input_size or settings.input_size[-1]
    network = _upernet(architecture.split(".")[0], classes)
    if not random:
        _fill(network.backbone, pretrained_timm(architecture))
    network.config.pretrained_cfg = {"input_size": [3, size, size], "mean": settings.mean, "std": settings.std}
    return vision_model(network, name, size)


def _upernet(architecture: str, classes: Sequence[str]) -> Any:
    """A small UperNet (arXiv 1807.10221) that plain transformers loads, on the features of a timm model."""
    from transformers import TimmBackboneConfig, UperNetConfig, UperNetForSemanticSegmentation

    labels = dict(enumerate(classes))
    try:
        # As a dict, since the config takes any field but some versions of its type hints do not say so.
        fields: dict[str, Any] = {
            "backbone": architecture,
            "features_only": True,
            "use_pretrained_backbone": False,
            "out_indices": _stages(architecture),
        }
        backbone = TimmBackboneConfig(**fields)
        config = UperNetConfig(
            backbone_config=backbone,
            hidden_size=_HIDDEN,
            pool_scales=list(_POOLS),
            use_auxiliary_head=False,
            id2label=labels,
            label2id={name: index for index, name in labels.items()},
        )
        return UperNetForSemanticSegmentation(config)
    except (TypeError, ValueError, RuntimeError, AssertionError, AttributeError) as error:
        raise ModelError(
            f"timm/{architecture} gives no pyramid of features, so it cannot carry a segmentation. Take a "
            "convolutional network, a hierarchical transformer, or a segmentation checkpoint."
        ) from error


def _stages(architecture: str) -> tuple[int, ...]:
    """The last four levels of a pyramid: for most networks those at a 4th to a 32nd of the side."""
    import timm

    levels = timm.create_model(architecture, pretrained=False, features_only=True).feature_info.reduction()
    if len(set(levels)) < _STAGES:
        raise ValueError("no pyramid")
    return tuple(range(len(levels) - _STAGES, len(levels)))


def _fill(backbone: nn.Module, whole: nn.Module) -> None:
    """Copies what a backbone shares with the whole network it was cut from.

    Raises:
        ModelError: If names or shapes do not fit.
    """
    inner: Any = backbone._backbone
    theirs, ours = whole.state_dict(), inner.state_dict()
    for name in ours:
        # Some networks are flattened when they are cut: `stages.0` becomes `stages_0`.
        source = name if name in theirs else name.replace("_", ".", 1)
        if source not in theirs or theirs[source].shape != ours[name].shape:
            raise ModelError(f"The pretrained weights have no {name} of that shape; add '?random' or take another one.")
        ours[name] = theirs[source]
    inner.load_state_dict(ours)


def _torchvision(name: str, classes: Sequence[str], input_size: int | None, random: bool) -> VisionModel:
    from torchvision import models

    architecture = name.removeprefix("torchvision/")
    if architecture in mask_rcnn.NAMES:
        return _mask_rcnn(name, classes, input_size or _SIDE, random)
    known = models.list_models(module=models.segmentation)
    if architecture not in known:
        raise ModelError(
            f"torchvision has no segmentation network {architecture!r}; there are "
            f"{', '.join([*known, *mask_rcnn.NAMES])}."
        )
    try:
        weights = None if random else "DEFAULT"
        network = models.get_model(
            architecture, weights=weights, weights_backbone=None, **({"num_classes": len(classes)} if random else {})
        )
    except Exception as error:
        raise ModelError(f"The weights of {name} cannot be fetched. Go online once, or add '?random'.") from error
    if not random:
        _replace_outputs(network, len(classes))
    return segmentation_model(network, name, tuple(classes), input_size or _SIDE)


def _mask_rcnn(name: str, outputs: Sequence[str], size: int, random: bool) -> VisionModel:
    if not tells_instances(outputs):
        raise ModelError(f"{name} tells objects apart, which masks of classes alone do not. Add --instances.")
    classes = tuple(outputs[: -len(EXTRA)])
    network = mask_rcnn.build(name.removeprefix("torchvision/"), len(classes), size, random)
    return segmentation_model(network, name, classes, size)


def _replace_outputs(network: nn.Module, classes: int) -> None:
    """Fresh 1x1 convolutions in place of those that gave the pretrained classes."""
    layers = {name: one for name, one in network.named_modules() if isinstance(one, nn.Conv2d)}
    outputs = network.get_submodule("classifier")
    last = [one for one in outputs.modules() if isinstance(one, nn.Conv2d)][-1].out_channels
    for name, layer in layers.items():
        if layer.out_channels == last and layer.kernel_size == (1, 1) and not name.startswith("backbone"):
            parent, _, child = name.rpartition(".")
            setattr(network.get_submodule(parent), child, nn.Conv2d(layer.in_channels, classes, kernel_size=1))


Loader = Callable[[str, Sequence[str], int | None, bool], VisionModel]
SEGMENTERS: dict[str, Loader] = {"bundled": _bundled, "timm/": _timm, "torchvision/": _torchvision}
