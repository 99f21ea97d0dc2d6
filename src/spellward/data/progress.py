"""How long work is shown: the data stage's own bar, on a terminal alone, and what callers may pass in instead."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from rich.console import Console
from rich.progress import Progress

Report = Callable[[str, int, int], None]
"""Told (what is being done, steps done, steps in all)."""

_instead: ContextVar[Report | None] = ContextVar("told instead of bars", default=None)


@contextmanager
def told_instead_of_bars(report: Report) -> Iterator[None]:
    """Has a function told what bars would show; they draw nothing meanwhile."""
    token = _instead.set(report)
    try:
        yield
    finally:
        _instead.reset(token)


def bars_are_drawn() -> bool:
    """Whether no function is told instead."""
    return _instead.get() is None


@contextmanager
def progress_bar(title: str, total: int, shown: bool = True) -> Iterator[Callable[[int], None]]:
    """Gives a function that is told how many more items are done."""
    if (report := _instead.get()) is not None:
        yield _counter(report if shown and total > 0 else silence, title, total)
        return
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not (shown and console.is_terminal)) as progress:
        task = progress.add_task(title, total=total)
        yield lambda count: progress.update(task, advance=count)


def _counter(report: Report, title: str, total: int) -> Callable[[int], None]:
    done = 0
    report(title, done, total)

    def advance(count: int) -> None:
        nonlocal done
        done += count
        report(title, done, total)

    return advance


def silence(stage: str, done: int, total: int) -> None:
    """Says nothing."""
