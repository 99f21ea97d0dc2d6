"""Where benchmarks put their tables: between the markers of the README."""

from __future__ import annotations

from pathlib import Path

README = Path(__file__).parents[1] / "README.md"


def put_table(name: str, text: str) -> None:
    """Replaces what stands between `<!-- NAME-table -->` and `<!-- /NAME-table -->`."""
    begin, end = f"<!-- {name}-table -->", f"<!-- /{name}-table -->"
    head, rest = README.read_text(encoding="utf-8").split(begin)
    README.write_text(f"{head}{begin}\n{text}\n{end}{rest.split(end)[1]}", encoding="utf-8")
