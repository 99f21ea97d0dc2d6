"""The report of a verification: one HTML file for a judge, with the verdict as JSON beside it."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from spellward.artifacts import atomic_write, private_folder
from spellward.ownership.claim import Claim
from spellward.ownership.judge import VERSION
from spellward.ownership.verdict import Verdict
from spellward.reports.figures import scale
from spellward.reports.pages import fill_in

VERDICTS_SUFFIX = ".verdicts"
PAGE_FILE, VERDICT_FILE = "report.html", "verdict.json"
_SCALES = {
    "correlation": "The scale is the residual correlation with the claimed model: 1 for a copy, about 0 for a model "
    "made without it. How probable it is that an innocent model lies beyond the line stands above.",
    "nearness": "The scale is how far the suspect is nearer to the claimed model than independent models are to one "
    "another: 1 for a copy, 0 for a suspect at their distance. The line is a fixed margin.",
}
_MEASURES = {
    "correlation": "its answers, less what independent models have in common",
    "nearness": "how near its answers are to those of the claimed model",
    "weights": "its weights",
}
_SUSPECT, _CONTROL = "#b4441f", "#7a8aa0"


def verdict_folder(claim: Path, suspect: str, verdict: Verdict) -> Path:
    """CLAIM.verdicts/SUSPECT-..., beside the claim: a claim itself is never changed.

    Whatever else was asked, answered or seen gets a folder of its own, so that no verdict takes the place of another.
    """
    claim = claim.resolve()  # "." has no name to put an ending to
    name = re.sub(r"[^\w.-]+", "-", Path(suspect).name).strip(".-") or "suspect"
    asked = [verdict.commitment, verdict.published, verdict.answers, verdict.model, verdict.method, *verdict.options]
    told = repr([str(Path(suspect).absolute()), *asked]).encode("utf-8", "surrogateescape")
    digest = hashlib.sha256(told).hexdigest()
    method = "" if verdict.method == VERSION else f"-{verdict.method}"
    return claim.with_name(claim.name + VERDICTS_SUFFIX) / "-".join([name, digest[:8] + method, *verdict.options])


def write_claim_report(claim: Claim, verdict: Verdict, suspect: str, folder: Path) -> Path:
    """Writes report.html and verdict.json, mode 0600; returns the page."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    private_folder(folder)
    atomic_write(folder / VERDICT_FILE, verdict.to_json() + "\n", mode=0o600)
    atomic_write(folder / PAGE_FILE, render(claim, verdict, suspect), mode=0o600)
    return folder / PAGE_FILE


def render(claim: Claim, verdict: Verdict, suspect: str) -> str:
    """The page as text: where the suspect lies among the controls, and how to repeat it."""
    figure = weights = None
    if verdict.effect is not None and verdict.threshold is not None and verdict.measure in _SCALES:
        same = [one for one in verdict.controls if one.measure == verdict.measure and one.effect is not None]
        marks = [(one.name, one.effect or 0.0, _CONTROL) for one in same] + [("The suspect", verdict.effect, _SUSPECT)]
        figure = scale(marks, verdict.threshold, "the threshold")
    if verdict.weights is not None:
        left_out = enumerate(verdict.weights.left_out, 1)
        marks = [(f"reference {number}, left out", effect, _CONTROL) for number, effect in left_out]
        marks += [("The suspect", verdict.weights.effect, _SUSPECT)]
        weights = scale(marks, verdict.weights.threshold, "the threshold")
    return fill_in(
        "claim_report",
        claim=claim,
        commitment=claim.commitment,
        verdict=verdict,
        suspect=suspect.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace"),
        baseline=verdict.method != VERSION,
        figure=figure,
        scales=_SCALES.get(verdict.measure or ""),
        measures=_MEASURES,
        weights=weights,
    )
