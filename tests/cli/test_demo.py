"""`spellward demo` with as little as it takes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from spellward.artifacts import CACHE_VARIABLE
from spellward.cli.main import app


@pytest.mark.slow
def test_the_demo_tells_of_both_locks_to_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    words = [
        "demo",
        "-o",
        str(tmp_path / "demo"),
        "--limit",
        "100",
        "--epochs",
        "1",
        "--no-claim",
        "--json",
    ]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    record = json.loads(done.stdout)
    assert Path(record["report"]).is_file() and (tmp_path / "demo" / "locked.key").is_file()
    assert (tmp_path / "demo" / "locked-masks.report" / "report.html").is_file() and record["masks_lp"] is not None
    assert {"vanilla", "up", "lp", "label", "with the key", "without a key"} <= set(record)
