"""Runs that are made once: what names them, and that loading one gives what making it gave."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from spellward.artifacts import CACHE_VARIABLE, cache_root
from spellward.data import ImageTable, table_from_arrays
from spellward.models import FitSettings, VisionModel, fit_once, kept, load_model, state_digest
from spellward.models.examples import PlainExamples

SETTINGS = FitSettings(epochs=1, batch_size=8)
SPEC = "timm/test_resnet?random"


@pytest.fixture
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ImageTable:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    pixels = np.random.default_rng(0).integers(0, 256, (16, 32, 32, 3), dtype=np.uint8)
    return table_from_arrays(pixels, np.arange(16) % 4, "abcd")


def made(table: ImageTable, model: VisionModel | None = None, *learnt: object, kind: str = "some") -> VisionModel:
    model = load_model(SPEC, table.classes, 32) if model is None else model.copy()
    return fit_once(kind, model, PlainExamples(table), SETTINGS, table.fingerprint, *learnt)


def test_a_model_is_made_once_and_loaded_to_the_last_bit(table: ImageTable, monkeypatch: pytest.MonkeyPatch) -> None:
    first = made(table)
    monkeypatch.setitem(sys.modules, "spellward.models.trainer", None)  # training again would fail
    again = made(table)
    assert state_digest(first.network) == state_digest(again.network)
    assert np.array_equal(first.logits(table.images[:]), again.logits(table.images[:]))


def test_another_start_of_the_same_name_is_another_model(table: ImageTable) -> None:
    ends = set()
    for shift in (0.0, 0.1):
        model = load_model(SPEC, table.classes, 32)
        with torch.no_grad():
            next(model.network.parameters()).add_(shift)
        ends.add(state_digest(made(table, model).network))
    assert len(ends) == 2


def test_whatever_the_result_depends_on_names_the_run(table: ImageTable, monkeypatch: pytest.MonkeyPatch) -> None:
    model = load_model(SPEC, table.classes, 32)
    made(table, model)
    made(table, replace(model, mean=(0.1, 0.2, 0.3)))
    made(table, model, "learnt otherwise")
    made(table, model, kind="other")
    assert len(list((cache_root() / "runs").iterdir())) == 4
    monkeypatch.setattr(kept, "versions", lambda: {"torch": "0"})
    made(table, model)
    assert len(list((cache_root() / "runs").iterdir())) == 5


def test_other_layers_with_the_same_weights_are_another_model(table: ImageTable) -> None:
    for kind in (torch.nn.ReLU, torch.nn.Tanh):
        torch.manual_seed(0)
        layers = (torch.nn.Conv2d(3, 4, 3), kind(), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten())
        made(table, load_model(torch.nn.Sequential(*layers, torch.nn.Linear(4, 4)), table.classes, 32))
    assert len(list((cache_root() / "runs").iterdir())) == 2
