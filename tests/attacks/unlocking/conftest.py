"""A task that a tiny network learns in a second, and thieves for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch

from spellward.attacks.unlocking.thief import EFFORTS, Effort, Thief
from spellward.attacks.unlocking.tuning import Tuning, tune
from spellward.data import ImageTable, table_from_arrays
from spellward.editors.base import Editor, EditSettings
from spellward.models import VisionModel, load_model

CLASSES = ("red", "green", "blue")
SIDE = 32
TINY: Effort = replace(EFFORTS["quick"], steps=12, unlabelled=30, guesses=6)


def coloured(count: int, seed: int) -> ImageTable:
    """Noise with one bright channel, by class; uint8 [count, 32, 32, 3]."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % len(CLASSES)
    pixels = rng.integers(0, 110, (count, SIDE, SIDE, 3), dtype=np.uint8)
    pixels[np.arange(count), :, :, labels] += 110
    return table_from_arrays(pixels, labels, CLASSES)


def success(scores: np.ndarray, labels: np.ndarray) -> float:
    return float((scores.argmax(axis=1) == labels).mean())


class Negative(Editor):
    """Inverts images whose salt is given, whatever the prompt."""

    defaults = EditSettings(steps=1, guidance=1.0, image_guidance=1.0, strength=1.0)

    def _edit(
        self, images: torch.Tensor, prompts: list[str], seed: int, salts: list[bytes | None], settings: EditSettings
    ) -> torch.Tensor:
        salted = torch.tensor([salt is not None for salt in salts])
        return torch.where(salted[:, None, None, None], 255 - images, images)

    def fingerprint(self) -> str:
        return "negative"


@pytest.fixture(scope="session")
def test_images() -> ImageTable:
    return coloured(60, 3)


@pytest.fixture(scope="session")
def base() -> VisionModel:
    return load_model("timm/test_resnet?random", CLASSES, SIDE, seed=5)


@pytest.fixture(scope="session")
def trained(base: VisionModel) -> VisionModel:
    """The base, fine-tuned on clean images: what a lock would hide."""
    images = coloured(96, 1)
    return tune(base, images.images[:], images.labels, Tuning(3e-3), 60, 0)


@pytest.fixture
def thief(base: VisionModel) -> Thief:
    return Thief(coloured(24, 2), coloured(40, 4), base, success, TINY)


@pytest.fixture
def accuracy(test_images: ImageTable) -> Callable[[Callable[[torch.Tensor], np.ndarray]], float]:
    return lambda predict: success(predict(test_images.images[:]), test_images.labels)
