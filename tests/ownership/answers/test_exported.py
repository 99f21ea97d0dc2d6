"""What lies beside exported probes."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest

from spellward.errors import ArtifactError
from spellward.ownership.answers.exported import README_FILE, TEMPLATE_FILE, check_sheet, sheet, write_sheet
from spellward.ownership.answers.file import read_answers

CLASSES = ("plain", "with, comma", "=1+1", 'with "quotes"', "-")


def test_the_template_has_a_row_a_probe_and_a_column_a_class(tmp_path: Path) -> None:
    header, *rows = list(csv.reader(io.StringIO(sheet(CLASSES, 3)[TEMPLATE_FILE])))
    assert len(header) == len(CLASSES) + 1 and [row[0] for row in rows] == [
        f"probe-000{place}.png" for place in (1, 2, 3)
    ]
    assert not any(cell.startswith(("=", "-")) for cell in header)  # a spreadsheet would run it
    assert not any(any(row[1:]) for row in rows)
    filled = io.StringIO()
    csv.writer(filled).writerows([header, *([row[0], 5, 4, 3, 2, 1] for row in rows)])
    (tmp_path / "filled.csv").write_text(filled.getvalue())
    assert read_answers(tmp_path / "filled.csv", CLASSES, 3).tolist() == [[5, 4, 3, 2, 1]] * 3
    plain = filled.getvalue().replace("'", "")  # as a spreadsheet saves it
    (tmp_path / "filled.csv").write_text(plain)
    assert read_answers(tmp_path / "filled.csv", CLASSES, 3).tolist() == [[5, 4, 3, 2, 1]] * 3


def test_spreadsheets_are_told_how_names_are_written(tmp_path: Path) -> None:
    classes = ("Käfer", "蝶")
    text = sheet(classes, 2)[TEMPLATE_FILE]
    assert text.startswith("\ufeff") and not sheet(CLASSES, 2)[TEMPLATE_FILE].startswith("\ufeff")
    write_sheet(tmp_path, {TEMPLATE_FILE: text.replace(",,", ",2,1")})
    assert read_answers(tmp_path / TEMPLATE_FILE, classes, 2).tolist() == [[2, 1], [2, 1]]


def test_the_instructions_say_what_to_do_next() -> None:
    text = sheet(CLASSES, 3)[README_FILE]
    for needed in ("3 images", "probe-0003.png", "probabilities", "logits", "label", "spellward verify", TEMPLATE_FILE):
        assert needed in text
    assert "--top 5" in text and max(map(len, text.splitlines())) <= 120


def test_answers_are_never_written_over(tmp_path: Path) -> None:
    files = sheet(CLASSES, 3)
    write_sheet(tmp_path, files)
    check_sheet(tmp_path, files)  # the same again loses nothing
    for name, text in files.items():
        (tmp_path / name).write_text("mine")
        with pytest.raises(ArtifactError, match="may hold answers"):
            check_sheet(tmp_path, files)
        (tmp_path / name).write_text(text)
