"""Probes that are sent elsewhere: their names, and what lies beside them for whoever records the answers."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from spellward.artifacts import atomic_write
from spellward.errors import ArtifactError

TEMPLATE_FILE, README_FILE = "answers-template.csv", "README.txt"
FORMULA = ("=", "+", "-", "@")
"""What a cell begins with that spreadsheets run instead of showing it."""
_BYTE_ORDER_MARK = "\ufeff"
"""Without it spreadsheets take UTF-8 for the local encoding, and write names of classes back as something else."""


def probe_file(place: int) -> str:
    """Name of the probe at a place, which counts from 0."""
    return f"probe-{place + 1:04d}.png"


def sheet(classes: Sequence[str], probes: int) -> dict[str, str]:
    """File names and contents of what goes with exported probes: nothing but what the commitment says and the names.

    Args:
        classes: The claim's, in its order.
        probes: How many.
    """
    return {TEMPLATE_FILE: _template(classes, probes), README_FILE: _instructions(len(classes), probes)}


def check_sheet(folder: Path, files: dict[str, str]) -> None:
    """Sees to it that nothing is lost: a template may have been filled in where it stands.

    Raises:
        ArtifactError: If one of the files is there with other contents.
    """
    for name, text in files.items():
        path = folder / name
        if path.exists() and not (path.is_file() and path.read_bytes() == text.encode()):
            raise ArtifactError(f"{path} exists and may hold answers. Rename it, or name another folder.")


def write_sheet(folder: Path, files: dict[str, str]) -> None:
    """Writes what `sheet` gives.

    Raises:
        StorageError: If it cannot be written.
    """
    for name, text in files.items():
        atomic_write(folder / name, text)


def _template(classes: Sequence[str], probes: int) -> str:
    """A row for each probe, a column for each class, and empty cells."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["file", *(f"'{name}" if name.startswith(FORMULA) else name for name in classes)])
    writer.writerows([probe_file(place), *[""] * len(classes)] for place in range(probes))
    table = text.getvalue()
    return table if table.isascii() else _BYTE_ORDER_MARK + table


def _instructions(classes: int, probes: int) -> str:
    return f"""\
Images to ask a suspect about

1. Ask the suspect about each of the {probes} images, {probe_file(0)} to {probe_file(probes - 1)}, as they are.

2. Write down what it answers, in one of these ways:

   - All scores, which show the most. Fill in {TEMPLATE_FILE}: a row for each image and a column for each class,
     with probabilities or with logits, the same kind in all rows, numbers with a decimal point and no cell empty.
     Rows and columns may stand in any order, for they are told by their names. Round nothing.
   - The label alone, if the suspect tells no more. Write a table of two columns with the header
         file,label
     and for each image its file name and the name of the class, as in the first line of {TEMPLATE_FILE}.
   - What `spellward predict MODEL . --top {classes} --format csv` prints, as it is.
   - An array, .npy: scores [{probes}, {classes}] or class numbers from 0 [{probes}], rows in the order of the
     images' numbers and classes in the order of the template's columns.

3. Run, with the folder of the claim for CLAIM and the file of answers:

       spellward verify CLAIM --suspect {TEMPLATE_FILE}

Show the images to nobody before the suspect has answered: who knows them can answer them otherwise.
"""
