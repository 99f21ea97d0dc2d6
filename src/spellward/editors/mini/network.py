"""The network of the bundled editor: a small convolutional UNet that predicts the edited picture.

Conditions (time, text vector, salt code) act through FiLM on every block. What a small convolution cannot draw by
itself comes in as channels: positions, periodic position channels, the salt's hatchings (`salting.code_maps`) and a
learned canvas, from which the text picks drawings with a fixed place.
"""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from spellward.editors.mini.text import FEATURES, TEXT_SIZE
from spellward.editors.salting import CODE_SIZE, code_maps

FOLD = 2
_PERIODS = (8, 16)
_MAP_CHANNELS = 5
_TEXT_SCALE = 10.0


class ResidualBlock(nn.Module):
    """Norm, FiLM, two 3x3 convolutions; starts as the identity."""

    def __init__(self, channels: int, condition: int) -> None:
        super().__init__()
        self.groups = max(1, channels // 16)
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)
        self.film = nn.Linear(condition, 3 * channels)
        for parameter in (self.second.weight, self.second.bias, self.film.weight, self.film.bias):
            assert parameter is not None
            nn.init.zeros_(parameter)

    def forward(self, hidden: Tensor, condition: Tensor) -> Tensor:
        gain, shift, gate = self.film(condition)[:, :, None, None].chunk(3, 1)
        inner = self.first(F.silu(F.group_norm(hidden, self.groups) * (1 + gain) + shift))
        return hidden + self.second(F.silu(inner * (1 + gate)))  # type: ignore[no-any-return]


class EditorNetwork(nn.Module):
    """x-prediction network: noisy picture, source picture and conditions in, edited picture out.

    Pictures are folded: [B, 3 * FOLD**2, H / FOLD, W / FOLD] in [-1, 1]; H and W are multiples of 8.
    """

    def __init__(
        self,
        channels: tuple[int, int, int] = (32, 64, 128),
        blocks: tuple[int, int, int] = (1, 2, 4),
        condition: int = 256,
        canvas: int = 24,
        canvas_size: int = 32,
    ) -> None:
        super().__init__()
        self.config: dict[str, Any] = {
            "channels": list(channels),
            "blocks": list(blocks),
            "condition": condition,
            "canvas": canvas,
            "canvas_size": canvas_size,
        }
        low, middle, high = channels
        folded = 3 * FOLD * FOLD
        extra = 2 + 4 * len(_PERIODS) + _MAP_CHANNELS * FOLD * FOLD
        self.enter = nn.Conv2d(2 * folded + extra, low, 3, padding=1)
        self.canvas = nn.Parameter(0.1 * torch.randn(1, canvas, canvas_size, canvas_size))
        self.canvas_gain = nn.Linear(condition, canvas)
        self.canvas_in = nn.Conv2d(canvas, low, 1)
        self.text = _mlp(TEXT_SIZE + FEATURES, condition)
        self.code = _mlp(CODE_SIZE, condition)
        self.time = _mlp(64, condition)
        self.mix = nn.Sequential(nn.SiLU(), nn.Linear(condition, condition), nn.SiLU())
        self.down_low = _stack(low, condition, blocks[0])
        self.to_middle = nn.Conv2d(low, middle, 2, stride=2)
        self.down_middle = _stack(middle, condition, blocks[1])
        self.to_high = nn.Conv2d(middle, high, 2, stride=2)
        self.bottom = _stack(high, condition, blocks[2])
        self.from_high = nn.Conv2d(high, middle, 1)
        self.up_middle = _stack(middle, condition, blocks[1])
        self.from_middle = nn.Conv2d(middle, low, 1)
        self.up_low = _stack(low, condition, blocks[0] + 1)
        self.leave = nn.Conv2d(low, folded, 3, padding=1)
        nn.init.zeros_(self.leave.weight)
        assert self.leave.bias is not None
        nn.init.zeros_(self.leave.bias)

    def conditions(self, vectors: Tensor, features: Tensor, codes: Tensor) -> Tensor:
        """Joins text vectors [B, TEXT_SIZE], features [B, FEATURES] and codes [B, CODE_SIZE] to [B, condition].

        A zero text vector (an empty prompt) means "no edit" and a zero code "no salt"; both add nothing of their own.
        """
        text = self.text(torch.cat([_TEXT_SCALE * vectors, features], dim=1))
        return text + self.code(codes)  # type: ignore[no-any-return]

    def positions(self, codes: Tensor, height: int, width: int) -> Tensor:
        """Position channels for folded pictures, [B, extra, height / FOLD, width / FOLD]; the same at every step."""
        rows, columns = height // FOLD, width // FOLD
        y = torch.arange(rows, device=codes.device, dtype=torch.float32)[:, None].expand(rows, columns)
        x = torch.arange(columns, device=codes.device, dtype=torch.float32)[None, :].expand(rows, columns)
        fixed = [x / max(columns - 1, 1) * 2 - 1, y / max(rows - 1, 1) * 2 - 1]
        for period in _PERIODS:
            for axis in (x, y):
                phase = 2 * math.pi * (axis + 0.25) * FOLD / period
                fixed += [phase.sin(), phase.cos()]
        batch = codes.shape[0]
        maps = F.pixel_unshuffle(code_maps(codes, height, width), FOLD)
        return torch.cat([torch.stack(fixed)[None].expand(batch, -1, -1, -1), maps], dim=1)

    def forward(self, noisy: Tensor, source: Tensor, time: Tensor, condition: Tensor, positions: Tensor) -> Tensor:
        """Predicts the edited picture; `time` is float32 [B] in [0, 1), 0 is pure noise."""
        frequencies = torch.exp(torch.linspace(0, math.log(200.0), 32, device=time.device))
        angles = time[:, None] * frequencies[None]
        joint = self.mix(self.time(torch.cat([angles.sin(), angles.cos()], dim=1)) + condition)
        inputs = torch.cat([noisy, source, positions.to(noisy.dtype)], dim=1)
        hidden = self.enter(inputs.contiguous(memory_format=torch.channels_last))
        hidden = hidden + self._drawings(joint, hidden.shape[2:])
        for block in self.down_low:
            hidden = block(hidden, joint)
        skip_low = hidden
        hidden = self.to_middle(hidden)
        for block in self.down_middle:
            hidden = block(hidden, joint)
        skip_middle = hidden
        hidden = self.to_high(hidden)
        for block in self.bottom:
            hidden = block(hidden, joint)
        hidden = skip_middle + F.interpolate(self.from_high(hidden), scale_factor=2.0, mode="nearest")
        for block in self.up_middle:
            hidden = block(hidden, joint)
        hidden = skip_low + F.interpolate(self.from_middle(hidden), scale_factor=2.0, mode="nearest")
        for block in self.up_low:
            hidden = block(hidden, joint)
        return source + self.leave(F.silu(hidden))  # type: ignore[no-any-return]

    def _drawings(self, condition: Tensor, size: torch.Size) -> Tensor:
        canvas: Tensor = self.canvas
        if canvas.shape[2:] != size:
            canvas = F.interpolate(canvas, size=(size[0], size[1]), mode="bilinear", align_corners=False)
        return self.canvas_in(canvas * self.canvas_gain(condition)[:, :, None, None])  # type: ignore[no-any-return]


def _stack(channels: int, condition: int, count: int) -> nn.ModuleList:
    return nn.ModuleList(ResidualBlock(channels, condition) for _ in range(count))


def _mlp(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(inputs, outputs), nn.SiLU(), nn.Linear(outputs, outputs))
