"""The ordinary fine-tune is made once, and only for what it was made for."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from spellward.artifacts import CACHE_VARIABLE, cache_root
from spellward.data import ImageTable, table_from_arrays
from spellward.locking.training import vanilla
from spellward.locking.training.vanilla import ordinary_fine_tune, vanilla_model
from spellward.models import FitSettings, load_model, state_digest

SETTINGS = FitSettings(epochs=1, batch_size=8)
SPEC = "timm/test_resnet?random"


@pytest.fixture
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ImageTable:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    pixels = np.random.default_rng(0).integers(0, 256, (16, 32, 32, 3), dtype=np.uint8)
    return table_from_arrays(pixels, np.arange(16) % 4, "abcd")


def test_the_ordinary_model_is_made_once(table: ImageTable, monkeypatch: pytest.MonkeyPatch) -> None:
    first = vanilla_model(SPEC, table, SETTINGS, 32)
    monkeypatch.setitem(sys.modules, "spellward.models.trainer", None)  # training again would fail
    again = vanilla_model(SPEC, table, SETTINGS, 32)
    assert state_digest(first.network) == state_digest(again.network)


def test_another_start_of_the_same_name_is_another_model(table: ImageTable) -> None:
    ends = set()
    for shift in (0.0, 0.1):
        model = load_model(SPEC, table.classes, 32)
        with torch.no_grad():
            next(model.network.parameters()).add_(shift)
        ends.add(state_digest(ordinary_fine_tune(model, table, SETTINGS).network))
    assert len(ends) == 2


def test_other_pixels_or_versions_are_another_model(table: ImageTable, monkeypatch: pytest.MonkeyPatch) -> None:
    runs = cache_root() / "runs"
    model = load_model(SPEC, table.classes, 32)
    ordinary_fine_tune(model.copy(), table, SETTINGS)
    ordinary_fine_tune(replace(model.copy(), mean=(0.1, 0.2, 0.3)), table, SETTINGS)
    assert len(list(runs.glob("vanilla-*"))) == 2
    monkeypatch.setattr(vanilla, "versions", lambda: {"torch": "0"})
    ordinary_fine_tune(model.copy(), table, SETTINGS)
    assert len(list(runs.glob("vanilla-*"))) == 3
