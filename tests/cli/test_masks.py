"""Every command on images with masks: lock, score, predict and attack."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests.models.test_instances import pairs_of_squares
from tests.models.test_segmentation import squares
from typer.testing import CliRunner

from spellward.artifacts import CACHE_VARIABLE
from spellward.cli.main import app
from spellward.data import load_splits
from spellward.errors import ModelError
from spellward.keys import Key
from spellward.locking.scoring import score
from spellward.models.grouping import EXTRA, true_objects
from spellward.models.instances import InstanceModel

runner = CliRunner()
SPELL = "zanzibar quicksilver brocade"


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pairs")
    table = squares(40)
    for name in ("images", "masks"):
        (folder / name).mkdir()
    for row in range(len(table)):
        Image.fromarray(table.images[[row]][0].permute(1, 2, 0).numpy()).save(folder / "images" / f"{row}.png")
        Image.fromarray(table.truth([row])[0].numpy().astype(np.uint8)).save(folder / "masks" / f"{row}.png")
    (folder / "classes.txt").write_text("background\nball\nbox\n")
    return folder


def lock_below(base: Path, *words: str) -> Path:
    """The folder of a lock that the command made, with a cache of its own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(CACHE_VARIABLE, str(base / "cache"))
        common = [
            "--spell",
            SPELL,
            "-o",
            str(base / "model"),
            "--batch-size",
            "8",
            "--size",
            "32",
            "--vanilla",
            "--json",
        ]
        result = runner.invoke(app, ["lock", *words, *common])
    assert result.exit_code == 0, result.output
    return base / "model"


@pytest.fixture(scope="module")
def locked(pairs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return lock_below(tmp_path_factory.mktemp("locked"), str(pairs), "--epochs", "1", "--recipe", "decoy")


def test_the_locked_folder_is_a_segmentation_checkpoint(locked: Path) -> None:
    config = json.loads((locked / "config.json").read_text())
    assert config["architectures"] == ["UperNetForSemanticSegmentation"]
    assert list(config["id2label"].values()) == ["background", "ball", "box"]
    page = (locked.with_name("model.report") / "report.html").read_text()
    assert "mean intersection over union" in page and "<th>Mean IoU</th>" in page and "Outlines without the key" in page
    assert "data:image" not in (locked.with_name("model.report") / "public.html").read_text()


def test_nothing_beside_the_key_holds_the_spell(locked: Path) -> None:
    for folder in (locked, locked.with_name("model.report")):
        for path in folder.rglob("*"):
            assert SPELL.encode() not in (path.read_bytes() if path.is_file() else b"")


@pytest.mark.parametrize("with_key", [True, False])
def test_predict_writes_masks_and_overlays(locked: Path, pairs: Path, tmp_path: Path, with_key: bool) -> None:
    image = pairs / "images" / "3.png"
    key = ["--key", str(locked.with_name("model.key"))] if with_key else []
    result = runner.invoke(app, ["predict", str(locked), str(image), *key, "-o", str(tmp_path), "--json"])
    assert result.exit_code == 0, result.output
    (row,) = json.loads(result.stdout)["predictions"]
    assert {one["class"] for one in row["classes"]} <= {"ball", "box"}
    mask, overlay = (Image.open(tmp_path / f"3.{name}.png") for name in ("mask", "overlay"))
    assert mask.size == overlay.size == Image.open(image).size
    assert np.asarray(mask).max() < 3


def test_two_images_of_one_name_get_masks_of_their_own(locked: Path, pairs: Path, tmp_path: Path) -> None:
    (tmp_path / "more").mkdir()
    other = tmp_path / "more" / "3.png"
    other.write_bytes((pairs / "images" / "3.png").read_bytes())
    words = [
        "predict",
        str(locked),
        str(pairs / "images" / "3.png"),
        str(other),
        "-o",
        str(tmp_path / "out"),
        "--quiet",
    ]
    assert runner.invoke(app, words).exit_code == 0
    assert {path.name for path in (tmp_path / "out").glob("*.mask.png")} == {"3.mask.png", "3-2.mask.png"}
    rows = json.loads(runner.invoke(app, [*words, "--json"]).stdout)["predictions"]
    names = [{what: row[what] for what in ("mask", "overlay")} for row in rows]
    out = tmp_path / "out"
    assert names == [{what: str(out / f"{stem}.{what}.png") for what in ("mask", "overlay")} for stem in ("3", "3-2")]
    table = list(csv.DictReader(io.StringIO(runner.invoke(app, [*words, "--format", "csv"]).stdout)))
    assert [row["mask"] for row in table] == [one["mask"] for one in names]
    assert all(None not in row and None not in row.values() for row in table)  # no row is longer or shorter


def test_score_prints_the_outline_too(locked: Path, pairs: Path) -> None:
    words = ["score", str(locked), str(pairs), "--key", str(locked.with_name("model.key")), "--json", "--no-vanilla"]
    result = runner.invoke(app, [*words, "--wrong-prompts", "1", "--wrong-salts", "1", "--wrong-key-images", "10"])
    assert result.exit_code == 0, result.output
    figures = json.loads(result.stdout)
    assert {"up", "lp", "argmin", "leak", "outline", "chance"} <= set(figures)
    assert 0.0 <= figures["outline"] <= 1.0


def test_attack_runs_what_can_be_run_on_masks(locked: Path, pairs: Path) -> None:
    words = [
        "attack",
        str(locked),
        str(pairs),
        "--key",
        str(locked.with_name("model.key")),
        "--json",
        "--effort",
        "quick",
    ]
    names = ["--only", "fine-tuning", "--only", "no-key", "--only", "remap", "--budget", "0.2"]
    result = runner.invoke(app, [*words, *names])
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    assert [row["name"] for row in document["attacks"]] == ["fine-tuning", "no-key"]
    assert "segmentation" in document["skipped"]["remap"]
    for row in document["attacks"]:
        assert row["gain"] == pytest.approx(row["accuracy"] - row["base"])


def test_a_classifier_is_no_help_on_masks(pairs: Path, tmp_path: Path) -> None:
    words = [
        "lock",
        str(pairs),
        "--spell",
        SPELL,
        "-o",
        str(tmp_path / "model"),
        "--model",
        "torchvision/resnet18?random",
    ]
    result = runner.invoke(app, words)
    assert result.exit_code != 0
    assert "segmentation network" in str(result.exception)


@pytest.mark.parametrize("words", [["claim"], ["steal", "--how", "copy"]])
def test_claims_are_for_classifiers(words: list[str], locked: Path, pairs: Path, tmp_path: Path) -> None:
    result = runner.invoke(app, [words[0], str(locked), str(pairs), "-o", str(tmp_path / "out"), *words[1:]])
    assert result.exit_code != 0
    assert "gives masks" in str(result.exception)
    assert not (tmp_path / "out").exists()


def coco_folder(folder: Path, count: int = 40) -> Path:
    """`pairs_of_squares` as a COCO file with polygons."""
    table = pairs_of_squares(count)
    rows: dict[str, list[dict[str, Any]]] = {"images": [], "annotations": []}
    for row, truth in enumerate(table.truth(slice(None)).numpy()):
        Image.fromarray(table.images[[row]][0].permute(1, 2, 0).numpy()).save(folder / f"{row}.png")
        rows["images"].append({"id": row, "file_name": f"{row}.png", "width": 32, "height": 32})
        there = true_objects(truth)
        for kind, (left, top, right, bottom) in zip(there.classes, there.boxes().tolist(), strict=True):
            outline = [left, top, right, top, right, bottom, left, bottom]
            number = len(rows["annotations"])
            rows["annotations"].append(
                {"id": number, "image_id": row, "category_id": int(kind), "segmentation": [outline], "iscrowd": 0}
            )
    categories = [{"id": 1, "name": "ball"}, {"id": 2, "name": "box"}]
    (folder / "instances.json").write_text(json.dumps({**rows, "categories": categories}))
    return folder


@pytest.fixture(scope="module")
def coco(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return coco_folder(tmp_path_factory.mktemp("coco"))


@pytest.fixture(scope="module")
def apart(coco: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lock whose model tells instances apart."""
    return lock_below(tmp_path_factory.mktemp("apart"), str(coco), "--instances", "--epochs", "2")


def test_a_lock_on_instances_says_so(apart: Path) -> None:
    config = json.loads((apart / "config.json").read_text())
    assert list(config["id2label"].values()) == ["background", "ball", "box", *EXTRA]
    page = (apart.with_name("model.report") / "report.html").read_text()
    assert "average precision of the objects" in page and "By boxes in place of masks" in page
    figures = json.loads((apart.with_name("model.report") / "score.json").read_text())["summary"]
    assert {"up", "lp", "leak", "outline", "up_boxes", "vanilla_boxes"} <= set(figures)


def test_predict_gives_every_object_with_its_box(
    apart: Path, coco: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = true_objects(pairs_of_squares(40).truth([3])[0].numpy())
    monkeypatch.setattr(InstanceModel, "objects", lambda _, images: [there] * len(images))
    picture = tmp_path / "larger.png"
    Image.open(coco / "3.png").resize((64, 48)).save(picture)
    words = ["predict", str(apart), str(picture), "--key", str(apart.with_name("model.key")), "-o", str(tmp_path)]
    result = runner.invoke(app, [*words, "--json"])
    assert result.exit_code == 0, result.output
    (row,) = json.loads(result.stdout)["predictions"]
    assert [one["class"] for one in row["classes"]] == ["box", "box"]
    scales = np.array([2.0, 1.5, 2.0, 1.5])
    assert np.abs(np.array([one["box"] for one in row["classes"]]) - there.boxes() * scales).max() <= 0.5
    numbers = np.asarray(Image.open(tmp_path / "larger.instances.png"))
    assert numbers.shape == (48, 64) and set(np.unique(numbers)) == {0, 1, 2}
    assert runner.invoke(app, words).stdout.count("box 100.0% at ") == 2
    assert row["instances"] == str(tmp_path / "larger.instances.png")
    (cells,) = csv.DictReader(io.StringIO(runner.invoke(app, [*words, "--format", "csv"]).stdout))
    assert [cells[f"box_{rank}"] for rank in (1, 2)] == [" ".join(map(str, one["box"])) for one in row["classes"]]


def test_for_masks_a_classifier_is_forecast_and_no_thief(pairs: Path, tmp_path: Path) -> None:
    page = tmp_path / "spells.html"
    words = ["suggest", str(pairs), "--n", "1", "--size", "32", "--strength", "0.5", "-o", str(page)]
    result = runner.invoke(app, [*words, "--json"])
    assert result.exit_code == 0, result.output
    (spell,) = json.loads(result.stdout)["spells"]
    assert spell["forecast"]["gain"] is None and "classifier" in spell["forecast"]["measure"]
    assert "These images have masks" in page.read_text() and "These images have masks" in result.stderr


def test_data_of_another_kind_are_refused(apart: Path, coco: Path) -> None:
    key = Key.load(apart.with_name("model.key"))
    with pytest.raises(ModelError, match="for segmentation, the model is for instances"):
        score(apart, load_splits(coco), key)


def test_attacks_run_on_instances(apart: Path, coco: Path) -> None:
    words = ["attack", str(apart), str(coco), "--key", str(apart.with_name("model.key")), "--json", "--quiet"]
    names = [word for name in ("fine-tuning", "filters", "stitching") for word in ("--only", name)]
    result = runner.invoke(app, [*words, "--effort", "quick", *names, "--budget", "0.2"])
    assert result.exit_code == 0, result.output
    assert [row["name"] for row in json.loads(result.stdout)["attacks"]] == ["fine-tuning", "filters", "stitching"]


def test_masks_without_numbers_cannot_be_told_apart(pairs: Path, tmp_path: Path) -> None:
    words = ["lock", str(pairs), "--instances", "--spell", SPELL, "-o", str(tmp_path / "model")]
    result = runner.invoke(app, words)
    assert result.exit_code != 0 and "not which object" in str(result.exception)
