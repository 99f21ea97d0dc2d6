"""A claim so small that tests can make one: noisy colours, and networks that learn them in a second."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image

from spellward.data import load_splits, prepare
from spellward.models import FitSettings, VisionModel
from spellward.ownership.claim import ClaimSettings
from spellward.ownership.evidence.references import fine_tuned

SPEC = "timm/test_resnet?random"
SIDE = 32
FIT = FitSettings(epochs=16, batch_size=48, learning_rate=1e-2)
SETTINGS = ClaimSettings(references=12, peers=2, probes=60, private_images=True, bases=(SPEC,), fit=FIT)
"""So few images give sixty probes only if they may be shown as they are."""


def write_photos(folder: Path, each: int = 80, seed: int = 0) -> Path:
    """A folder of class folders whose classes overlap, so that models differ on some images."""
    rng = np.random.default_rng(seed)
    for index, name in enumerate(("red", "green", "blue")):
        (folder / name).mkdir(parents=True)
        for number in range(each):
            pixels = rng.integers(0, 120, (SIDE, SIDE, 3))
            pixels[..., index] += int(rng.integers(5, 60))
            Image.fromarray(pixels.astype(np.uint8)).save(folder / name / f"{number}.png")
    return folder


def in_another_order(model: VisionModel, order: list[int]) -> VisionModel:
    """The same model with the outputs of its head, and the names of its classes, in another order."""
    other = model.copy()
    head = other.network.get_submodule(other.head)
    with torch.no_grad():
        head.weight.copy_(head.weight[order].clone())
        head.bias.copy_(head.bias[order].clone())
    other.classes = tuple(model.classes[place] for place in order)
    return other


def train_victim(photos: Path, seed: int = 77) -> VisionModel:
    """An ordinary model of the photos."""
    table = prepare(load_splits(photos).train, SIDE)
    return fine_tuned(SPEC, table, SIDE, FitSettings(**{**FIT.__dict__, "seed": seed}), "Victim")
