"""Mask R-CNN (He et al., arXiv 1703.06870) of torchvision as an `ObjectNetwork`."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torchvision.ops import masks_to_boxes
from torchvision.ops.misc import FrozenBatchNorm2d

from spellward.errors import ModelError
from spellward.models.grouping import Objects
from spellward.models.object_networks import ObjectNetwork, kept_modes, objects_of, without_overlap

NAMES = ("maskrcnn_resnet50_fpn", "maskrcnn_resnet50_fpn_v2")


class MaskRCNN(ObjectNetwork):
    """A torchvision Mask R-CNN that takes images normalised already, at their own size.

    Args:
        network: `torchvision.models.detection.MaskRCNN`.
        classes: K, with the background.
        size: Side of its images.
    """

    head: ClassVar[str] = "network.roi_heads.box_predictor.cls_score"

    def __init__(self, network: Any, classes: int, size: int) -> None:
        super().__init__()
        self.network, self.classes = network, classes
        transform = network.transform
        # `VisionModel.preprocess` has done both already.
        transform.min_size, transform.max_size = (size,), 2 * size
        transform.image_mean, transform.image_std = [0.0] * 3, [1.0] * 3

    def loss(self, pixels: Tensor, truth: Tensor) -> Tensor:
        """Sum of the losses of proposals, classes, boxes and masks."""
        targets = []
        for masks, kinds in objects_of(truth):
            targets.append({"boxes": _boxes(masks), "labels": kinds, "masks": masks.to(torch.uint8)})
        with torch.autocast(pixels.device.type, enabled=False):
            losses: dict[str, Tensor] = self._learning(list(pixels.float()), targets)
        return torch.stack(list(losses.values())).sum()

    def _learning(self, images: list[Tensor], targets: list[dict[str, Tensor]]) -> Any:
        """The losses, which torchvision gives in train mode alone; the norms stay in the mode they are in."""
        with kept_modes(self.network):
            for module in (self.network, self.network.rpn, self.network.roi_heads, self.network.transform):
                module.training = True
            return self.network(images, targets)

    def find(self, pixels: Tensor) -> list[Objects]:
        """Detections in the order of their scores, one owner for each pixel."""
        with torch.autocast(pixels.device.type, enabled=False):
            found = self.network(list(pixels))
        return [without_overlap(one["masks"][:, 0], one["labels"], one["scores"]) for one in found]


def build(name: str, classes: int, size: int, random: bool) -> MaskRCNN:
    """Builds a Mask R-CNN for so many classes.

    Args:
        name: One of `NAMES`.
        classes: K, with the background.
        size: Side of its images.
        random: Leaves out the pretrained weights.

    Raises:
        ModelError: If the weights cannot be fetched.
    """
    from torchvision import models

    if random:
        network: Any = models.get_model(name, weights=None, weights_backbone=None, num_classes=classes)
        return MaskRCNN(network, classes, size)
    try:
        network = models.get_model(name, weights="DEFAULT", weights_backbone=None)
    except Exception as error:
        reason = f"The weights of torchvision/{name} cannot be fetched. Go online once, or add '?random'."
        raise ModelError(reason) from error
    _replace_predictors(network, classes)
    return MaskRCNN(network, classes, size)


def fit_norms(model: MaskRCNN, names: list[str]) -> None:
    """Makes the batch norms of a network built without weights those of the one whose tensors are to be loaded.

    Pretrained, the first of `NAMES` has norms that never move and that count no batches.

    Args:
        model: Changed in place.
        names: Of the tensors.
    """
    if not any(name.endswith("num_batches_tracked") for name in names):
        _freeze_norms(model.network)


def _freeze_norms(module: nn.Module) -> None:
    for name, child in module.named_children():
        if isinstance(child, nn.BatchNorm2d):
            setattr(module, name, FrozenBatchNorm2d(child.num_features, eps=0.0))
        else:
            _freeze_norms(child)


def _replace_predictors(network: Any, classes: int) -> None:
    from torchvision.models.detection.faster_rcnn import FastRCNNPredictor
    from torchvision.models.detection.mask_rcnn import MaskRCNNPredictor

    heads = network.roi_heads
    heads.box_predictor = FastRCNNPredictor(heads.box_predictor.cls_score.in_features, classes)
    channels = heads.mask_predictor.conv5_mask.in_channels
    heads.mask_predictor = MaskRCNNPredictor(channels, heads.mask_predictor.conv5_mask.out_channels, classes)


def _boxes(masks: Tensor) -> Tensor:
    """Left, top, right, bottom of bool [n, S, S], float32 [n, 4]; at least a pixel wide and high."""
    to_the_last_pixel: Tensor = masks_to_boxes(masks)
    return to_the_last_pixel + to_the_last_pixel.new_tensor([0, 0, 1, 1])
