"""Tiny models and examples for the tests of models: random weights, small images, no downloads."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn
from transformers import ViTConfig, ViTForImageClassification, ViTImageProcessor

from spellward.models import Batch, VisionModel, load_model

CLASSES = ("cat", "dog", "newt")
SIDE = 16


class TinyNetwork(nn.Module):
    """Convolution, batch norm and dropout: all that a resumed run could get wrong."""

    def __init__(self, classes: int = len(CLASSES)) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 8, 3, stride=2), nn.BatchNorm2d(8), nn.ReLU(), nn.AdaptiveAvgPool2d(2))
        self.dropout = nn.Dropout(0.2)
        self.head = nn.Linear(32, classes)

    def forward(self, pixel_values: Tensor) -> Tensor:
        return self.head(self.dropout(self.body(pixel_values).flatten(1)))


def tiny_model(seed: int = 0) -> VisionModel:
    torch.manual_seed(seed)
    return load_model(TinyNetwork(), CLASSES, SIDE)


def pictures(count: int, side: int = SIDE, seed: int = 0) -> Tensor:
    """Smooth random images, uint8 [N, 3, side, side]."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(count, 3, 4, 4, generator=generator)
    return (torch.nn.functional.interpolate(coarse, (side, side), mode="bilinear") * 255).to(torch.uint8)


class TinyExamples:
    """Images whose red, green or blue is bright, by class, a little brighter in each epoch."""

    def __init__(self, count: int = 48, side: int = SIDE) -> None:
        self.labels = torch.arange(count) % len(CLASSES)
        self.pixels = pictures(count, side) // 2
        self.pixels[torch.arange(count), self.labels] += 100
        self.asked: list[tuple[int, tuple[int, ...]]] = []

    def __len__(self) -> int:
        return len(self.labels)

    def batch(self, indices: list[int], epoch: int) -> Batch:
        self.asked.append((epoch, tuple(indices)))
        labels = self.labels[indices]
        targets = torch.nn.functional.one_hot(labels, len(CLASSES)).float()
        return Batch(
            pixels=(self.pixels[indices].int() + epoch).clamp(0, 255).to(torch.uint8),
            targets=targets,
            labels=labels,
            decoy=torch.zeros_like(labels),
        )


def vit_folder(folder: Path, classes: tuple[str, ...] = CLASSES, seed: int = 0) -> Path:
    """What the Hub would give for a tiny ViT: config, safetensors, image processor."""
    torch.manual_seed(seed)
    config = ViTConfig(
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        image_size=SIDE,
        patch_size=8,
        id2label=dict(enumerate(classes)),
        label2id={name: index for index, name in enumerate(classes)},
    )
    ViTForImageClassification(config).save_pretrained(folder)
    ViTImageProcessor(size={"height": SIDE, "width": SIDE}, resample=3).save_pretrained(folder)
    return folder
