"""Results -> figures and self-contained HTML files."""

from spellward.reports.lock_report import LockReport, SamplePair, write_lock_report

__all__ = ["LockReport", "SamplePair", "write_lock_report"]
