"""Mask transformers of `transformers`: MaskFormer (arXiv 2107.06278), Mask2Former (2112.01527), EoMT (2503.19108).

Each of their queries says what it sees and where. For masks of classes they are summed over, which gives a map of
probabilities like any other network's; to tell objects apart, each sure query is one.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from spellward.models.grouping import Objects
from spellward.models.object_networks import ObjectNetwork, objects_of, without_overlap

MODEL_TYPES = ("maskformer", "mask2former", "eomt", "eomt_dinov3")
CLASS_PREDICTOR = "class_predictor"
_LEAST = 1e-6


class _Saved:
    """What `save_checkpoint` asks of a transformers model."""

    network: Any

    @property
    def config(self) -> Any:
        """The transformers config."""
        return self.network.config

    def save_pretrained(self, folder: str | Path) -> None:
        """Writes the network alone, so that plain transformers loads it."""
        self.network.save_pretrained(folder)


class ClassQueries(_Saved, nn.Module):
    """A mask transformer as a network that gives logits [B, K, h, w] of classes.

    Args:
        network: `Mask2FormerForUniversalSegmentation` or one of its kin (`MODEL_TYPES`).
    """

    head: ClassVar[str] = f"network.{CLASS_PREDICTOR}"

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.network = network

    def forward(self, pixels: Tensor) -> Tensor:
        """Logarithms of the semantic probabilities (arXiv 2107.06278, section 3.4), float32 [B, K, S / 4, S / 4]."""
        output = self.network(pixel_values=pixels)
        kinds = output.class_queries_logits.float().softmax(dim=-1)[..., :-1]
        places = output.masks_queries_logits.float().sigmoid()
        with torch.autocast(pixels.device.type, enabled=False):  # in bf16 most probabilities would be the same
            return (torch.einsum("bqk,bqhw->bkhw", kinds, places) + _LEAST).log()


class ObjectQueries(_Saved, ObjectNetwork):
    """A mask transformer that tells objects apart; class 0, the background, has none.

    Args:
        network: As for `ClassQueries`.
    """

    head: ClassVar[str] = f"network.{CLASS_PREDICTOR}"

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.network = network
        self.classes = int(network.config.num_labels)

    def loss(self, pixels: Tensor, truth: Tensor) -> Tensor:
        """The loss of the transformer's own matching: classes, masks and their overlap."""
        found = objects_of(truth)
        with torch.autocast(pixels.device.type, enabled=False):
            output = self.network(
                pixel_values=pixels.float(),
                mask_labels=[masks.float() for masks, _ in found],
                class_labels=[kinds for _, kinds in found],
            )
        loss: Tensor = output.loss
        return loss.squeeze()

    def find(self, pixels: Tensor) -> list[Objects]:
        """Queries that see an object, each scored by how likely its class is times how sure its mask."""
        with torch.autocast(pixels.device.type, enabled=False):
            output = self.network(pixel_values=pixels)
        scores, kinds = output.class_queries_logits.softmax(dim=-1)[..., 1:-1].max(dim=-1)
        places = F.interpolate(output.masks_queries_logits, pixels.shape[-2:], mode="bilinear", align_corners=False)
        masks = places.sigmoid()
        inside = (masks > 0.5).float()
        sure = (masks * inside).sum(dim=(2, 3)) / inside.sum(dim=(2, 3)).clamp(min=1)
        return [without_overlap(*one) for one in zip(masks, kinds + 1, scores * sure, strict=True)]
