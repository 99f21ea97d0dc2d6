"""JSON as the standard has it: what Spellward writes, and what it takes from others."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from spellward.artifacts import atomic_write

_DEEPEST = 100


def write_json(path: str | Path, value: Any, mode: int = 0o644) -> None:
    """Writes plain JSON; a value that JSON does not know is an error here, never text by accident."""
    atomic_write(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n", mode)


def parse_json(text: str) -> Any:
    """Reads JSON as the standard has it: no field twice, no NaN or infinity, no nesting without end.

    Raises:
        ValueError: For anything else.
    """
    try:
        value = json.loads(text, object_pairs_hook=_unique, parse_constant=_refuse_constant, parse_float=_finite)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    level = [value]
    for _ in range(_DEEPEST):  # some versions of Python read what their own functions then cannot walk through
        level = [part for one in level for part in _parts_of(one)]
        if not level:
            return value
    raise ValueError("nested too deeply")


def _parts_of(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise ValueError("a field stands twice")
    return fields


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text} is too large")
    return value


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")
