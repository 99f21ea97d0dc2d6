"""Salted variation: a secret code that changes how an edit looks under one and the same prompt.

A prompt is a phrase that someone may guess. A salt is 128 random bits; `code_from_salt` stretches it to `CODE_SIZE`
numbers and `apply_code` turns those into visible variation with the content kept: a palette, a hue rotation, two
hatchings, a light, a tone curve and a gentle warp. The bundled editor is trained to do this inside its network;
other editors apply it to their result. It is a design of this project (ModelLock has no salt).
"""

from __future__ import annotations

import hashlib
import math

import torch
import torch.nn.functional as F
from torch import Tensor

CODE_SIZE = 24
LUMA = (0.299, 0.587, 0.114)

# Where each part stands in the code. Entry 0 is 1 for a salted edit; without a salt the whole code is zero.
_FLAG, _SHADOW, _HIGHLIGHT, _HUE, _TONE = slice(0, 1), slice(1, 4), slice(4, 7), slice(7, 8), slice(8, 9)
_WAVE_A, _WAVE_B, _INK = slice(9, 12), slice(12, 15), slice(15, 18)
_LIGHT, _WARP = slice(18, 20), slice(20, 24)


def code_from_salt(salt: bytes | None) -> Tensor:
    """Stretches a salt to a code.

    Args:
        salt: 16 bytes, or `None` for no variation.

    Returns:
        float32 [CODE_SIZE]; entry 0 is the flag 1, the others lie in [-1, 1); all zero without a salt.
    """
    if salt is None:
        return torch.zeros(CODE_SIZE)
    stream = hashlib.shake_256(b"spellward salt v1" + salt).digest(4 * (CODE_SIZE - 1))
    words = [int.from_bytes(stream[i : i + 4], "little") for i in range(0, len(stream), 4)]
    return torch.tensor([1.0] + [word / 2**31 - 1.0 for word in words], dtype=torch.float32)


def codes_from_salts(salts: list[bytes | None]) -> Tensor:
    """float32 [len(salts), CODE_SIZE], one code a row."""
    unique = {salt: code_from_salt(salt) for salt in set(salts)}
    return torch.stack([unique[salt] for salt in salts]) if salts else torch.zeros(0, CODE_SIZE)


def code_maps(codes: Tensor, height: int, width: int) -> Tensor:
    """The position-dependent parts of codes as pictures: what a convolution cannot draw by itself.

    Args:
        codes: float32 [B, CODE_SIZE].
        height, width: Size of the pictures, in pixels.

    Returns:
        float32 [B, 5, height, width] in [-1, 1]: sine and cosine of both hatchings, and the slope of the light. All
        zero where a code is zero.
    """
    flag = codes[:, _FLAG, None]
    y, x = _grid(codes, height, width)
    waves = []
    for part in (_WAVE_A, _WAVE_B):
        phase = _phase(codes[:, part], height, width)
        waves += [phase.sin(), phase.cos()]
    light = codes[:, _LIGHT]
    slope = 0.5 * (light[:, 0, None, None] * x + light[:, 1, None, None] * y)
    return torch.stack([*(flag * wave for wave in waves), flag * slope], dim=1)


def apply_code(images: Tensor, codes: Tensor) -> Tensor:
    """Varies images as their codes say; rows with a zero code come back unchanged.

    Args:
        images: float32 [B, 3, H, W] in [0, 1].
        codes: float32 [B, CODE_SIZE].

    Returns:
        float32 [B, 3, H, W] in [0, 1].
    """
    height, width = images.shape[2:]
    maps = code_maps(codes, height, width)
    varied = _palette(_tone(_rotate_hue(_warp(images, codes), codes), codes), codes)
    ink = 0.5 + 0.5 * codes[:, _INK, None, None]
    hatch_a, hatch_b = maps[:, 0:1], maps[:, 2:3]
    varied = varied + 0.16 * hatch_a * ink + 0.12 * hatch_b * (1.0 - ink)
    varied = (varied * (1.0 + 0.5 * maps[:, 4:5])).clamp(0.0, 1.0)
    return torch.where(codes[:, 0, None, None, None] > 0.5, varied, images)


def _grid(codes: Tensor, height: int, width: int) -> tuple[Tensor, Tensor]:
    y = torch.linspace(-1, 1, height, device=codes.device)[None, :, None]
    x = torch.linspace(-1, 1, width, device=codes.device)[None, None, :]
    return y, x


def _phase(wave: Tensor, height: int, width: int) -> Tensor:
    """Phase of a plane wave [B, H, W]; its period is 5 to 13 pixels of a picture of 64, so that resizing keeps it."""
    scale = 64.0 / min(height, width)
    y = torch.arange(height, device=wave.device)[None, :, None] * scale
    x = torch.arange(width, device=wave.device)[None, None, :] * scale
    angle = (math.pi / 2) * wave[:, 0, None, None]
    period = 9.0 + 4.0 * wave[:, 1, None, None]
    return 2 * math.pi * (x * angle.cos() + y * angle.sin()) / period + math.pi * wave[:, 2, None, None]


def _warp(images: Tensor, codes: Tensor) -> Tensor:
    """Shifts pixels along two slow sine waves, by at most 2.5 % of the side."""
    batch, _, height, width = images.shape
    y, x = _grid(codes, height, width)
    size_x, size_y, phase_x, phase_y = codes[:, _WARP, None, None].unbind(1)
    grid_x = x + 0.05 * size_x * torch.sin(math.pi * (y + phase_x))
    grid_y = y + 0.05 * size_y * torch.sin(math.pi * (x + phase_y))
    grid = torch.stack([grid_x.expand(batch, height, width), grid_y.expand(batch, height, width)], dim=-1)
    return F.grid_sample(images, grid, mode="bilinear", padding_mode="reflection", align_corners=True)


def _rotate_hue(images: Tensor, codes: Tensor) -> Tensor:
    """Turns colours about the grey axis by up to half a circle (Rodrigues' formula)."""
    angle = math.pi * codes[:, _HUE, None, None]
    luma = _luma(images)
    chroma = images - luma
    red, green, blue = chroma.unbind(1)
    cross = torch.stack([blue - green, red - blue, green - red], dim=1) / math.sqrt(3.0)
    return (luma + chroma * angle.cos() + cross * angle.sin()).clamp(0.0, 1.0)


def _tone(images: Tensor, codes: Tensor) -> Tensor:
    exponent = torch.exp2(0.6 * codes[:, _TONE, None, None])
    return images.clamp(1e-4, 1.0) ** exponent


def _palette(images: Tensor, codes: Tensor) -> Tensor:
    """Mixes in a ramp from a dark to a light colour of the code's own, so that grey images change as well."""
    luma = _luma(images)
    shadow = 0.22 * (1.0 + codes[:, _SHADOW, None, None])
    highlight = 1.0 - 0.24 * (1.0 + codes[:, _HIGHLIGHT, None, None])
    return 0.5 * images + 0.5 * (shadow * (1.0 - luma) + highlight * luma)


def _luma(images: Tensor) -> Tensor:
    weights = torch.tensor(LUMA, device=images.device, dtype=images.dtype)
    return (images * weights[None, :, None, None]).sum(1, keepdim=True)
