from __future__ import annotations

import json
from pathlib import Path

import pytest

from spellward.plain_json import parse_json, write_json


@pytest.mark.parametrize("opening, closing", [("[", "]"), ('{"a":', "}")])
def test_json_may_be_nested_but_not_without_end(opening: str, closing: str) -> None:
    assert parse_json(opening * 90 + "1" + closing * 90)
    for depth in (110, 9_000, 200_000):
        with pytest.raises(ValueError, match="nested too deeply"):
            parse_json(opening * depth + "1" + closing * depth)


def test_unknown_types_never_become_text(tmp_path: Path) -> None:
    for value in ({1, 2}, Path("x"), float("nan"), b"bytes"):
        with pytest.raises((TypeError, ValueError)):
            write_json(tmp_path / "file.json", {"value": value})
    assert not (tmp_path / "file.json").exists()
    write_json(tmp_path / "file.json", {"b": [1, "ä"], "a": None})
    assert json.loads((tmp_path / "file.json").read_text(encoding="utf-8")) == {"b": [1, "ä"], "a": None}


@pytest.mark.parametrize("text", ['{"a": 1, "a": 2}', "NaN", "[Infinity]", "[1e999]", "{", "[" * 100_000])
def test_loose_json_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        parse_json(text)
