"""A claim on a locked model: does it find the thieves of a lock? Writes results/locked_claim.json.

    python benchmarks/locked_claim.py [--lock 0 1]            (needs Debian's dataset-fashion-mnist)

A lock (recipe `decoy`, 32 px) of 5,000 images of Fashion-MNIST that no part of the zoo uses as its own is claimed with
its key. Judged are copies that are still locked (through the key, and without it), copies that a thief has fine-tuned
on labelled clean images, students of the unlocked model's answers, and innocent models, each with a draw of its own
from 20,000 other images. Test, probes, references and peers are the defaults of `claim`; that a locked model has peers
at all was decided after innocent models of the first lock had come near the threshold without (benchmarks/TUNING.md).
The second lock has another key, other images and other innocent models, some from bases that no reference has, and was
judged once, when nothing was to be decided any more.
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
from pages import put_table
from public_bases import FOREIGN_BASES, spec_of
from spellward.artifacts import cache_root, private_folder, versions
from spellward.attacks.stealing.means import Means
from spellward.attacks.stealing.table import STEALING
from spellward.data import ImageTable
from spellward.editors import Editor, load_editor
from spellward.locking.keying import complete_key
from spellward.locking.measuring.tasks import TASKS, through
from spellward.locking.training.fitting import fit_lock, lock_examples
from spellward.locking.training.recipe import RECIPES
from spellward.locking.unlock import UnlockedModel, unlock
from spellward.models import FitSettings, VisionModel, load_model
from spellward.ownership.claim import Claim, ClaimSettings, create_claim, load_claim
from spellward.ownership.evidence.references import fine_tuned
from spellward.ownership.verify import verify
from zoo import INNOCENT, OTHER, TEST, fashion

RESULTS = Path(__file__).parent / "results" / "locked_claim.json"
SIDE = 32
OWN, OTHERS = ((35_000, 5_000), (25_000, 5_000)), (40_000, 20_000)
"""The owner's images, by lock, and everybody else's: first and number."""
INNOCENTS = (INNOCENT * 3, INNOCENT * 3 + FOREIGN_BASES * 2)
"""What innocent models start from, by lock."""
FIT = FitSettings(epochs=3)


@dataclass(frozen=True)
class Run:
    """One lock and its suspects.

    Attributes:
        number: From 0.
        own, others: The owner's images, and everybody else's.
        folder: Where lock and claim are kept.
    """

    number: int
    own: ImageTable
    others: ImageTable
    folder: Path

    @property
    def seed(self) -> int:
        """Of key, lock and claim; the next one is another owner's."""
        return 2 * self.number

    @property
    def thief(self) -> int:
        """Seed of all thefts."""
        return 77 + 1000 * self.number


@dataclass
class Keyed(VisionModel):
    """A locked model with its key, as its customers ask it."""

    edited: Callable[[Tensor], Tensor] | None = None

    def logits(self, images: Tensor, precision: str = "fp32") -> np.ndarray:
        assert self.edited is not None
        return super().logits(self.edited(images), precision)


def locked_model(own: ImageTable, editor: Editor, folder: Path, seed: int) -> UnlockedModel:
    """A locked model, trained once; the seed names its key, too."""
    recipe, model = RECIPES["decoy"], load_model("bundled", own.classes, SIDE, seed)
    key = complete_key(benchmark_key(seed), editor, model)
    settings = recipe.resolved(FitSettings(seed=seed), own)
    examples = lock_examples(own, key, editor, recipe, settings, model)
    fit_lock(model, examples, own, recipe, settings, folder / "lock")
    return unlock(model, key, editor=editor)


def suspects(victim: UnlockedModel, other: UnlockedModel, run: Run) -> Iterator[tuple[str, str, Any]]:
    """Yields what a suspect is, how it is asked, and who is asked."""
    locked, others = victim.model, run.others

    def through_the_key(model: VisionModel) -> UnlockedModel:
        return unlock(model, victim.key, editor=victim.editor)

    yield "copy, still locked", "without the key", locked
    for name in ("copy", "quantise", "weight-noise"):
        stolen = STEALING[name].run(locked, Means(others, fit=FIT, seed=run.thief))
        yield f"{name}, still locked", "through the key", through_the_key(stolen)
    rows = np.random.default_rng(run.thief).permutation(len(others))
    for labels in (500, 5_000):
        known = others.subset(np.sort(rows[:labels]))
        fit = FitSettings(epochs=8 if labels < 1_000 else 3)
        opened = STEALING["fine-tune"].run(locked, Means(known, fit=fit, seed=run.thief))
        yield f"copy, fine-tuned open with {labels:,} labels", "plainly", opened
    answering = Keyed(**{**vars(locked), "edited": victim.edited})
    for name, questions in (("soft-label", 20_000), ("soft-label", 5_000), ("hard-label", 20_000)):
        taught = STEALING[name].run(answering, Means(others, fit=FIT, queries=questions, seed=run.thief))
        yield f"{name} student through the key, {questions:,} questions", "plainly", taught
    # An innocent lock has learnt from decoys, too, as no reference has.
    yield "another owner's lock", "through its own key", other
    for number, base in enumerate(INNOCENTS[run.number]):
        seed = 9000 + 1000 * run.number + number
        drawn = others.subset(np.sort(np.random.default_rng(seed).permutation(len(others))[:4_500]))
        model = fine_tuned(spec_of(base), drawn, SIDE, replace(FIT, seed=seed), "Innocent model")
        yield f"innocent {number + 1}, {base}", "plainly", model
        yield f"innocent {number + 1}, {base}", "through the key", through_the_key(model)


def group(row: dict[str, Any]) -> str:
    """Innocent models by what they start from."""
    foreign = row["suspect"].endswith((OTHER, *FOREIGN_BASES))
    return "of bases that no reference has" if foreign else "of the references' bases"


def table(rows: list[dict[str, Any]]) -> str:
    """Each theft on a line of its own, the innocent together, as Markdown."""
    lines = ["| suspect | asked | accuracy | answers | p | effect | weights | verdict |", "|---" * 8 + "|"]
    for row in rows:
        if not row["suspect"].startswith("innocent"):
            forms = {"p_value": ".2g", "effect": ".2f", "weights_effect": ".2f"}
            numbers = ["" if row[name] is None else format(row[name], form) for name, form in forms.items()]
            told = [row["suspect"], row["asked"], f"{100 * row['accuracy']:.1f}", row["answers"], *numbers]
            lines.append(f"| {' | '.join(told)} | {row['verdict']} |")
    innocent: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in rows:
        if row["suspect"].startswith("innocent"):
            innocent.setdefault((group(row), row["asked"]), []).append(row)
    for (name, asked), some in innocent.items():
        accused = sum(row["verdict"] == "stolen" for row in some)
        least = min(row["p_value"] for row in some if row["p_value"] is not None)
        most = max((row["weights_effect"] for row in some if row["weights_effect"] is not None), default=None)
        weights = "" if most is None else f"{most:.2f} or less"
        accuracy = 100 * np.mean([row["accuracy"] for row in some])
        told = f"{accuracy:.1f} | | {least:.2g} or more | | {weights}"
        lines.append(f"| {len(some)} innocent models {name} | {asked} | {told} | {accused} accused |")
    return "\n".join(lines)


def tables(locks: dict[str, dict[str, Any]]) -> str:
    """The table of each lock under its name."""
    parts = []
    for name, document in locks.items():
        lock = document["lock"]
        opened = f"{100 * lock['up']:.1f} % with its key, {100 * lock['lp']:.1f} % without"
        parts.append(f"**lock {int(name) + 1}**, {opened}\n\n{table(document['suspects'])}")
    return "\n\n".join(parts)


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


def run_lock(run: Run, editor: Editor, test: ImageTable) -> Iterator[dict[str, Any]]:
    """Makes lock, claim and suspects, and yields what is known after each of these."""
    victim = locked_model(run.own, editor, run.folder, run.seed)
    drawn = np.sort(np.random.default_rng(run.thief + 1).permutation(len(run.others))[: len(run.own)])
    other = locked_model(run.others.subset(drawn), editor, run.folder / "other", run.seed + 1)
    settings = ClaimSettings(fit=FIT, seed=run.seed)
    made = run.folder / "claim"
    claim = load_claim(made) if made.exists() else create_claim(victim, run.own, made, settings=settings)
    lock = {
        "up": TASKS["classification"].judge(through(victim.model, victim.edited), test).value,
        "lp": TASKS["classification"].judge(victim.model.logits, test).value,
    }
    print(json.dumps(lock), flush=True)
    rows: list[dict[str, Any]] = []
    for suspect, asked, model in suspects(victim, other, run):
        rows.append({"suspect": suspect, "asked": asked, **judged(claim, model, test)})
        print(json.dumps(rows[-1]), flush=True)
        yield {"versions": versions(), "settings": asdict(settings), "lock": lock, "suspects": rows}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lock", nargs="+", type=int, choices=range(len(OWN)), default=list(range(len(OWN))))
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    editor = load_editor("mini")
    test = fashion("t10k", 0, TEST, editor.resolution)
    locks = json.loads(RESULTS.read_text(encoding="utf-8"))["locks"] if RESULTS.is_file() else {}
    for number in options.lock:
        own, others = (fashion("train", *part, editor.resolution) for part in (OWN[number], OTHERS))
        folder = private_folder(cache_root() / "runs" / f"benchmark-locked-claim-{number}")
        for document in run_lock(Run(number, own, others, folder), editor, test):
            locks = dict(sorted({**locks, str(number): document}.items()))
            RESULTS.write_text(json.dumps({"locks": locks}, indent=1) + "\n", encoding="utf-8")
    print(tables(locks))
    put_table("locked-claim", tables(locks))


if __name__ == "__main__":
    main()
