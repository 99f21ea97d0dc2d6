"""Training the bundled editor: a run that is stopped and started again ends with the same weights."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

pytest.importorskip("cv2", reason="the extra `editor` is not installed")

from spellward.editors.mini import MiniEditor
from spellward.editors.mini.editor import WEIGHTS
from spellward.editors.mini.network import FOLD, EditorNetwork
from spellward.editors.mini.text import FEATURES, TEXT_SIZE, TextEncoder
from spellward.editors.mini.training import pairs, train
from spellward.editors.mini.training.train import BatchMaker, TrainingSettings, loss_of
from spellward.editors.salting import CODE_SIZE, apply_code

# The rate is high, because it rises from nothing over 200 steps.
SETTINGS = TrainingSettings(steps=3, batch_size=6, learning_rate=0.3)


def write_pairs(folder: Path, count: int = 4) -> None:
    """Targets whose pixels say what they are, so that a wrong one would be seen."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    np.save(folder / "sources.npy", rng.integers(0, 256, (count, 64, 64, 3), dtype=np.uint8))
    kinds = [pairs.STYLE] * pairs.STYLES_EACH + [pairs.OBJECT, pairs.PAIR]
    meta = np.array([[(kind, (row + place) % 8) for place, kind in enumerate(kinds)] for row in range(count)], np.int32)
    targets = np.zeros((count, pairs.TARGETS_EACH, 64, 64, 3), np.uint8)
    targets[:] = (20 * meta[..., 0] + meta[..., 1])[:, :, None, None, None]
    np.save(folder / "targets.npy", targets)
    np.save(folder / "meta.npy", meta)


@pytest.fixture(autouse=True)
def _few_prompts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pairs, "_RANDOM_PROMPTS", 50)


@pytest.fixture
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Weights are written here, and not over the shipped ones."""
    folder = tmp_path / "weights"
    shutil.copytree(WEIGHTS, folder, ignore=shutil.ignore_patterns("editor.safetensors"))
    monkeypatch.setattr(train, "WEIGHTS", folder)
    monkeypatch.setattr(train, "EditorNetwork", lambda: EditorNetwork((8, 16, 16), (1, 1, 1), 16, 4, 8))
    return folder


def test_a_stopped_run_ends_with_the_same_weights(tmp_path: Path, weights: Path) -> None:
    for name in ("whole", "stopped"):
        write_pairs(tmp_path / name / "pairs")
    assert train.train(tmp_path / "whole", SETTINGS)
    wanted = load_file(weights / "editor.safetensors")
    (weights / "editor.safetensors").unlink()
    for _ in range(2):
        assert not train.train(tmp_path / "stopped", SETTINGS, stop_after=0)
        assert not (weights / "editor.safetensors").exists()
    assert train.train(tmp_path / "stopped", SETTINGS)
    found = load_file(weights / "editor.safetensors")
    assert found.keys() == wanted.keys()
    assert all(torch.equal(found[name], wanted[name]) for name in wanted)
    with safe_open(weights / "editor.safetensors", framework="pt") as file:
        metadata = file.metadata()
    assert TrainingSettings(**json.loads(metadata["training"])) == SETTINGS
    assert MiniEditor(weights).edit(torch.zeros(1, 3, 16, 16, dtype=torch.uint8), "snow").shape == (1, 3, 16, 16)
    with pytest.raises(SystemExit, match="other settings"):
        train.train(tmp_path / "stopped", replace(SETTINGS, seed=1))


def test_a_batch_is_what_its_step_says(tmp_path: Path) -> None:
    write_pairs(tmp_path / "pairs")
    settings = TrainingSettings(batch_size=64, salted_share=0.5)
    maker = BatchMaker(tmp_path / "pairs", settings, TextEncoder(WEIGHTS))
    batch, again, other = maker.batch(5), maker.batch(5), maker.batch(6)
    assert torch.equal(batch.target, again.target) and torch.equal(batch.vectors, again.vectors)
    assert not torch.equal(batch.source, other.source)
    assert batch.source.shape == batch.target.shape == (64, 3 * FOLD**2, 64 // FOLD, 64 // FOLD)
    assert batch.vectors.shape == (64, TEXT_SIZE) and batch.features.shape == (64, FEATURES)
    assert batch.codes.shape == (64, CODE_SIZE) and batch.weight.shape == (64, 1, 64, 64)
    assert set(batch.kinds.tolist()) == {pairs.STYLE, pairs.OBJECT, pairs.PAIR, pairs.GENERIC, pairs.IDENTITY}
    salted = batch.codes[:, 0] == 1
    assert 15 < int(salted.sum()) < 50
    assert not batch.codes[~salted].any()
    same = batch.kinds == pairs.IDENTITY
    assert torch.equal(batch.target[same], batch.source[same])
    assert not batch.vectors[same].any() and not salted[same].any()
    assert batch.weight[batch.kinds == pairs.OBJECT].max() > 1
    assert torch.equal(
        batch.weight[batch.kinds != pairs.OBJECT],
        torch.ones_like(batch.weight)[: int((batch.kinds != pairs.OBJECT).sum())],
    )


def test_targets_and_prompts_belong_together(tmp_path: Path) -> None:
    write_pairs(tmp_path / "pairs")
    maker = BatchMaker(tmp_path / "pairs", TrainingSettings(batch_size=64), TextEncoder(WEIGHTS))
    batch = maker.batch(0)
    pictures = torch.nn.functional.pixel_shuffle(batch.target, FOLD) / 2 + 0.5
    for row in range(64):
        kind = int(batch.kinds[row])
        if kind not in (pairs.STYLE, pairs.OBJECT, pairs.PAIR):
            continue
        [vector_row] = (maker.prompts.vectors == batch.vectors[row]).all(1).nonzero()[:1].flatten().tolist()
        meant = [what for what, (start, end) in maker.prompts.rows.items() if start <= vector_row < end]
        flat = torch.full((1, 3, 64, 64), (20 * kind + meant[0][1]) / 255)
        assert meant[0][0] == kind
        wanted = apply_code(flat, batch.codes[row : row + 1])[0]
        assert (pictures[row] - wanted).abs().max() < 1e-4


def test_a_right_answer_costs_nothing(tmp_path: Path) -> None:
    write_pairs(tmp_path / "pairs")
    batch = BatchMaker(tmp_path / "pairs", TrainingSettings(batch_size=8), TextEncoder(WEIGHTS)).batch(0)

    class Knowing(EditorNetwork):
        def forward(self, *_: object) -> torch.Tensor:
            return batch.target

    loss, errors = loss_of(Knowing((8, 16, 16), (1, 1, 1), 16, 4, 8), batch, torch.Generator().manual_seed(0))
    assert float(loss.detach()) == 0 and errors.tolist() == [0.0] * 8
    loss, errors = loss_of(EditorNetwork((8, 16, 16), (1, 1, 1), 16, 4, 8), batch, torch.Generator().manual_seed(0))
    wanted = (batch.source - batch.target).square().mean((1, 2, 3))
    assert torch.allclose(errors, wanted, rtol=1e-2, atol=1e-4)
    assert float(loss.detach()) > 0
