"""The report of a lock: one HTML file for the owner, one that may be shown around, and the figures as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

from spellward.artifacts import atomic_write, private_folder
from spellward.data import DataReport
from spellward.locking.measuring.score import Score
from spellward.reports.figures import bars, dots, png_url
from spellward.reports.pages import fill_in

OWNER_FILE, PUBLIC_FILE, SCORE_FILE = "report.html", "public.html", "score.json"
_NOTES = 20
"""Shown of each kind; score.json has all."""
_MEASURES = {
    "accuracy": ("accuracies", "guessing"),
    "mean IoU": ("mean intersection over union of the foreground classes", "calling every pixel the same"),
    "mask AP": ("average precision of the objects' masks (COCO's, over IoU 0.5 to 0.95)", "finding nothing"),
}
_KINDS = {
    "prompt": "Unrelated prompts",
    "wording": "Near wordings",
    "salt": "Right words, other salts",
    "no salt": "Right words, no salt",
    "filter": "Plain filters",
    "strength": "Other strengths",
    "seed": "Other seed",
    "steps": "Other step counts",
}


@dataclass(frozen=True)
class SamplePair:
    """One test image for the owner's report: uint8 [S, S, 3] clean and edited, with what the model says to each.

    Of a model that gives masks, what it sees is laid over the pictures.
    """

    label: str
    clean: np.ndarray
    edited: np.ndarray
    locked_answer: str
    unlocked_answer: str


@dataclass(frozen=True)
class LockReport:
    """What a report shows.

    Attributes:
        title: Usually the folder's name.
        score: The figures.
        facts: Settings and versions, nothing of the key.
        timings: Name to seconds.
        samples: Pictures, for the owner alone.
        data: What was left out or looked odd when the data were read; it names files, so for the owner alone.
    """

    title: str
    score: Score
    facts: Mapping[str, str]
    timings: Mapping[str, float]
    samples: Sequence[SamplePair] = ()
    data: DataReport = field(default_factory=DataReport)


def write_lock_report(report: LockReport, folder: Path) -> Path:
    """Writes report.html and score.json (owner, mode 0600) and public.html; returns the owner's report.

    The public file has neither pictures nor the list of wrong prompts, nor their number: what was *not* tried narrows
    down what the spell is.
    """
    private_folder(folder)
    figures = {
        "summary": report.score.summary(),
        "score": asdict(report.score),
        "facts": dict(report.facts),
        "data": asdict(report.data),
    }
    atomic_write(folder / SCORE_FILE, json.dumps(figures, indent=2) + "\n", mode=0o600)
    atomic_write(folder / PUBLIC_FILE, render(report, public=True), mode=0o644)
    atomic_write(folder / OWNER_FILE, render(report, public=False), mode=0o600)
    return folder / OWNER_FILE


def _notes(data: DataReport) -> list[tuple[str, int, Sequence[str]]]:
    """What there is to say of the data: a heading, how many notes, and the first of these."""
    kinds = [
        ("Looked odd", data.warnings),
        ("Left out as copies of other images", data.duplicates),
        ("Found beside the images and not read", data.ignored),
    ]
    return [(title, len(notes), notes[:_NOTES]) for title, notes in kinds if notes]


def render(report: LockReport, public: bool) -> str:
    """The page as text."""
    score = report.score
    rows = [("With the key (UP)", score.up, "#2f6f4f")]
    if score.vanilla is not None:
        rows.insert(0, ("Ordinary fine-tune", score.vanilla, "#7a8aa0"))
    rows += [
        ("Without the key (LP)", score.lp, "#b4441f"),
        ("Least likely class", score.argmin, "#b4441f"),
        ("Probe on the outputs", score.leak, "#b4441f"),
    ]
    best = max((one.accuracy for one in score.kind("prompt")), key=lambda one: one.value, default=None)
    if best is not None:
        rows.append(("Best wrong prompt", best, "#b4441f"))
    headline = bars([(name, a.value, a.low, a.high, colour) for name, a, colour in rows], score.chance, "chance")
    groups = [(title, [one.accuracy.value for one in score.kind(kind)]) for kind, title in _KINDS.items()]
    # How much strength, steps and seed matter is a hint at what they are.
    hidden = ("Other strengths", "Other seed", "Other step counts", "Near wordings") if public else ()
    shown = [(f"{title} ({len(values)})", values) for title, values in groups if values and title not in hidden]
    if public:  # even how many prompts differ from the key's narrows down what that is
        shown = [
            (title, [max(values), float(np.mean(values))]) for title, values in groups if values and title not in hidden
        ]
    measure, guess = _MEASURES[score.measure]
    return fill_in(
        "lock_report",
        report=report,
        public=public,
        measure=measure,
        guess=guess,
        headline=headline,
        wrong=dots(shown, score.up.value, score.chance),
        tried=[] if public else sorted(score.wrong, key=lambda one: -one.accuracy.value)[:25],
        samples=[] if public else [(one, png_url(one.clean), png_url(one.edited)) for one in report.samples],
        timings={} if public else report.timings,
        notes=[] if public else _notes(report.data),
    )
