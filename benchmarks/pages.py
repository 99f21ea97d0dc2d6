"""Where benchmarks put their tables: between the markers of the README and of the pages in docs/."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))


def put_table(name: str, text: str) -> None:
    """Replaces what stands between `<!-- NAME-table -->` and `<!-- /NAME-table -->` on the one page that has them."""
    begin, end = f"<!-- {name}-table -->", f"<!-- /{name}-table -->"
    (page,) = [path for path in PAGES if begin in path.read_text(encoding="utf-8")]
    head, rest = page.read_text(encoding="utf-8").split(begin)
    page.write_text(f"{head}{begin}\n{text}\n{end}{rest.split(end)[1]}", encoding="utf-8")
