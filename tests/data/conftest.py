"""Small folders of images, and a cache of their own for every test."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image


@pytest.fixture(autouse=True)
def private_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SPELLWARD_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def class_folders(tmp_path: Path) -> Callable[..., Path]:
    """Makes a folder of class folders with different random images."""

    def make(name: str = "photos", classes: tuple[str, ...] = ("cat", "dog"), count: int = 10, seed: int = 0) -> Path:
        root = tmp_path / name
        generator = np.random.default_rng(seed)
        for label in classes:
            (root / label).mkdir(parents=True)
            for number in range(count):
                pixels = generator.integers(0, 256, (9, 12, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(root / label / f"{number:03}.png")
        return root

    return make
