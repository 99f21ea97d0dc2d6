"""`spellward suggest`: a table, JSON, and a page for the owner alone."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest
from typer.testing import CliRunner

from spellward.artifacts import CACHE_VARIABLE
from spellward.cli.main import app

runner = CliRunner()


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))


def test_a_table_and_a_page(photos: Path, tmp_path: Path) -> None:
    page = tmp_path / "spells.html"
    words = ["suggest", str(photos), "--n", "2", "--spell", "a <b>dragon</b>", "--size", "32"]
    words += ["--strength", "0.4", "-o", str(page)]
    result = runner.invoke(app, words)
    assert result.exit_code == 0, result.output
    assert "a <b>dragon</b>" in result.stdout
    text = page.read_text()
    assert stat.S_IMODE(page.stat().st_mode) == 0o600
    assert text.count("data:image/png") == 3 * 4
    assert "<b>dragon" not in text and "owner alone" in text


def test_json_and_objects(photos: Path) -> None:
    result = runner.invoke(app, ["suggest", str(photos), "--n", "2", "--editor", "object", "--size", "32", "--json"])
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    assert len(document["spells"]) == 2 and document["report"] is None
    assert {"spell", "forecast", "kept", "crossed", "distance", "apart", "change", "edges"} <= set(
        document["spells"][0]
    )


def test_wrong_words_end_with_one_sentence(tmp_path: Path) -> None:
    assert runner.invoke(app, ["suggest", str(tmp_path / "nothing")]).exit_code != 0
    assert runner.invoke(app, ["suggest", "sample:fashion", "--n", "0"]).exit_code == 2
    assert runner.invoke(app, ["suggest", "sample:fashion", "--recipe", "none"]).exit_code == 2
    assert runner.invoke(app, ["suggest", "sample:fashion", "--strength", "1.5"]).exit_code == 2
    assert runner.invoke(app, ["suggest", "sample:fashion", "--spell", " "]).exit_code == 2
    assert runner.invoke(app, ["suggest", "sample:fashion", "-o", str(tmp_path)]).exit_code == 2
