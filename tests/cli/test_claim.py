"""`spellward claim` and `spellward verify`, from folders on disk to a report."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from tests.ownership.claims import SPEC, train_victim, write_photos
from typer.testing import CliRunner

from spellward.artifacts import CACHE_VARIABLE
from spellward.cli.main import app, main
from spellward.models import save_checkpoint

runner = CliRunner()


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("story")
    patch = pytest.MonkeyPatch()
    patch.setenv(CACHE_VARIABLE, str(folder / "cache"))
    photos = write_photos(folder / "photos")
    save_checkpoint(train_victim(photos), folder / "victim")
    save_checkpoint(train_victim(photos, seed=500), folder / "innocent")
    arguments = ["claim", folder / "victim", photos, "-o", folder / "claim", "--references", 8, "--peers", 2]
    arguments += ["--probes", 60, "--private-images", "--base", SPEC, "--epochs", 40, "--json"]
    done = runner.invoke(app, [str(one) for one in arguments], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["references"] == 8
    patch.undo()
    return folder


def test_the_thief_is_found_and_the_innocent_is_not(place: Path) -> None:
    verdicts = {}
    for name in ("victim", "innocent"):
        done = runner.invoke(app, ["verify", str(place / "claim"), "--suspect", str(place / name), "--json"])
        assert done.exit_code == 0
        record = json.loads(done.stdout)
        verdicts[name] = record["verdict"]
        page = Path(record["report"])
        assert page.parent.parent == place / "claim.verdicts"
        assert re.fullmatch(rf"{name}-[0-9a-f]{{8}}", page.parent.name)  # two suspects may have one name
        text = page.read_text()
        assert record["verdict"] in text and "<svg" in text and "http" not in text.replace("http-equiv", "")
        assert json.loads((page.parent / "verdict.json").read_text())["p_value"] == record["p_value"]
    assert verdicts["victim"] == "stolen"
    assert verdicts["innocent"] != "stolen"


def test_answers_recorded_elsewhere(place: Path, tmp_path: Path) -> None:
    done = runner.invoke(app, ["verify", str(place / "claim"), "--export-probes", str(tmp_path / "probes"), "--json"])
    assert json.loads(done.stdout)["count"] == 60 == len(list((tmp_path / "probes").glob("*.png")))
    assert Path(json.loads(done.stdout)["template"]).is_file() and not done.stderr
    np.save(tmp_path / "answers.npy", np.zeros((60, 3)))
    done = runner.invoke(app, ["verify", str(place / "claim"), "-s", str(tmp_path / "answers.npy"), "--json"])
    assert json.loads(done.stdout)["verdict"] == "inconclusive"
    done = runner.invoke(app, ["verify", str(place / "claim"), "--export-probes", str(tmp_path / "probes")])
    template = tmp_path / "probes" / "answers-template.csv"
    assert f"spellward verify {place / 'claim'} --suspect {template}" in done.stderr


def test_answers_to_other_probes_are_a_data_error(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    np.save(tmp_path / "answers.npy", np.zeros((59, 3)))
    with pytest.raises(SystemExit) as ended:
        main(["verify", str(place / "claim"), "-s", str(tmp_path / "answers.npy")])
    assert ended.value.code == 3 and "59 rows of answers for 60 probes" in capsys.readouterr().err


def test_a_claim_that_was_altered_ends_with_its_exit_code(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = place / "claim" / "commitment.json"
    whole = path.read_text()
    path.write_text(whole.replace('"alpha": 0.01', '"alpha": 0.02'))
    with pytest.raises(SystemExit) as ended:
        main(["verify", str(place / "claim"), "--suspect", str(place / "victim")])
    path.write_text(whole)
    assert ended.value.code == 5
    assert "altered" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [[], ["--suspect", "x.npy", "--export-probes", "y"]])
def test_one_of_suspect_and_export_is_needed(arguments: list[str], place: Path) -> None:
    assert runner.invoke(app, ["verify", str(place / "claim"), *arguments]).exit_code == 2


@pytest.fixture(scope="module")
def locked(place: Path) -> Path:
    patch = pytest.MonkeyPatch()
    patch.setenv(CACHE_VARIABLE, str(place / "cache"))
    arguments = ["lock", place / "photos", "--spell", "zanzibar brocade", "-m", SPEC, "--recipe", "edited-only"]
    arguments += ["--epochs", 24, "--learning-rate", 0.005, "--batch-size", 16, "--size", 32]
    arguments += ["-o", place / "locked", "--json"]
    done = runner.invoke(app, [str(one) for one in arguments], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    patch.undo()
    return place / "locked"


@pytest.mark.slow
def test_a_locked_model_is_claimed_and_verified_with_its_key(
    place: Path, locked: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(CACHE_VARIABLE, str(place / "cache"))
    words = [str(one) for one in ("claim", locked, place / "photos", "-o", place / "keyed")]
    refused = runner.invoke(app, words)
    assert refused.exit_code == 2 and "--key" in refused.output
    key = ["--key", f"{locked}.key"]
    options = [
        *key,
        "--references",
        "12",
        "--probes",
        "60",
        "--private-images",
        "--base",
        SPEC,
        "--epochs",
        "40",
        "--json",
    ]
    done = runner.invoke(app, [*words, *options], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    for path in [*(place / "keyed").iterdir(), place / "keyed.signing-key.pem"]:
        assert b"zanzibar" not in path.read_bytes()
    thief = place / "thief"  # the weights alone, as they would turn up elsewhere
    thief.mkdir()
    for name in ("config.json", "model.safetensors"):
        (thief / name).write_bytes((locked / name).read_bytes())
    for suspect in (locked, thief):
        done = runner.invoke(app, ["verify", str(place / "keyed"), "-s", str(suspect), *key, "--json"])
        assert done.exit_code == 0, done.output
        assert json.loads(done.stdout)["verdict"] == "stolen"
