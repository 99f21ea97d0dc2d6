from __future__ import annotations

import json
from pathlib import Path

import pytest

from spellward.cli.main import main


def test_the_cache_is_shown_and_cleared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SPELLWARD_CACHE", str(tmp_path / "cache"))
    (tmp_path / "cache" / "edits").mkdir(parents=True)
    (tmp_path / "cache" / "edits" / "some.images").write_bytes(bytes(1500))

    def run(*arguments: str) -> str:
        with pytest.raises(SystemExit) as ended:
            main(["cache", *arguments])
        assert ended.value.code == 0
        return capsys.readouterr().out

    assert json.loads(run("show", "--json")) == {"folder": str(tmp_path / "cache"), "bytes": 1500}
    assert "0.0 MB" in run("show")
    assert json.loads(run("clear", "--json"))["freed_bytes"] == 1500
    assert json.loads(run("show", "--json"))["bytes"] == 0


def test_a_cache_that_cannot_be_made_ends_with_9(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("SPELLWARD_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", "/proc/x")
    with pytest.raises(SystemExit) as ended:
        main(["cache", "show"])
    said = capsys.readouterr().err
    assert ended.value.code == 9
    assert said.startswith("Cannot write /proc/x/spellward: ") and said.count("\n") == 1
