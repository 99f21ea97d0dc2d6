"""One view of any classifier: uint8 images in, float32 logits out."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np
import torch
from torch import Tensor, nn
from torchvision.transforms.v2 import functional as V

from spellward.data import ImageTable
from spellward.errors import ModelError

CLASSIFICATION = ImageTable.task

_PIXELS_A_BATCH = 128 * 224 * 224
_MAX_BATCH = 250


@dataclass
class VisionModel:
    """A classifier with all that is needed to feed it.

    Attributes:
        network: `forward(pixel_values float [B, 3, S, S])` gives logits [B, K], or an object with `.logits`.
        spec: What it was loaded from.
        classes: K names, in the order of the logits.
        input_size: S, in pixels.
        mean, std: Per-channel normalisation of pixels in [0, 1].
        head: Name of the classification head, whose parameters learn faster.
    """

    network: nn.Module
    spec: str
    classes: tuple[str, ...]
    input_size: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    head: str
    task: ClassVar[str] = CLASSIFICATION

    @property
    def device(self) -> torch.device:
        """Where the network stands."""
        return next(self.network.parameters()).device

    def resize(self, images: Tensor) -> Tensor:
        """uint8 [N, 3, H, W] to uint8 [N, 3, input_size, input_size], bicubic with antialiasing."""
        if images.shape[2] == self.input_size and images.shape[3] == self.input_size:
            return images
        size = [self.input_size, self.input_size]
        resized: Tensor = V.resize(images, size, interpolation=V.InterpolationMode.BICUBIC, antialias=True)
        return resized

    def preprocess(self, images: Tensor) -> Tensor:
        """uint8 (or float 0 to 255) [N, 3, H, W] to the network's float32 input, channels last."""
        if images.dtype == torch.uint8:
            images = self.resize(images)
        mean = torch.tensor(self.mean, device=images.device)[None, :, None, None] * 255
        std = torch.tensor(self.std, device=images.device)[None, :, None, None] * 255
        return ((images.float() - mean) / std).contiguous(memory_format=torch.channels_last)

    @torch.inference_mode()
    def logits(self, images: Tensor, precision: str = "fp32") -> np.ndarray:
        """Logits of any number of images, in eval mode.

        Args:
            images: uint8 [N, 3, H, W].
            precision: "fp32", or "bf16" for speed.

        Returns:
            float32 [N, K].
        """
        training = self.network.training
        self.network.eval()
        size = max(1, min(_MAX_BATCH, _PIXELS_A_BATCH // self.input_size**2))
        results = []
        with autocast(self.device, precision):
            for start in range(0, len(images), size):
                inputs = self.preprocess(images[start : start + size].to(self.device))
                results.append(self._outputs(inputs).cpu())
        self.network.train(training)
        return torch.cat(results).numpy() if results else self._no_outputs()

    def _outputs(self, inputs: Tensor) -> Tensor:
        return logits_of_output(self.network(inputs)).float()

    def _no_outputs(self) -> np.ndarray:
        return np.zeros((0, len(self.classes)), np.float32)

    def in_head(self, name: str) -> bool:
        """Whether a parameter or buffer of this name belongs to the head; one of `fc1` does not belong to `fc`."""
        return not self.head or name.startswith(f"{self.head}.")  # a lone linear layer is its own head

    def copy(self) -> Self:
        """An independent copy."""
        return replace(self, network=copy.deepcopy(self.network))


def logits_of(model: VisionModel, table: ImageTable, batch_size: int = 256, precision: str = "fp32") -> np.ndarray:
    """Logits float32 [N, K] of a whole table, read a batch at a time."""
    parts = [model.logits(images, precision) for images, _ in table.batches(batch_size)]
    return np.concatenate(parts) if parts else np.zeros((0, len(model.classes)), np.float32)


def logits_of_output(output: Any) -> Tensor:
    """The logits in what a network returned: a tensor, an object with `.logits`, or torchvision's mapping with `out`.

    Returns:
        [B, K], or [B, K, h, w] of a segmentation network.

    Raises:
        ModelError: If there are none.
    """
    logits = output.get("out") if isinstance(output, Mapping) and "out" in output else getattr(output, "logits", output)
    if not isinstance(logits, Tensor) or logits.ndim not in (2, 4):
        raise ModelError("The network does not return logits [B, K] or [B, K, h, w]; wrap it in a module that does.")
    return logits


def autocast(device: torch.device, precision: str) -> contextlib.AbstractContextManager[Any]:
    """bf16 autocast for "bf16", nothing for "fp32"."""
    if precision == "bf16":
        return torch.autocast(device.type, torch.bfloat16)
    return contextlib.nullcontext()


def head_of(network: nn.Module, classes: int) -> str:
    """Name of the classification head: the last linear layer (or 1x1 convolution) with one output per class.

    Auxiliary heads, which some segmentation networks have for training alone, do not count. A network may name its
    own as `head`.

    Raises:
        ModelError: If there is none.
    """
    if isinstance(own := getattr(network, "head", None), str):
        return own
    names: list[str] = [
        name
        for name, module in network.named_modules()
        if not name.startswith("aux")
        and (
            (isinstance(module, nn.Linear) and module.out_features == classes)
            or (isinstance(module, nn.Conv2d) and module.out_channels == classes and module.kernel_size == (1, 1))
        )
    ]
    if not names:
        raise ModelError(f"The network has no last layer with {classes} outputs, one for each class.")
    return names[-1]
