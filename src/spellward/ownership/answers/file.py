"""Recorded answers -> outputs in the order of probes and classes, which tables may tell by names."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from spellward.errors import DataError
from spellward.ownership.answers.class_names import ClassNames
from spellward.ownership.answers.exported import TEMPLATE_FILE, probe_file
from spellward.ownership.answers.outputs import Floats, counts_columns, load_outputs, readable
from spellward.ownership.answers.table import FORMAT, LABEL_WORDS, AnswerTable, is_plain, other_count, shown

_SLACK = 0.01


def read_answers(path: str | Path, classes: Sequence[str], probes: int) -> Floats:
    """Reads what a suspect said about the probes.

    A `.csv` may be a bare table, as `load_outputs` takes it. Where its header names the victim's classes, columns are
    told by name and others left out; where its first column has the names of the exported probes, so are rows. A
    single column, or one headed `label` behind the names, holds names of classes or class numbers. What
    `spellward predict --format csv` prints is taken with all scores if it tells all classes, else as labels.

    Args:
        path: `.npy`, `.npz` or `.csv`.
        classes: The victim's, in its order.
        probes: How many were asked about.

    Returns:
        float64 [N, K] scores, or [N] or [N, 1] class numbers. Whether they can be judged is for `judge`.

    Raises:
        DataError: If the file cannot be read, its rows or names are not those of the probes and classes, or it could
            mean two things.
    """
    path = Path(path)
    values = None
    if path.suffix.lower() == ".csv":
        with readable(path):
            try:
                values = _read(AnswerTable(path, ClassNames(classes), probes))
            except (csv.Error, UnicodeDecodeError) as error:
                raise DataError(f"{path} is no table in UTF-8. {FORMAT}") from error
    told = values is not None
    if values is None:
        values = load_outputs(path)
    if not told and len(classes) == 2:
        _check_not_labels(path, values)
    if values.ndim == 0 or len(values) != probes:
        raise other_count(path, 1 if values.ndim == 0 else len(values), probes)
    return values


def _read(table: AnswerTable) -> Floats | None:
    """The answers; `None` for a table without any names, which `load_outputs` reads."""
    if not table.width:
        raise other_count(table.path, 0, table.probes)
    heads = [name.casefold() for name in table.columns]
    if "class_1" in heads and table.classes.missing(table.columns) is not None:
        return _predicted(table, heads)
    if found := _class_columns(table):
        return _scores(table, found)
    if len(table.answers) == 1 or (table.named and heads and heads[0] in LABEL_WORDS):
        named = heads and heads[0] not in LABEL_WORDS and not is_plain(heads[0])
        if named and table.classes.place(heads[0]) is not None:
            raise DataError(f"{table.path} has a column for the class {shown(heads[0])} alone. {FORMAT}")
        return _labels(table)
    if not (table.named or table.bare):
        return None
    scores = _scores(table, table.answers)
    if len(table.classes.names) == 2:
        _check_not_labels(table.path, scores)
    return scores


def _class_columns(table: AnswerTable) -> list[int]:
    """The column of each class; empty if they stand in their order and their names do not count."""
    places = [table.classes.place(name) for name in table.columns]
    known = [place for place in places if place is not None]
    missing = table.classes.missing(table.columns)
    counted = counts_columns(table.columns)
    if not known or len(table.answers) == 1 or (counted and missing is not None):
        return []
    if not table.classes.told_apart:
        raise DataError(
            f"Two classes of the claim differ in blanks alone, so {table.path} cannot name them. Save .npy."
        )
    if missing is not None:
        raise DataError(f"{table.path} has no column for the class {shown(missing)}. {FORMAT}")
    if len(set(known)) < len(known):
        raise DataError(f"{table.path} has two columns for one class. Leave one for each. {FORMAT}")
    if counted and known != sorted(known):
        raise DataError(
            f"The columns 0 to {len(known) - 1} of {table.path} may be named by class or counted. "
            f"Put them in the order of {TEMPLATE_FILE}, with its first line above them."
        )
    return [table.answers[places.index(place)] for place in range(len(table.classes.names))]


def _scores(table: AnswerTable, columns: list[int]) -> Floats:
    """float64 [N, columns]: of probabilities that are shared with other classes, those given the columns."""
    others = sorted(set(table.answers).difference(columns))
    scores, elsewhere = np.empty((table.probes, len(columns))), np.zeros(table.probes)
    for line, place, cells in table.placed():
        scores[place] = [table.number(cells[column], line) for column in columns]
        elsewhere[place] = sum(float(cells[one]) if is_plain(cells[one]) else np.nan for one in others)
    with np.errstate(invalid="ignore"):
        own = scores.sum(axis=1)
        shared = (scores >= 0).all() and np.abs(own + elsewhere - 1).max() <= _SLACK < np.abs(own - 1).max()
    if not shared:
        return scores
    if not own.all():
        nothing = probe_file(int(own.argmin()))
        raise DataError(f"{table.path} gives no class of the claim any probability for {nothing}. Record logits.")
    return np.asarray(scores / own[:, None])


def _check_not_labels(path: Path, values: Floats) -> None:
    """Refuses a class number and how sure the suspect is of it, which of two classes looks like two scores.

    Raises:
        DataError: If one column holds two whole numbers and the other does not.
    """
    if values.ndim != 2 or values.shape[1] != 2:
        return
    whole = [len(set(one.tolist())) == 2 and bool((one == np.round(one)).all()) for one in values.T]
    if whole[0] != whole[1]:
        raise DataError(f"{path} has two columns, one of which seems to hold class numbers. {FORMAT}")


def _labels(table: AnswerTable) -> Floats | None:
    """float64 [N] class numbers; `None` for class numbers without names of probes."""
    by_name, numbers = np.full(table.probes, np.nan), np.full(table.probes, np.nan)
    for line, place, cells in table.placed():
        cell = cells[table.answers[0]]
        found = table.classes.place(cell)
        if found is not None:
            by_name[place] = found
        if is_plain(cell):
            numbers[place] = float(cell)
        if found is None and not (is_plain(cell) and float(cell).is_integer()):
            raise DataError(
                f"{table.path} has {shown(cell)} in row {line}, neither a class of the claim nor a class number. "
                f"{FORMAT}"
            )
    named, numbered = not np.isnan(by_name).any(), not np.isnan(numbers).any()
    if not (named or numbered):
        raise DataError(f"{table.path} mixes names of classes with class numbers. Write names. {FORMAT}")
    whole = set(numbers.tolist()) <= set(range(len(table.classes.names)))
    if named and whole and (by_name != numbers).any():
        raise DataError(
            f"The labels of {table.path} may be names of classes or class numbers. "
            "Head the column `class_1` if they are names, or save class numbers as .npy."
        )
    if named and not (whole and not table.named):
        return by_name
    return numbers if table.named else None


def _predicted(table: AnswerTable, heads: list[str]) -> Floats:
    """Scores [N, K] from the likeliest classes where these are all, else the likeliest class [N]."""
    wanted = len(table.classes.names)
    pairs = [
        (table.answers[heads.index(f"class_{rank}")], table.answers[heads.index(f"probability_{rank}")])
        for rank in range(1, wanted + 1)
        if f"class_{rank}" in heads and f"probability_{rank}" in heads
    ]
    first = table.answers[heads.index("class_1")]
    scores, labels = np.full((table.probes, wanted), np.nan), np.empty(table.probes)
    full = len(pairs) == wanted and f"class_{wanted + 1}" not in heads
    for line, place, cells in table.placed():
        labels[place] = table.label(cells[first], line)
        told = [table.classes.place(cells[name]) for name, _ in pairs]
        known = [one for one in told if one is not None]
        if len(set(known)) < len(known):
            raise DataError(f"{table.path} has one class twice in row {line}. Write each once.")
        full = full and len(known) == wanted
        if full:
            scores[place, known] = [table.number(cells[column], line) for _, column in pairs]
    return scores if full else labels
