"""A CSV file of answers: its header, and its rows with the probe that each is about."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import TextIO

from spellward.errors import DataError
from spellward.ownership.answers.class_names import ClassNames
from spellward.ownership.answers.exported import TEMPLATE_FILE, probe_file
from spellward.ownership.answers.outputs import DELIMITERS, INDEX_NAMES, delimiter_of, is_number, is_row

FORMAT = f"Write `file,CLASS,CLASS,...` with a score for each class, as in {TEMPLATE_FILE}, or `file,label`."
LABEL_WORDS = ("label", "class", "prediction", "predicted")
_FILE_WORDS = {
    *("", "file", "filename", "file_name", "filepath", "file_path", "path", "image", "image_id", "probe", "probe_id"),
    *INDEX_NAMES,
}
_LONGEST = 1 << 22
_SHOWN = 40
_SUFFIXES = re.compile(r"\.(png|jpe?g|webp|bmp|tiff?)$")


class AnswerTable:
    """A table that is read a row at a time, for it comes from others and may be large.

    Attributes:
        named: Whether a column says which probe a row is about, or counts them.
        bare: Whether it is a row of numbers that looks like the column numbers of pandas and is none.
        width: Columns in all; 0 if there are no rows of answers.
        answers: Places of the columns of answers: all but those that name or count rows.
        columns: Names of the columns of answers; empty if they have none.
    """

    def __init__(self, path: Path, classes: ClassNames, probes: int) -> None:
        """Reads the table once, to see what it is.

        Raises:
            DataError, csv.Error, UnicodeDecodeError: If it is no table.
        """
        self.path, self.classes, self.probes = path, classes, probes
        self._stems = {_stem(probe_file(place)): place for place in range(probes)}
        rows = self._rows()
        first, second = next(rows, []), next(rows, [])
        total = bool(first) + bool(second) + sum(1 for _ in rows)
        self._skipped = int(bool(first) and self._is_header(first, total))
        self._count = total - self._skipped
        self._sample = second if self._skipped else first
        # What `numpy.savetxt` writes above a table begins with this mark.
        header = [re.sub(r"^#\s*", "", first[0]), *first[1:]] if self._skipped else []
        header, uneven = (header, []) if len(header) == len(self._sample) else ([], header)
        self._by_name, self._telling = self._row_columns(header)
        self.named = bool(self._telling)
        # Columns must not go by their places where names were meant to tell them.
        told = self.named or any(self._is_file_word(name) or classes.place(name) is not None for name in uneven)
        if uneven and self._sample and told:
            raise self._uneven(2)
        self.bare = bool(first) and not self._skipped and all(map(is_plain, first)) and not is_row(first)
        self.width = len(self._sample)
        self.answers = [column for column in range(self.width) if column not in self._telling]
        self.columns = [header[column] for column in self.answers] if header else []

    def placed(self) -> Iterator[tuple[int, int, list[str]]]:
        """Yields the number of each row in the file, the place of its probe, and its cells; each probe comes once.

        Raises:
            DataError: If rows are missing, too many, uneven or about something else.
        """
        if not self._by_name and self._count != self.probes:
            raise other_count(self.path, self._count, self.probes)
        seen: set[int] = set()
        for place, cells in zip(count(-self._skipped), self._rows(), strict=False):
            if place < 0:
                continue
            line = place + 1 + self._skipped
            if len(cells) != self.width:
                raise self._uneven(line)
            if self._by_name:
                place = self._probe(cells[self._telling[0]])
            elif uncounted := [one for one in self._telling if not self._counts(one, cells[one], place)]:
                raise DataError(
                    f"Column {uncounted[0] + 1} of {self.path} does not count the rows (row {line}). {FORMAT}"
                )
            if place in seen:
                raise DataError(f"{self.path} has two rows for {probe_file(place)}. Leave one.")
            seen.add(place)
            yield line, place, cells
        missing = next((probe_file(place) for place in range(self.probes) if place not in seen), None)
        if missing is not None:
            raise DataError(
                f"{self.path} has no row for {missing} (rows: {len(seen)}, probes: {self.probes}). Add what is missing."
            )

    def number(self, cell: str, line: int) -> float:
        """What a cell holds.

        Raises:
            DataError: If it is no number. Commas are not taken for decimal points: they may be anything.
        """
        if not is_plain(cell):
            raise DataError(
                f"{self.path} has {shown(cell)} in row {line} where a number belongs. "
                "Write a number with a decimal point in every cell."
            )
        return float(cell)

    def label(self, cell: str, line: int) -> int:
        """The class that a cell names.

        Raises:
            DataError: If it names none.
        """
        place = self.classes.place(cell)
        if place is None:
            raise DataError(f"{self.path} has {shown(cell)} in row {line}, which is no class of the claim. {FORMAT}")
        return place

    def _rows(self) -> Iterator[list[str]]:
        """Yields the cells, without surrounding blanks, of each row that has any."""
        with self.path.open(encoding="utf-8-sig", newline="") as stream:
            first = next((line for line in self._lines(stream) if line.strip()), "")
            stream.seek(0)
            for cells in csv.reader(self._lines(stream), delimiter=self._delimiter(first)):
                stripped = [cell.strip() for cell in cells]
                if any(stripped):
                    yield stripped

    def _delimiter(self, line: str) -> str:
        """What stands between the cells; a name without quotes may hold what stands between cells elsewhere."""
        named = {mark: sum(self.classes.place(cell) is not None for cell in line.split(mark)) for mark in DELIMITERS}
        best = max(named, key=lambda mark: named[mark])
        return best if named[best] else delimiter_of(re.sub(r'"[^"]*"', "", line))

    def _lines(self, stream: TextIO) -> Iterator[str]:
        while line := stream.readline(_LONGEST):
            if len(line) == _LONGEST:
                raise DataError(f"{self.path} has a line that is too long to be one. {FORMAT}")
            yield line

    def _is_header(self, cells: list[str], total: int) -> bool:
        over = total == self.probes + 1
        if not all(is_plain(cell) for cell in cells if cell):
            if len(cells) > 1:
                return _stem(cells[0]) not in self._stems
            return self.classes.place(cells[0]) is None or (over and cells[0].casefold() in LABEL_WORDS)
        if total == self.probes and cells[0]:
            return False
        # Digits may be names of classes: only if the line is one too many, so that no row of answers is lost to them.
        named = cells if cells[0] else cells[1:]
        return not is_row(cells) or (over and self.classes.missing(named) is None)

    def _row_columns(self, header: list[str]) -> tuple[bool, list[int]]:
        """Whether rows are told by the names of probes, and the columns that name or count them, the names first.

        Wherever these stand: pandas writes an index in front of all, and sorts columns by the alphabet.
        """
        if len(self._sample) < 2:
            return False, []
        words = [column for column, name in enumerate(header) if self._is_file_word(name)]
        names = [column for column, cell in enumerate(self._sample) if _stem(cell) in self._stems]
        if len(names) > 1:
            raise DataError(f"{self.path} has two columns with names of probes. Leave one. {FORMAT}")
        if not names and not is_plain(self._sample[0]):
            names = [0]  # names of something else, which the first row will show
        return bool(names), [*names, *(column for column in words if column not in names)]

    def _is_file_word(self, name: str) -> bool:
        return name.casefold() in _FILE_WORDS and self.classes.place(name) is None

    def _counts(self, column: int, cell: str, place: int) -> bool:
        first = float(self._sample[column]) if is_plain(self._sample[column]) else -1.0
        return first in (0, 1) and is_plain(cell) and float(cell) == first + place

    def _probe(self, cell: str) -> int:
        place = self._stems.get(_stem(cell))
        if place is None:
            raise DataError(
                f"{self.path} has a row for {shown(cell)}, which is none of the exported probes ({probe_file(0)} to "
                f"{probe_file(self.probes - 1)}). {FORMAT}"
            )
        return place

    def _uneven(self, line: int) -> DataError:
        return DataError(f"Row {line} of {self.path} has more or fewer cells than the row before. {FORMAT}")


def other_count(path: Path, rows: int, probes: int) -> DataError:
    """What to raise for a file of other probes, or of some of them."""
    return DataError(f"{path} has {rows} rows of answers for {probes} probes. Record one row for each probe.")


def shown(cell: str) -> str:
    """A cell as an error may show it: on one line, and short."""
    return repr(cell if len(cell) <= _SHOWN else cell[:_SHOWN] + "...") if cell else "an empty cell"


def is_plain(cell: str) -> bool:
    """Whether a cell is a number outside Python, too, which takes 1_000 for one."""
    return is_number(cell) and "_" not in cell


def _stem(name: str) -> str:
    """A file's name without folders and suffix: images are moved about, and converted, before they are asked about."""
    return _SUFFIXES.sub("", name.replace("\\", "/").rsplit("/", 1)[-1].casefold())
