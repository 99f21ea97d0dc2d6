"""The README and the pages beside it: links lead somewhere, tables have one place, and commands are real."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import typer

from spellward.cli.main import app

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
LINK = re.compile(r"\]\(([^)\s]+)\)")
MARKER = re.compile(r"<!-- ([a-z-]+)-table -->")


def anchors(text: str) -> set[str]:
    """What headings can be linked to by, as GitHub names them."""
    headings = re.findall(r"^#+ (.+)$", text, flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def shown_commands() -> list[str]:
    """Every line of a README block that calls `spellward`."""
    blocks = re.findall(r"^```\w*\n(.*?)^```", (ROOT / "README.md").read_text(), flags=re.MULTILINE | re.DOTALL)
    return [line for block in blocks for line in block.splitlines() if line.startswith("spellward ")]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_to_files_and_headings_that_exist(page: Path) -> None:
    for link in LINK.findall(page.read_text()):
        if "://" in link:
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path) if path else page
        assert target.exists(), f"{page.name} links to {link}"
        assert not anchor or anchor in anchors(target.read_text()), f"{page.name} links to {link}"


def test_every_table_of_a_benchmark_has_one_place() -> None:
    placed = [name for page in PAGES for name in MARKER.findall(page.read_text())]
    scripts = "".join(path.read_text() for path in (ROOT / "benchmarks").glob("*.py"))
    assert sorted(placed) == sorted(set(re.findall(r'put_table\("([a-z-]+)"', scripts)))


@pytest.mark.parametrize("line", shown_commands())
def test_commands_of_the_readme_have_the_options_that_they_show(line: str) -> None:
    command = typer.main.get_command(app)
    words = shlex.split(line, comments=True)[1:]
    chosen = command.commands[words[0]]  # type: ignore[attr-defined]
    known = {option for parameter in chosen.params for option in (*parameter.opts, *parameter.secondary_opts)}
    assert {word for word in words if word.startswith("-")} <= known


def test_commands_are_found() -> None:
    assert {line.split()[1] for line in shown_commands()} >= {"lock", "predict", "score", "attack", "claim", "verify"}
