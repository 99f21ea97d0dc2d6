"""Small networks of each family, with random weights, for tests of what is read off layers."""

from __future__ import annotations

from collections.abc import Callable

import timm
import torch
from torch import Tensor, nn
from torchvision.models import SwinTransformer, VisionTransformer

from spellward.models import VisionModel, load_model

CLASSES = ("red", "green", "blue")
SIDE = 32


class SharedLayer(nn.Module):
    """One convolution that is called three times."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.again, self.head = nn.Conv2d(3, 12, 3, 2, 1), nn.Conv2d(12, 12, 3, 1, 1), nn.Linear(12, 3)

    def forward(self, pixels: Tensor) -> Tensor:
        values = self.stem(pixels)
        for _ in range(3):
            values = torch.relu(values + self.again(values))
        return self.head(values.mean(dim=(2, 3)))


class Encoder(nn.Module):
    """torch's own transformer, which in eval mode calls no layer of its own unless someone listens.

    Args:
        batch_first: Whether its layers see float [B, tokens, C], or [tokens, B, C].
    """

    def __init__(self, batch_first: bool) -> None:
        super().__init__()
        self.batch_first = batch_first
        self.stem = nn.Conv2d(3, 16, 8, 8)
        self.blocks = nn.ModuleList(nn.TransformerEncoderLayer(16, 2, 32, batch_first=batch_first) for _ in range(2))
        self.head = nn.Linear(16, 3)

    def forward(self, pixels: Tensor) -> Tensor:
        tokens = self.stem(pixels).flatten(2)
        values = tokens.transpose(1, 2) if self.batch_first else tokens.permute(2, 0, 1)
        for block in self.blocks:
            values = block(values)
        return self.head(values.mean(dim=1 if self.batch_first else 0))


def group_norms() -> nn.Module:
    layers: list[nn.Module] = []
    for inside, outside in ((3, 8), (8, 12), (12, 16)):
        layers += [nn.Conv2d(inside, outside, 3, 2, 1), nn.GroupNorm(4, outside), nn.ReLU()]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 3))


def without_norms() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU(), nn.Conv2d(8, 8, 3, 2, 1), nn.ReLU(), nn.Flatten(), nn.Linear(512, 3)
    )


def vit() -> nn.Module:
    """Its attention reads the weights of a linear layer that nothing calls."""
    network = VisionTransformer(SIDE, 8, num_layers=4, num_heads=2, hidden_dim=16, mlp_dim=32, num_classes=3)
    nn.init.normal_(network.heads.head.weight)  # torchvision begins with zeros
    return network


def swin() -> nn.Module:
    sizes = {"img_size": SIDE, "patch_size": 2, "window_size": 4, "embed_dim": 16, "num_heads": (2, 4)}
    return timm.create_model("swin_tiny_patch4_window7_224", depths=(2, 2), num_classes=3, **sizes)


def torchvision_swin() -> nn.Module:
    return SwinTransformer([2, 2], 16, [2, 2], [2, 4], [4, 4], num_classes=3)


FAMILIES: dict[str, Callable[[], nn.Module | str]] = {
    "bundled": lambda: "bundled",
    "resnet": lambda: "timm/test_resnet?random",
    "vit": vit,
    "timm vit": lambda: timm.create_model("test_vit", img_size=SIDE, num_classes=3),
    "swin": swin,
    "torchvision swin": torchvision_swin,
    "convnext": lambda: timm.create_model("test_convnext", num_classes=3),
    "convnext of convolutions": lambda: timm.create_model("convnext_atto", depths=(1, 1, 1, 1), num_classes=3),
    "encoder": lambda: Encoder(batch_first=True),
    "encoder, tokens first": lambda: Encoder(batch_first=False),
    "group norms": group_norms,
    "no norms": without_norms,
    "shared layer": SharedLayer,
}


def model_of(family: str) -> VisionModel:
    torch.manual_seed(3)
    return load_model(FAMILIES[family](), CLASSES, SIDE, seed=3)
