"""One progress display for long commands, on stderr: bars on a terminal, and elsewhere a line now and then."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

if TYPE_CHECKING:
    from spellward.data.progress import Report

_SECONDS = 10.0
"""From one line about a stage to the next: logs of hours stay short, and nobody takes the program for dead."""


class Lines:
    """Progress as plain lines "stage done/total": when a stage begins, when it ends, and now and then between.

    Args:
        write: Takes a line, without its end.
        clock: Seconds, from anywhere on.
    """

    def __init__(self, write: Callable[[str], None], clock: Callable[[], float] = time.monotonic) -> None:
        self._write, self._clock = write, clock
        self._seen: dict[str, tuple[int, int]] = {}
        self._told: dict[str, float] = {}

    def __call__(self, stage: str, done: int, total: int) -> None:
        before = self._seen.get(stage)
        if before == (done, total):
            return
        self._seen[stage] = (done, total)
        now = self._clock()
        # Stages of one name follow one another: there are three splits to prepare.
        begins = before is None or done < before[0] or total != before[1]
        if begins or done >= total or now - self._told[stage] >= _SECONDS:
            self._told[stage] = now
            self._write(f"{stage} {done}/{total}")


@contextmanager
def stages(quiet: bool, clock: Callable[[], float] = time.monotonic) -> Iterator[Report]:
    """Gives a function (stage, steps done, steps in all) that keeps one bar for each stage.

    Where stderr is no terminal it prints lines instead, and so do the bars of reading and preparing images.

    Args:
        quiet: Shows nothing at all.
        clock: Seconds, by which lines are spaced.
    """
    console = Console(stderr=True)
    if quiet or not console.is_terminal:
        # It takes seconds to import, and `--help` comes by here.
        from spellward.data.progress import silence, told_instead_of_bars

        report = silence if quiet else Lines(_print, clock)
        with told_instead_of_bars(report):
            yield report
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console) as bar:
        tasks: dict[str, TaskID] = {}

        def draw(stage: str, done: int, total: int) -> None:
            if stage not in tasks:
                tasks[stage] = bar.add_task(stage, total=total)
            bar.update(tasks[stage], completed=done, total=total)

        yield draw


def _print(line: str) -> None:
    # Whoever read the lines may have gone (`lock ... 2>&1 | head`), which must not end hours of work.
    with suppress(OSError):
        typer.echo(line, err=True)
