from __future__ import annotations

import os
import pty
from collections.abc import Iterator

import pytest

from spellward.cli import progress
from spellward.cli.progress import Lines, stages
from spellward.data.progress import progress_bar


def ticking(seconds: float) -> Iterator[float]:
    now = 1000.0
    while True:
        yield now
        now += seconds


def lines_of(steps: list[tuple[str, int, int]], seconds: float) -> list[str]:
    written: list[str] = []
    lines = Lines(written.append, ticking(seconds).__next__)
    for step in steps:
        lines(*step)
    return written


def test_a_stage_is_told_of_when_it_begins_and_when_it_ends() -> None:
    assert lines_of([("Training", done, 600) for done in range(1, 601)], 0.01) == ["Training 1/600", "Training 600/600"]


def test_a_long_stage_is_told_of_every_ten_seconds() -> None:
    told = lines_of([("Training", done, 100) for done in range(1, 101)], 1.0)
    assert told == [f"Training {done}/100" for done in (*range(1, 100, 10), 100)]


def test_stages_of_one_name_begin_anew_and_nothing_is_told_twice() -> None:
    steps = [("Preparing", 0, 5), ("Preparing", 5, 5), ("Preparing", 0, 5), ("Preparing", 5, 5), ("Preparing", 5, 5)]
    assert lines_of(steps, 0.01) == ["Preparing 0/5", "Preparing 5/5"] * 2
    assert lines_of([("A", 1, 9), ("B", 1, 9), ("A", 2, 9), ("B", 2, 9)], 0.01) == ["A 1/9", "B 1/9"]


def work(quiet: bool) -> None:
    with stages(quiet, ticking(1.0).__next__) as report:
        report("Training", 1, 2)
        report("Training", 2, 2)
        with progress_bar("Reading", 7) as advance:
            advance(7)
        with progress_bar("Unseen", 7, shown=False) as advance:
            advance(7)
        with progress_bar("Done before", 0):
            pass


def test_where_there_is_no_terminal_lines_go_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    work(quiet=False)
    assert capsys.readouterr() == ("", "Training 1/2\nTraining 2/2\nReading 0/7\nReading 7/7\n")
    with progress_bar("Later", 7) as advance:
        advance(7)
    assert capsys.readouterr() == ("", "")


def test_quiet_is_quiet(capsys: pytest.CaptureFixture[str]) -> None:
    work(quiet=True)
    assert capsys.readouterr() == ("", "")


def test_a_terminal_gets_bars_unless_they_are_silenced(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = pty.openpty()
    monkeypatch.setenv("TERM", "xterm")
    with open(theirs, "w", closefd=False) as terminal:
        monkeypatch.setattr("sys.stderr", terminal)
        work(quiet=True)
        os.write(theirs, b"|")
        work(quiet=False)
    before, _, after = os.read(ours, 100_000).decode().partition("|")
    os.close(ours)
    os.close(theirs)
    assert before == ""
    assert "Training" in after and "\x1b[" in after and "Training 1/2\r\n" not in after


def test_a_reader_that_has_gone_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(*_: object, **__: object) -> None:
        raise BrokenPipeError

    monkeypatch.setattr(progress.typer, "echo", gone)
    work(quiet=False)
