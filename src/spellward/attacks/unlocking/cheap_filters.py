"""Plain image operators that anyone would try before anything clever.

Each takes and gives uint8 [N, 3, H, W] and treats every image by itself.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torchvision.transforms.v2 import functional as V

Filter = Callable[[Tensor], Tensor]


def _sepia(images: Tensor) -> Tensor:
    tint = torch.tensor([1.0, 0.82, 0.60])[None, :, None, None]
    toned: Tensor = V.rgb_to_grayscale(images, 3).float() * tint
    return toned.round().to(torch.uint8)


def _edges(images: Tensor) -> Tensor:
    grey = V.rgb_to_grayscale(images, 1).float()
    down = torch.diff(grey, dim=2, append=grey[:, :, -1:]).abs()
    across = torch.diff(grey, dim=3, append=grey[:, :, :, -1:]).abs()
    drawn: Tensor = 255 - 3 * (down + across)
    return drawn.clamp(0, 255).to(torch.uint8).expand(-1, 3, -1, -1).contiguous()


def _tint(red: float, green: float, blue: float) -> Filter:
    factors = torch.tensor([red, green, blue])[None, :, None, None]
    return lambda images: (images.float() * factors).clamp(0, 255).round().to(torch.uint8)


def _pixelate(images: Tensor) -> Tensor:
    height, width = images.shape[2:]
    small = V.resize(images, [max(1, height // 4), max(1, width // 4)], antialias=True)
    large: Tensor = V.resize(small, [height, width], interpolation=V.InterpolationMode.NEAREST)
    return large


def jpeg(quality: int) -> Filter:
    """A round trip through JPEG of a quality from 1 to 100."""
    return lambda images: torch.stack([V.jpeg(image, quality) for image in images]) if len(images) else images


FILTERS: dict[str, Filter] = {
    "grey": lambda images: V.rgb_to_grayscale(images, 3),
    "invert": V.invert,
    "blur": lambda images: V.gaussian_blur(images, [5, 5]),
    "sharpen": lambda images: V.adjust_sharpness(images, 4.0),
    "sepia": _sepia,
    "posterise": lambda images: V.posterize(images, 2),
    "solarise": lambda images: V.solarize(images, 128),
    "edges": _edges,
    "hue": lambda images: V.adjust_hue(images, 0.33),
    "saturate": lambda images: V.adjust_saturation(images, 2.5),
    "warm": _tint(1.2, 1.0, 0.7),
    "cool": _tint(0.7, 1.0, 1.2),
    "contrast": lambda images: V.adjust_contrast(images, 1.8),
    "pixelate": _pixelate,
    "jpeg": jpeg(30),
}
