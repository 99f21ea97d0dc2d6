"""The report of attacks on a lock: one HTML file whose headline is the largest attack gain, and the figures as JSON.

Neither holds anything of the key: wrong keys are numbered, and there are no pictures.
"""

from __future__ import annotations

from pathlib import Path

from spellward.artifacts import atomic_write, beside, private_folder
from spellward.locking.measuring.attack_results import AttackReport
from spellward.reports.figures import bars
from spellward.reports.pages import fill_in

REPORT_SUFFIX = ".attacks"
PAGE_FILE, FIGURES_FILE = "report.html", "attacks.json"
_LOCKED, _BASE = "#b4441f", "#7a8aa0"


def write_attack_report(report: AttackReport, locked: Path) -> Path:
    """Writes report.html and attacks.json into LOCKED.attacks, mode 0600; returns the page."""
    folder = private_folder(beside(locked, REPORT_SUFFIX))
    atomic_write(folder / FIGURES_FILE, report.to_json() + "\n", mode=0o600)
    atomic_write(folder / PAGE_FILE, render(report, locked.resolve().name), mode=0o600)
    return folder / PAGE_FILE


def render(report: AttackReport, title: str) -> str:
    """The page as text."""
    figures = []
    for labelled in dict.fromkeys(row.labelled for row in report.rows):
        rows = sorted((row for row in report.rows if row.labelled == labelled), key=lambda row: -row.gain)
        drawn = []
        for row in rows:
            drawn.append((row.name, row.accuracy, row.accuracy, row.accuracy, _LOCKED))
            drawn.append(("public base", row.base, row.base, row.base, _BASE))
        figures.append((labelled, bars(drawn, report.chance, "chance"), rows))
    return fill_in("attack_report", report=report, title=title, largest=report.largest, figures=figures)
