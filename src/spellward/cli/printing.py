"""How a command prints what it found: records on stdout, hints and warnings on stderr."""

from __future__ import annotations

import json
from typing import Any

import typer


def print_record(record: dict[str, Any], as_json: bool) -> None:
    """Prints a flat record on stdout: one JSON object, or a line for each field that is not `None`, rounded."""
    if as_json:
        typer.echo(json.dumps(record, indent=2, ensure_ascii=False, allow_nan=False))
        return
    width = max(map(len, record), default=0)
    for name, value in record.items():
        if value is not None:
            typer.echo(f"{name.replace('_', ' '):<{width}}  {_text(value)}")


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def warn(text: str) -> None:
    """Says on stderr what is wrong with a result, also where hints are not wanted."""
    typer.echo(f"Warning: {text}", err=True)


def hint(text: str, quiet: bool = False) -> None:
    """Says on stderr what to do next."""
    if not quiet:
        typer.echo(text, err=True)
