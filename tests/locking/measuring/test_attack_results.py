"""Reports of attacks on disk."""

from __future__ import annotations

import json

import pytest

from spellward.locking.measuring.attack_results import AttackReport, AttackRow, HonestRow


def test_reports_round_trip_exactly() -> None:
    row = AttackRow("remap", 0.01, 40, 0.1, 0.3, 0.1 - 0.3, "outputs", 1.25)
    report = AttackReport(
        (row,), (HonestRow("JPEG 90", 0.7, -0.1),), (0.1, 0.2), 0.8, 0.1, 1000, "quick", 3, "bundled", {"a": "b"}, {}
    )
    assert AttackReport.from_json(report.to_json()) == report
    assert report.largest == row
    for broken in ('{"format": "spellward-attacks-1"}', "{}", report.to_json().replace('"seed"', '"sead"')):
        with pytest.raises(ValueError, match="report"):
            AttackReport.from_json(broken)
    assert json.loads(report.to_json())["rows"][0]["gain"] == row.gain
