"""Imports go one way; see CONTRIBUTING."""

from __future__ import annotations

import ast
import importlib.util
import subprocess
import sys
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "spellward"
ORDER = (
    {"errors"},
    {"hardware"},
    {"hub", "keys", "artifacts", "manifest", "plain_json", "sealing"},
    {"data"},
    {"models"},
    {"editors"},
    {"attacks"},
    {"locking", "ownership"},
    {"reports"},
    {"cli"},
)
LEVELS = {name: level for level, names in enumerate(ORDER) for name in names}
APART = {
    ("locking", "ownership"),
    ("ownership", "locking"),
    ("artifacts", "keys"),
    ("artifacts", "manifest"),
    ("artifacts", "plain_json"),
    ("sealing", "keys"),
}
FILES = sorted(SOURCE.rglob("*.py"))


def imported(source: str) -> Iterator[tuple[int, str]]:
    """Yields line and stage of every import from this package, wherever in the file; "" for the package root."""
    for node in ast.walk(ast.parse(source)):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                yield node.lineno, "relative"
            module = node.module or ""
            names = [f"spellward.{alias.name}" for alias in node.names] if module == "spellward" else [module]
        for name in names:
            first, _, rest = name.partition(".")
            if first == "spellward":
                stage = rest.split(".")[0]
                yield node.lineno, stage if stage in LEVELS else ""


def faults(source: str, stage: str) -> list[str]:
    found = []
    for line, other in imported(source):
        if other == "relative":
            found.append(f"line {line}: relative import")
        elif not other:
            found.append(f"line {line}: imports the package root")
        elif LEVELS[other] > LEVELS[stage] or (stage, other) in APART:
            found.append(f"line {line}: {stage} imports {other}")
    return found


@pytest.mark.parametrize(
    "path", [path for path in FILES if path.parent != SOURCE or not path.stem.startswith("__")], ids=str
)
def test_imports_go_one_way(path: Path) -> None:
    stage = path.relative_to(SOURCE).parts[0].removesuffix(".py")
    assert stage in LEVELS, f"{stage} has no place in ORDER"
    assert not faults(path.read_text(encoding="utf-8"), stage)


@pytest.mark.parametrize(
    ("source", "stage", "fault"),
    [
        ("from spellward.cli import main", "data", "data imports cli"),
        ("def f():\n    import spellward.locking.lock", "ownership", "ownership imports locking"),
        ("from spellward import Key", "cli", "package root"),
        ("from spellward import cli", "reports", "reports imports cli"),
        ("import spellward", "cli", "package root"),
        ("from . import base", "editors", "relative"),
    ],
)
def test_the_check_sees_a_wrong_import(source: str, stage: str, fault: str) -> None:
    assert any(fault in one for one in faults(source, stage))


def test_the_check_allows_the_right_way() -> None:
    assert not faults("from spellward.errors import DataError\nimport spellward.data\nimport spellwardian", "locking")


def parts_of(stage: str) -> dict[str, set[str]]:
    """What each folder and file of a stage takes from the others, at the head of its modules."""
    taken: dict[str, set[str]] = {}
    for path in sorted((SOURCE / stage).rglob("*.py")):
        part = path.relative_to(SOURCE / stage).parts[0].removesuffix(".py")
        others = taken.setdefault(part, set())
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(f"spellward.{stage}."):
                others.add((node.module or "").split(".")[2])
        others.discard(part)
    taken.pop("__init__", None)
    return taken


@pytest.mark.parametrize("stage", ["attacks", "editors", "locking", "models", "ownership", "reports"])
def test_folders_of_a_stage_can_be_put_in_an_order(stage: str) -> None:
    TopologicalSorter(parts_of(stage)).prepare()  # raises where they go in a circle


def test_a_circle_is_seen() -> None:
    with pytest.raises(CycleError):
        TopologicalSorter({**parts_of("locking"), "training": {"lock"}}).prepare()


def test_importing_the_package_loads_nothing_heavy() -> None:
    code = "import sys, spellward, spellward.cli.main; print(*{'torch', 'transformers', 'numpy'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


BENCHMARKS = sorted((SOURCE.parents[1] / "benchmarks").glob("*.py"))


@pytest.mark.parametrize("path", BENCHMARKS, ids=lambda path: path.stem)
def test_what_a_benchmark_takes_from_the_package_is_there(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "spellward":
            for alias in node.names:
                assert is_there(node.module or "", alias.name), f"{path.name} takes {alias.name} from {node.module}"


def is_there(module: str, name: str) -> bool:
    """Whether it is a module, or stands in the source of one, which may need what is not installed here."""
    spec = importlib.util.find_spec(module)
    if spec is None or spec.origin is None:
        return False
    if spec.submodule_search_locations is not None and importlib.util.find_spec(f"{module}.{name}") is not None:
        return True
    return name in Path(spec.origin).read_text()
