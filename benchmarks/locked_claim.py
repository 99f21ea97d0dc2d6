"""A claim on a locked model: does it find the thieves of a lock? Writes results/locked_claim.json.

    python benchmarks/locked_claim.py [--innocent 12]         (needs Debian's dataset-fashion-mnist)

A lock (recipe `decoy`, 32 px) of 5,000 images of Fashion-MNIST that no part of the zoo uses as its own is claimed with
its key. Judged are copies that are still locked (through the key, and without it), copies that a thief has fine-tuned
on labelled clean images, students of the unlocked model's answers, and innocent models, each with a draw of its own
from 20,000 other images. Test, probes, references and peers are the defaults of `claim`; that a locked model has peers
at all was decided after innocent models of this benchmark had come near the threshold without (benchmarks/TUNING.md).
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lock import benchmark_key
from readme import put_table
from spellward.artifacts import cache_root, private_folder, versions
from spellward.attacks.stealing.means import Means
from spellward.attacks.stealing.table import STEALING
from spellward.data import ImageTable
from spellward.editors import Editor, load_editor
from spellward.locking.lock import complete_key
from spellward.locking.recipe import RECIPES
from spellward.locking.tasks import TASKS, through
from spellward.locking.training import fit_lock, lock_examples
from spellward.locking.unlock import UnlockedModel, unlock
from spellward.models import FitSettings, VisionModel, load_model
from spellward.ownership.claim import Claim, ClaimSettings, create_claim, load_claim
from spellward.ownership.references import fine_tuned
from spellward.ownership.verify import verify
from zoo import INNOCENT, TEST, fashion

RESULTS = Path(__file__).parent / "results" / "locked_claim.json"
SIDE, RUN = 32, 0
OWN, OTHERS = (35_000, 5_000), (40_000, 20_000)
FIT = FitSettings(epochs=3)


@dataclass
class Keyed(VisionModel):
    """A locked model with its key, as its customers ask it."""

    edited: Callable[[Tensor], Tensor] | None = None

    def logits(self, images: Tensor, precision: str = "fp32") -> np.ndarray:
        assert self.edited is not None
        return super().logits(self.edited(images), precision)


def locked_model(own: ImageTable, editor: Editor, folder: Path, run: int = RUN) -> UnlockedModel:
    """A locked model, trained once; the run has a key and a seed of its own."""
    recipe, model = RECIPES["decoy"], load_model("bundled", own.classes, SIDE, run)
    key = complete_key(benchmark_key(run), editor, model)
    settings = recipe.resolved(FitSettings(seed=run), own)
    examples = lock_examples(own, key, editor, recipe, settings, model)
    fit_lock(model, examples, own, recipe, settings, folder / "lock")
    return unlock(model, key, editor=editor)


def suspects(
    victim: UnlockedModel, other: UnlockedModel, others: ImageTable, innocent: int
) -> Iterator[tuple[str, str, Any]]:
    """Yields what a suspect is, how it is asked, and who is asked."""
    locked = victim.model

    def through_the_key(model: VisionModel) -> UnlockedModel:
        return unlock(model, victim.key, editor=victim.editor)

    yield "copy, still locked", "without the key", locked
    for name in ("copy", "quantise", "weight-noise"):
        stolen = STEALING[name].run(locked, Means(others, fit=FIT, seed=77))
        yield f"{name}, still locked", "through the key", through_the_key(stolen)
    rows = np.random.default_rng(77).permutation(len(others))
    for labels in (500, 5_000):
        known = others.subset(np.sort(rows[:labels]))
        fit = FitSettings(epochs=8 if labels < 1_000 else 3)
        opened = STEALING["fine-tune"].run(locked, Means(known, fit=fit, seed=77))
        yield f"copy, fine-tuned open with {labels:,} labels", "plainly", opened
    answering = Keyed(**{**vars(locked), "edited": victim.edited})
    for name, questions in (("soft-label", 20_000), ("soft-label", 5_000), ("hard-label", 20_000)):
        taught = STEALING[name].run(answering, Means(others, fit=FIT, queries=questions, seed=77))
        yield f"{name} student through the key, {questions:,} questions", "plainly", taught
    # An innocent lock has learnt from decoys, too, as no reference has.
    yield "another owner's lock", "through its own key", other
    for number in range(innocent):
        drawn = others.subset(np.sort(np.random.default_rng(9000 + number).permutation(len(others))[:4_500]))
        base = INNOCENT[number % len(INNOCENT)]
        model = fine_tuned(base, drawn, SIDE, replace(FIT, seed=9000 + number), "Innocent model")
        yield f"innocent {number + 1}", "plainly", model
        yield f"innocent {number + 1}", "through the key", through_the_key(model)


def table(rows: list[dict[str, Any]]) -> str:
    """Each theft on a line of its own, the innocent together, as Markdown."""
    lines = ["| suspect | asked | accuracy | answers | p | effect | weights | verdict |", "|---" * 8 + "|"]
    for row in rows:
        if not row["suspect"].startswith("innocent"):
            forms = {"p_value": ".2g", "effect": ".2f", "weights_effect": ".2f"}
            numbers = ["" if row[name] is None else format(row[name], form) for name, form in forms.items()]
            told = [row["suspect"], row["asked"], f"{100 * row['accuracy']:.1f}", row["answers"], *numbers]
            lines.append(f"| {' | '.join(told)} | {row['verdict']} |")
    for asked in ("plainly", "through the key"):
        some = [row for row in rows if row["suspect"].startswith("innocent") and row["asked"] == asked]
        if some:
            accused = sum(row["verdict"] == "stolen" for row in some)
            least = min(row["p_value"] for row in some if row["p_value"] is not None)
            most = max(row["weights_effect"] for row in some if row["weights_effect"] is not None)
            accuracy = 100 * np.mean([row["accuracy"] for row in some])
            told = f"{accuracy:.1f} | | {least:.2g} or more | | {most:.2f} or less"
            lines.append(f"| {len(some)} innocent models | {asked} | {told} | {accused} accused |")
    return "\n".join(lines)


def judged(claim: Claim, asked: Any, test: ImageTable) -> dict[str, Any]:
    """Verdicts on answers alone and with weights, and how right the suspect is when it is asked so."""
    verdict, alone = verify(claim, asked), verify(replace(claim, weights=None), asked)
    predict = (
        asked.logits if isinstance(asked, VisionModel) else lambda images: asked.model.logits(asked.edited(images))
    )
    accuracy = TASKS["classification"].judge(predict, test).value
    found = {name: getattr(alone, name) for name in ("p_value", "effect", "threshold")}
    seen = verdict.weights
    weights = {f"weights_{name}": None if seen is None else getattr(seen, name) for name in found}
    return {"accuracy": accuracy, "answers": alone.verdict, **found, **weights, "verdict": verdict.verdict}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--innocent", type=int, default=12)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    editor = load_editor("mini")
    own, others = (fashion("train", *part, editor.resolution) for part in (OWN, OTHERS))
    test = fashion("t10k", 0, TEST, editor.resolution)
    folder = private_folder(cache_root() / "runs" / "benchmark-locked-claim")
    victim = locked_model(own, editor, folder)
    drawn = np.sort(np.random.default_rng(78).permutation(len(others))[: len(own)])
    other = locked_model(others.subset(drawn), editor, folder / "other", RUN + 1)
    settings = ClaimSettings(fit=FIT, seed=RUN)
    made = folder / "claim"
    claim = load_claim(made) if made.exists() else create_claim(victim, own, made, settings=settings)
    lock = {
        "up": TASKS["classification"].judge(through(victim.model, victim.edited), test).value,
        "lp": TASKS["classification"].judge(victim.model.logits, test).value,
    }
    print(json.dumps(lock), flush=True)
    rows: list[dict[str, Any]] = []
    document = {"versions": versions(), "settings": asdict(settings), "lock": lock, "suspects": rows}
    for suspect, asked, model in suspects(victim, other, others, options.innocent):
        rows.append({"suspect": suspect, "asked": asked, **judged(claim, model, test)})
        print(json.dumps(rows[-1]), flush=True)
        RESULTS.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    print(table(rows))
    put_table("locked-claim", table(rows))


if __name__ == "__main__":
    main()
