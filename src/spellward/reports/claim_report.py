"""The report of a verification: one HTML file for a judge, with the verdict as JSON beside it."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from spellward.artifacts import atomic_write, private_folder
from spellward.ownership.claim import Claim
from spellward.ownership.verdict import Verdict
from spellward.reports.figures import scale

VERDICTS_SUFFIX = ".verdicts"
PAGE_FILE, VERDICT_FILE = "report.html", "verdict.json"
_SUSPECT, _CONTROL = "#b4441f", "#7a8aa0"


def verdict_folder(claim: Path, suspect: str) -> Path:
    """CLAIM.verdicts/SUSPECT, beside the claim: a claim itself is never changed.

    Suspects of one name at different places get folders of their own.
    """
    name = re.sub(r"[^\w.-]+", "-", Path(suspect).name).strip(".-") or "suspect"
    if Path(suspect).exists():
        name += "-" + hashlib.sha256(str(Path(suspect).resolve()).encode("utf-8", "surrogateescape")).hexdigest()[:8]
    return claim.with_name(claim.name + VERDICTS_SUFFIX) / name


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
    if verdict.effect is not None and verdict.threshold is not None and verdict.channel != "weights":
        marks = [(one.name, one.effect, _CONTROL) for one in verdict.controls if one.effect is not None]
        marks += [("The suspect", verdict.effect, _SUSPECT)]
        figure = scale(marks, verdict.threshold, "accused beyond this line")
    if verdict.weights is not None:
        left_out = enumerate(verdict.weights.left_out, 1)
        marks = [(f"reference {number}, left out", effect, _CONTROL) for number, effect in left_out]
        marks += [("The suspect", verdict.weights.effect, _SUSPECT)]
        weights = scale(marks, verdict.weights.threshold, "accused beyond this line")
    environment = Environment(
        loader=PackageLoader("spellward.reports", "."), autoescape=True, undefined=StrictUndefined
    )
    return environment.get_template("claim_report.html.j2").render(
        claim=claim,
        commitment=claim.commitment,
        verdict=verdict,
        suspect=suspect,
        figure=figure,
        weights=weights,
    )
