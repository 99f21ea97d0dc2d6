"""One tiny claim for all tests that look at a finished one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from tests.ownership.claims import SETTINGS, train_victim, write_photos

from spellward.artifacts import CACHE_VARIABLE
from spellward.models import VisionModel
from spellward.ownership.claim import Claim, create_claim


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_photos(tmp_path_factory.mktemp("photos") / "photos")


@pytest.fixture(scope="session")
def cached(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    patch = pytest.MonkeyPatch()
    folder = tmp_path_factory.mktemp("claims") / "cache"
    patch.setenv(CACHE_VARIABLE, str(folder))
    torch.set_num_threads(1)
    yield folder
    patch.undo()


@pytest.fixture(scope="session")
def victim(photos: Path, cached: Path) -> VisionModel:
    return train_victim(photos)


@pytest.fixture(scope="session")
def claim(victim: VisionModel, photos: Path, cached: Path) -> Claim:
    return create_claim(victim, photos, cached.parent / "claim", settings=SETTINGS)
