"""Recorded outputs: arrays in files from others, read without pickles and within bounds."""

from __future__ import annotations

import contextlib
import io
import math
import os
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spellward.errors import DataError

Floats = NDArray[np.float64]

_MAX_BYTES = 1 << 30
INDEX_NAMES = ("", "id", "idx", "index", "row", "unnamed: 0")
_NAMES = ("outputs", "logits", "probabilities", "probs", "labels", "arr_0")
_HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
DELIMITERS = ",;\t"


def load_outputs(path: str | Path) -> Floats:
    """Reads what a model said about N inputs.

    Args:
        path: `.npy`; `.npz` with one array (or one named `outputs`, `logits` or `probabilities`); `.csv` with
            one row for each input, a header line being skipped (`answers.file` reads tables by their names).

    Returns:
        float64 of the shape in the file, usually [N, K] logits or probabilities, or [N] class numbers.

    Raises:
        DataError: If the file is missing, too large, empty, truncated, pickled or holds anything but numbers.
    """
    path = Path(path)
    reader = {".npy": _read_npy_file, ".npz": _read_npz_file, ".csv": _read_csv_file}.get(path.suffix.lower())
    if reader is None:
        raise DataError(f"{path} is neither .npy, .npz nor .csv. Save the outputs as one of these.")
    with readable(path):
        values = reader(path)
    if values.size == 0:
        raise DataError(f"{path} holds no outputs. Record the outputs again.")
    return values


@contextlib.contextmanager
def readable(path: Path) -> Iterator[None]:
    """Looks whether a file is there and of a size that can be read before anything is read from it.

    Raises:
        DataError: If not, or if it cannot be read after all.
    """
    try:
        size = path.stat().st_size
        if not path.is_file():
            raise DataError(f"{path} is no file. Name a file of outputs.")
        if size > _MAX_BYTES:
            raise DataError(f"{path} is larger than {_MAX_BYTES >> 30} GiB. Record outputs for fewer inputs.")
        if size == 0:
            raise DataError(f"{path} is empty. Record the outputs again.")
        yield
    except OSError as error:
        raise DataError(f"{path} cannot be read ({os.strerror(error.errno or 0)}). Name another file.") from error


def as_outputs(values: ArrayLike, name: str) -> Floats:
    """An array that can be reasoned from: float64 [N, K], finite but for -inf (log of zero), K of 2 or more.

    Raises:
        DataError: If it is not.
    """
    array = _as_floats(as_array(values), name)
    if array.ndim != 2 or array.shape[0] < 1 or array.shape[1] < 2:
        raise DataError(f"The outputs of {name} have the shape {list(array.shape)}. Give [inputs, classes].")
    if not usable(array):
        raise DataError(f"The outputs of {name} hold NaN or infinite values. Record them again.")
    return array


def as_array(values: Any) -> np.ndarray:
    """An array of whatever a model answers with: tensors of any device and precision, with or without gradients."""
    if hasattr(values, "detach"):
        plain = values.detach().cpu()
        return np.asarray(plain.double() if plain.is_floating_point() else plain)
    return np.asarray(values)


def usable(array: Floats) -> bool:
    """Whether every row has a finite largest value; -inf elsewhere is the logarithm of a probability of zero."""
    return bool(np.isfinite(array.max(axis=1)).all()) if array.size else False


def _as_floats(array: np.ndarray, name: str | Path) -> Floats:
    _check_kind(array.dtype, name)
    return array.astype(np.float64)


def _check_kind(dtype: np.dtype[Any], name: str | Path) -> None:
    if dtype.kind not in "biuf":
        raise DataError(f"{name} holds values of type {dtype}, not plain numbers. Save an array of floats.")


def _read_npy_file(path: Path) -> Floats:
    with path.open("rb") as stream:
        return _read_npy(stream, path)


def _read_npy(stream: IO[bytes], path: Path) -> Floats:
    # Not `numpy.load`: it allocates whatever the header asks for before it looks whether the file has it.
    try:
        header = _HEADERS[np.lib.format.read_magic(stream)]
        shape, fortran, dtype = header(stream)
    except Exception as error:  # a header is text that numpy parses as Python, which fails in many ways
        raise DataError(f"{path} is no valid .npy data. Write it with numpy.save.") from error
    if dtype.hasobject:
        raise DataError(f"{path} holds pickled objects, which are never loaded. Save a plain array of floats.")
    _check_kind(dtype, path)
    if any(isinstance(side, bool) or not isinstance(side, int) for side in shape):
        raise DataError(f"{path} is no valid .npy data. Write it with numpy.save.")
    wanted = math.prod(shape) * dtype.itemsize
    # Small types grow when they become float64.
    if any(side < 0 for side in shape) or math.prod(shape) * max(dtype.itemsize, 8) > _MAX_BYTES:
        raise DataError(f"{path} is larger than {_MAX_BYTES >> 30} GiB. Record outputs for fewer inputs.")
    content = stream.read(wanted)
    if len(content) < wanted:
        raise DataError(f"{path} is cut short. Record the outputs again.")
    try:
        array = np.frombuffer(content, dtype=dtype).reshape(shape, order="F" if fortran else "C")
    except ValueError as error:
        raise DataError(f"{path} announces an array that cannot be. Record the outputs again.") from error
    return _as_floats(array, path)


def _read_npz_file(path: Path) -> Floats:
    try:
        with zipfile.ZipFile(path) as archive:
            members = {name.removesuffix(".npy"): name for name in archive.namelist() if name.endswith(".npy")}
            chosen = list(members) if len(members) == 1 else [name for name in _NAMES if name in members]
            if not chosen:
                raise DataError(f"{path} holds {len(members)} arrays. Keep one, or name it `outputs`.")
            with archive.open(members[chosen[0]]) as stream:
                return _read_npy(io.BytesIO(stream.read(_MAX_BYTES)), path)
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError) as error:
        raise DataError(f"{path} is no valid .npz file. Write it with numpy.savez.") from error


def _read_csv_file(path: Path) -> Floats:
    try:
        with path.open(encoding="utf-8-sig") as lines:
            first = lines.readline()
            delimiter = delimiter_of(first)
            second = [cell.strip() for cell in lines.readline().split(delimiter)]
            lines.seek(0)
            skipped = 0 if is_row([cell.strip() for cell in first.split(delimiter)]) else 1
            # Names of files may stand in front of what was said about them.
            named = len(second) > 1 and not is_number(second[0]) and is_number(second[1])
            columns = range(1, len(second)) if named else None
            table = np.loadtxt(lines, delimiter=delimiter, skiprows=skipped, ndmin=2, dtype=np.float64, usecols=columns)
            return table[:, 1:] if not named and _is_numbered(first, delimiter, table) else table
    except ValueError as error:
        raise DataError(
            f"{path} is no table of numbers. Write one row for each input and one column for each class, numbers with "
            "a decimal point and no cell empty; one line of names may stand above them."
        ) from error


def delimiter_of(line: str) -> str:
    """What stands between the cells of a table, by a line of it."""
    return next((mark for mark in DELIMITERS if mark in line), ",")


def is_row(cells: list[str]) -> bool:
    """Whether a line is one of numbers, some of which may be missing, and not of names.

    Nor may it count columns from 0, three or more or behind one without a name: pandas names columns so.
    """
    named = cells if cells[0] else cells[1:]
    if (len(named) > 2 or not cells[0]) and counts_columns(named):
        return False
    return all(is_number(cell) for cell in cells if cell)


def counts_columns(cells: list[str]) -> bool:
    """Whether cells are 0, 1, 2 and so on."""
    return cells == [str(place) for place in range(len(cells))]


def _is_numbered(header: str, delimiter: str, table: Floats) -> bool:
    """Whether the first column counts the rows and has no name, as the index of a pandas table, or one that says so."""
    name = header.split(delimiter)[0].strip(" \"'").casefold()
    counted = table[:, 0] - table[0, 0] if len(table) and table[0, 0] in (0, 1) else table[:, 0]
    return table.shape[1] > 1 and name in INDEX_NAMES and np.array_equal(counted, np.arange(len(table)))


def is_number(cell: str) -> bool:
    """Whether a cell is a number; NaN and infinities are, though of no use."""
    try:
        float(cell)
    except ValueError:
        return False
    return True
