"""Names of classes as tables have them, where case, surrounding blanks and a spreadsheet's marks do not count."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

from spellward.ownership.exported import FORMULA


class ClassNames:
    """The victim's classes, found by a cell of a table.

    Attributes:
        names: In the victim's order.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self.names = tuple(names)
        self._exact = len({_folded(name) for name in names}) < len(names)  # "a" and "A" are two classes then
        self._places = {self._key(name): place for place, name in enumerate(self.names)}

    def place(self, cell: str) -> int | None:
        """The number of the class that a cell names; `None` if it names none."""
        return self._places.get(self._key(cell))

    def missing(self, cells: Sequence[str]) -> str | None:
        """The first class that no cell names; `None` if all are named."""
        there = {self._key(cell) for cell in cells}
        return next((name for name in self.names if self._key(name) not in there), None)

    def _key(self, text: str) -> str:
        return text.strip() if self._exact else _folded(text)


def _folded(text: str) -> str:
    text = unicodedata.normalize("NFC", text).strip()
    return (text[1:] if text.startswith("'") and text[1:].startswith(FORMULA) else text).casefold()
