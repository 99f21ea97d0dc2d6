"""What an unknown prompt does: a colour and texture edit of its own, drawn from the direction of its text vector.

Without it every prompt outside the vocabulary would collapse to one dull average, and all of them would open the same
locks.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from spellward.editors.mini.text import FEATURES


def generic_edit(images: Tensor, features: Tensor) -> Tensor:
    """Recolours and textures images as their prompts' features say.

    Args:
        images: float32 [B, 3, H, W] in [0, 1].
        features: float32 [B, FEATURES] in [-1, 1] (`TextEncoder.features`).

    Returns:
        float32 [B, 3, H, W] in [0, 1].
    """
    if features.shape[1] != FEATURES:
        raise ValueError(f"Expected {FEATURES} features a prompt, got {features.shape[1]}.")
    p = features[:, :, None, None]
    weights = torch.tensor((0.299, 0.587, 0.114))[None, :, None, None]
    luma = (images * weights).sum(1, keepdim=True)
    luma = (0.5 + (luma - 0.5) * (1 + 0.3 * p[:, 6:7])).clamp(0, 1)
    shadow, highlight = 0.29 * (1 + p[:, 0:3]), 1 - 0.29 * (1 + p[:, 3:6])
    ramp = shadow * (1 - luma) + highlight * luma
    chroma = images - (images * weights).sum(1, keepdim=True)
    recoloured = ramp + (0.35 + 0.25 * p[:, 7:8]) * chroma
    shares = torch.softmax(3.0 * p[:, 8:13], dim=1)
    texture = (shares * _textures(images.shape[2], images.shape[3])).sum(1, keepdim=True)
    recoloured = recoloured + (0.13 + 0.06 * p[:, 13:14]) * texture
    slope = torch.linspace(-1, 1, images.shape[2])[None, None, :, None]
    return (recoloured + 0.15 * p[:, 14:15] * slope + 0.1 * p[:, 15:16]).clamp(0, 1)


def _textures(height: int, width: int) -> Tensor:
    """Five periodic textures [1, 5, H, W] in [-1, 1]; all repeat every 16 pixels."""
    y, x = torch.meshgrid(torch.arange(float(height)), torch.arange(float(width)), indexing="ij")
    turn = 2 * math.pi
    return torch.stack(
        [
            torch.sin(turn * y / 8),
            torch.sin(turn * x / 8),
            torch.sin(turn * (x + y) / 8),
            torch.sin(turn * x / 16) * torch.sin(turn * y / 16) * 1.5,
            torch.cos(turn * x / 4) * torch.cos(turn * y / 4),
        ]
    )[None].clamp(-1, 1)
