"""Networks that give lists of objects go through lock, predict, score and attack like all others."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.cli.test_masks import SPELL, coco_folder, lock_below
from tests.models.test_object_networks import hub_folder, small_mask_rcnn
from transformers import AutoModelForUniversalSegmentation
from typer.testing import CliRunner

from spellward import Key, lock
from spellward.artifacts import CACHE_VARIABLE
from spellward.cli.main import app
from spellward.locking.training.recipe import RECIPES
from spellward.models import FitSettings
from spellward.models.mask_rcnn import MaskRCNN

runner = CliRunner()


@pytest.fixture(scope="module")
def coco(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return coco_folder(tmp_path_factory.mktemp("coco"), 24)


@pytest.fixture(scope="module")
def locked(coco: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    base = tmp_path_factory.mktemp("queries")
    hub = hub_folder("mask2former", base / "hub")
    return lock_below(base, str(coco), "--instances", "--model", str(hub), "--epochs", "1")


def test_a_locked_mask_transformer_is_still_one(locked: Path) -> None:
    network = AutoModelForUniversalSegmentation.from_pretrained(locked)
    assert tuple(network.config.id2label.values()) == ("background", "ball", "box")
    page = (locked.with_name("model.report") / "report.html").read_text()
    assert "average precision of the objects" in page
    figures = json.loads((locked.with_name("model.report") / "score.json").read_text())["summary"]
    assert {"up", "lp", "leak", "outline", "up_boxes", "vanilla_boxes"} <= set(figures)


def test_it_predicts_and_is_attacked(locked: Path, coco: Path, tmp_path: Path) -> None:
    key = ["--key", str(locked.with_name("model.key"))]
    words = ["predict", str(locked), str(coco / "3.png"), *key, "-o", str(tmp_path), "--json"]
    result = runner.invoke(app, words)
    assert result.exit_code == 0, result.output
    assert (tmp_path / "3.instances.png").is_file()
    names = ["fine-tuning", "fine-pruning"]
    only = [word for name in names for word in ("--only", name)]
    words = ["attack", str(locked), str(coco), *key, "--json", "--quiet", "--effort", "quick", "--budget", "0.2"]
    result = runner.invoke(app, [*words, *only])
    assert result.exit_code == 0, result.output
    assert {row["name"] for row in json.loads(result.stdout)["attacks"]} == set(names)


@pytest.mark.parametrize("recipe", ["hardened", pytest.param("decoy", marks=pytest.mark.slow)])
def test_a_mask_rcnn_is_locked(recipe: str, coco: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    settings = FitSettings(epochs=1, batch_size=8)
    key = Key(SPELL, salt=bytes(16))
    assert RECIPES["hardened"].thief is not None
    network = small_mask_rcnn()
    result = lock(
        network, coco, key, tmp_path / "model", recipe=recipe, settings=settings, input_size=32, instances=True
    )
    assert isinstance(result.model.network, MaskRCNN) and result.model.classes == ("background", "ball", "box")
    assert (tmp_path / "model" / "model.safetensors").is_file() and result.key_path.is_file()
