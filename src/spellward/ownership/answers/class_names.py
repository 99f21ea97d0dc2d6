"""Names of classes as tables have them, where case, surrounding blanks and a spreadsheet's marks do not count."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

from spellward.ownership.answers.exported import FORMULA


class ClassNames:
    """The victim's classes, found by a cell of a table.

    Attributes:
        names: In the victim's order.
        told_apart: Whether each has a name of its own in a table, where blanks around names do not count.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self.names = tuple(names)
        self._exact = len({_folded(name) for name in names}) < len(names)  # "a" and "A" are two classes then
        self._places = {self._key(name): place for place, name in enumerate(self.names)}
        self.told_apart = len(self._places) == len(self.names)
        numbers = [_whole(name) for name in self.names]
        self._numbers = {one: place for place, one in enumerate(numbers) if one is not None and numbers.count(one) == 1}

    def place(self, cell: str) -> int | None:
        """The number of the class that a cell names; `None` if it names none. Of names that are numbers, 2.0 is 2."""
        found = self._places.get(self._key(cell))
        number = _whole(cell) if found is None else None
        return found if number is None else self._numbers.get(number)

    def missing(self, cells: Sequence[str]) -> str | None:
        """The first class that no cell names; `None` if all are named."""
        there = {self._key(cell) for cell in cells}
        return next((name for name in self.names if self._key(name) not in there), None)

    def _key(self, text: str) -> str:
        return _plain(text) if self._exact else _folded(text)


def _folded(text: str) -> str:
    return _plain(text).casefold()


def _plain(text: str) -> str:
    text = unicodedata.normalize("NFC", text).strip()
    return text[1:] if text.startswith("'") and text[1:].startswith(FORMULA) else text


def _whole(text: str) -> int | None:
    """The whole number that a text is, as tables write it: 2, 02 or 2.0."""
    found = re.fullmatch(r"(\d{1,15})(\.0*)?", text.strip())
    return int(found[1]) if found else None
