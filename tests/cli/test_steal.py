"""`spellward steal`, and that a claim finds what it took."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.ownership.claims import train_victim, write_photos
from typer.testing import CliRunner

from spellward.artifacts import CACHE_VARIABLE
from spellward.cli.main import app, main
from spellward.models import load_checkpoint, save_checkpoint

runner = CliRunner()


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("thief")
    patch = pytest.MonkeyPatch()
    patch.setenv(CACHE_VARIABLE, str(folder / "cache"))
    save_checkpoint(train_victim(write_photos(folder / "photos", each=30)), folder / "victim")
    patch.undo()
    return folder


def steal(place: Path, *more: str) -> list[str]:
    return ["steal", str(place / "victim"), str(place / "photos"), *more]


def test_a_theft_ends_in_an_ordinary_checkpoint(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CACHE_VARIABLE, str(place / "cache"))
    arguments = steal(place, "--how", "prune-50", "-o", str(place / "thief"), "--epochs", "2", "--json")
    done = runner.invoke(app, arguments, catch_exceptions=False)
    record = json.loads(done.stdout)
    assert done.exit_code == 0 and record["needs"] == "weights"
    assert 0 <= record["agreement"] <= 1 and 0 <= record["accuracy"] <= 1
    assert load_checkpoint(place / "thief").classes == ("blue", "green", "red")


def test_an_unknown_theft_lists_them_all(place: Path) -> None:
    done = runner.invoke(app, steal(place, "--how", "magic", "-o", str(place / "other")))
    assert done.exit_code == 2 and "hard-label" in done.output


def test_an_option_that_makes_no_difference_is_refused(place: Path) -> None:
    done = runner.invoke(app, steal(place, "--how", "copy", "-o", str(place / "other"), "--queries", "50"))
    assert done.exit_code == 2 and "--queries" in done.output and not (place / "other").exists()


def test_nothing_is_written_over(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(steal(place, "--how", "copy", "-o", str(place / "victim")))
    assert ended.value.code == 5 and "exists" in capsys.readouterr().err


def test_the_folder_one_is_in_is_no_place_for_a_thief(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(steal(place, "--how", "retrain", "-o", "."))
    assert ended.value.code == 5 and "Name one" in capsys.readouterr().err


def test_a_place_that_cannot_be_written_is_refused_before_the_work(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(steal(place, "--how", "retrain", "-o", "/proc/nowhere/thief"))
    assert ended.value.code == 9 and "/proc/nowhere" in capsys.readouterr().err
