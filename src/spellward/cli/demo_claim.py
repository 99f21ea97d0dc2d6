"""The second story of `spellward demo`: a claim, two thieves and an innocent. Imported only when it is told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from torch import Tensor

from spellward.attacks.stealing.means import Means
from spellward.attacks.stealing.table import STEALING
from spellward.data import load_splits, prepare
from spellward.data.progress import Report
from spellward.models import FitSettings, VisionModel
from spellward.ownership.claim import ClaimSettings, create_claim
from spellward.ownership.evidence.references import fine_tuned
from spellward.ownership.verdict import Verdict
from spellward.ownership.verify import verify
from spellward.reports.claim_report import verdict_folder, write_claim_report

_IMAGES, _EPOCHS, _SIDE = 800, 8, 32
_REFERENCES, _PEERS = 4, 2


def claim_story(folder: Path, say: Callable[[str], None], report: Report) -> dict[str, str]:
    """Claims a model, steals it two ways, trains an innocent one, and verifies all three."""
    say("5. Claiming another model, before it is released:")
    splits = load_splits("sample:fashion")
    order = np.random.default_rng(0).permutation(len(splits.train))
    own, others = (splits.train.select(np.sort(order[first : first + _IMAGES])) for first in (0, _IMAGES))
    fit = FitSettings(epochs=_EPOCHS)
    victim = fine_tuned("bundled", prepare(own, _SIDE), _SIDE, replace(fit, seed=1), "The model", report)
    settings = ClaimSettings(references=_REFERENCES, peers=_PEERS, fit=fit)
    claim = create_claim(victim, replace(splits, train=own), folder / "claim", settings=settings, report=report)
    made = claim.commitment
    say(f"   {made.references} references, {made.peers} peers, {made.probes} probes, a signed commitment.")
    say("6. Two thieves and an innocent.")
    table = prepare(others, _SIDE)
    means = Means(table, fit=fit, seed=2, report=report)
    suspects = {
        "fine-tuned copy": STEALING["fine-tune"].run(victim, means),
        # Behind an interface: it answers at a temperature of its own, and nobody sees its weights.
        "copy that only answers": partial(_tempered, STEALING["copy"].run(victim, means)),
        "innocent model": fine_tuned("bundled", table, _SIDE, replace(fit, seed=3), "Innocent model", report),
    }
    verdicts: dict[str, str] = {}
    for name, suspect in suspects.items():
        verdict = verify(claim, suspect)
        page = write_claim_report(claim, verdict, name, verdict_folder(claim.folder, name, verdict))
        verdicts[name] = verdict.verdict
        say(f"   {name}: {verdict.verdict} ({_reach(verdict)}); report: {page}")
    return verdicts


def _tempered(model: VisionModel, images: Tensor) -> np.ndarray:
    scores: np.ndarray = 0.5 * model.logits(images)
    return scores


def _reach(verdict: Verdict) -> str:
    """The effect beside what an innocent model may reach; the line differs by suspect, with how sure its effect is."""
    if verdict.effect is None or verdict.threshold is None:
        return "no effect"
    return f"effect {verdict.effect:.2f}, an innocent model may reach {verdict.threshold:.2f}"
