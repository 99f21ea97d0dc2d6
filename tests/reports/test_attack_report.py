"""The page on attacks: its headline is the largest gain, and names are text."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from spellward.locking.measuring.attack_results import AttackReport, AttackRow, HonestRow
from spellward.reports.attack_report import render, write_attack_report

ROWS = (
    AttackRow("remap", 0.01, 40, 0.10, 0.30, 0.10 - 0.30, "outputs", 1.0),
    AttackRow("fine-tuning", 0.01, 40, 0.70, 0.60, 0.70 - 0.60, "adamw <0.001>", 9.0),
    AttackRow("fine-tuning", 0.05, 200, 0.80, 0.79, 0.80 - 0.79, "sgd 0.03", 9.0),
)
REPORT = AttackReport(
    ROWS, (HonestRow("JPEG 90", 0.85, -0.01),), (0.2, 0.9), 0.86, 0.1, 1000, "default", 0, "bundled", {"x": "no"}, {}
)


def test_the_headline_is_the_largest_gain() -> None:
    page = render(REPORT, "my <lock>")
    assert re.search(r"<b>\+10.0 points</b>\s+largest attack gain", page)
    assert page.index("1 % labelled: 40 images") < page.index("5 % labelled: 200 images")
    assert page.count("<svg") == 2
    assert "my &lt;lock&gt;" in page and "adamw &lt;0.001&gt;" in page and "<0.001>" not in page
    assert "-1.0" in page and "JPEG 90" in page and "90.0 %" in page


def test_a_page_without_rows_is_a_page() -> None:
    page = render(replace(REPORT, rows=(), honest=(), wordings=()), "lock")
    assert "largest attack gain" not in page and "Not run: x" in page


def test_page_and_figures_are_the_owners_alone(tmp_path: Path) -> None:
    page = write_attack_report(REPORT, tmp_path / "locked")
    assert page == tmp_path / "locked.attacks" / "report.html"
    assert AttackReport.from_json((page.parent / "attacks.json").read_text()) == REPORT
    assert all(path.stat().st_mode & 0o077 == 0 for path in page.parent.iterdir())
