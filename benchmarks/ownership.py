"""A zoo of stolen and innocent models, judged by every method; writes results/ownership.json.

    python benchmarks/ownership.py [--data sample:fashion] [--innocent 12] [--minutes 30]

The training images are halved by a seeded draw: one half is the owner's, the other belongs to thieves and to makers of
innocent models, who start from the same public base, from none, or from another architecture. Nothing in the test was
chosen with this zoo. Models are small (32 px), kept in the private cache, and made one after the other, so a run that
was stopped goes on. Holmes gets the poisoned and the benign shadow that it asks for.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from readme import put_table
from spellward.artifacts import cache_root, versions
from spellward.attacks.stealing.disguises import DISGUISES
from spellward.attacks.stealing.means import Means
from spellward.attacks.stealing.table import STEALING
from spellward.data import ImageTable, load_splits, prepare
from spellward.models import FitSettings, VisionModel, logits_of
from spellward.ownership.claim import Claim, ClaimSettings, create_claim, load_claim
from spellward.ownership.judge import METHODS, judge
from spellward.ownership.references import fine_tuned

RESULTS = Path(__file__).parent / "results" / "ownership.json"
SIDE, EPOCHS = 32, 5
OTHER = "torchvision/squeezenet1_1?random"
INNOCENT = ("bundled", "bundled?random", "bundled", OTHER)
"""What innocent models start from, in turns."""
NONSENSE: dict[str, Callable[[np.ndarray, np.random.Generator], np.ndarray]] = {
    "constant": lambda scores, rng: np.tile(rng.normal(size=scores.shape[1]), (len(scores), 1)),
    "zero": lambda scores, rng: np.zeros_like(scores),
    "random": lambda scores, rng: rng.normal(size=scores.shape),
    "shuffled rows": lambda scores, rng: rng.permutation(scores),
    "other class order": lambda scores, rng: scores[:, rng.permutation(scores.shape[1])],
}


def halves(data: str) -> tuple[ImageTable, ImageTable, ImageTable]:
    """The owner's images, everybody else's, and the test images."""
    splits = load_splits(data)
    train, test = (prepare(split, SIDE) for split in (splits.train, splits.test))
    order = np.random.default_rng(0x0DD).permutation(len(train))
    return *(train.subset(np.sort(half)) for half in np.array_split(order, 2)), test


def suspects(
    victim: VisionModel, own: ImageTable, others: ImageTable, innocent: int, fit: FitSettings
) -> Iterator[tuple[str, str, Callable[[], VisionModel]]]:
    """Yields kind, name and how to make each model."""
    for number in range(innocent):
        base, settings = INNOCENT[number % len(INNOCENT)], replace(fit, seed=5000 + number)
        rows = np.sort(np.random.default_rng(number).permutation(len(others))[: round(0.9 * len(others))])

        def make(base: str = base, settings: FitSettings = settings, rows: np.ndarray = rows) -> VisionModel:
            return fine_tuned(base, others.subset(rows), SIDE, settings, "Innocent model")

        yield "innocent", f"{base} {number + 1}", make
    for name, theft in STEALING.items():
        images = own if theft.needs == "data" else others
        means = Means(images, "bundled", OTHER, 2 * len(others), fit, seed=77)
        yield "stolen", name, lambda theft=theft, means=means: theft.run(victim, means)  # type: ignore[misc]


def verdicts(claim: Claim, outputs: np.ndarray) -> dict[str, dict[str, object]]:
    """What every method says."""
    found = {}
    for method in METHODS:
        verdict = judge(claim.victim, claim.references, outputs, poisoned=claim.poisoned, method=method)
        found[method] = {
            "verdict": verdict.verdict,
            "p_value": verdict.p_value,
            "effect": verdict.effect,
            "queries_needed": verdict.queries_needed,
        }
    return found


def rows_of(
    kind: str, name: str, scores: np.ndarray, claim: Claim, accuracy: float
) -> Iterator[tuple[str, dict[str, object]]]:
    """A model's row, and one for each disguise."""
    yield f"{kind}/{name}", {"kind": kind, "accuracy": accuracy, "methods": verdicts(claim, scores)}
    for disguise, hide in DISGUISES.items():
        shown = hide(scores.astype(np.float64), 0)
        yield (
            f"{kind}/{name}/{disguise}",
            {"kind": f"{kind}, {disguise}", "accuracy": accuracy, "methods": verdicts(claim, shown)},
        )


def table(rows: dict[str, dict]) -> str:
    """Accusations by kind and method, as Markdown."""
    lines = ["| suspects | number | " + " | ".join(METHODS) + " |", "|---" * (2 + len(METHODS)) + "|"]
    groups: dict[str, list[dict]] = {}
    for key, row in rows.items():
        plain = key.count("/") == 1 if row["kind"] == "stolen" else False
        groups.setdefault(f"stolen: {key.split('/')[1]}" if plain else row["kind"], []).append(row)
    for name, some in groups.items():
        cells = [f"{sum(row['methods'][method]['verdict'] == 'stolen' for row in some)}" for method in METHODS]
        lines.append(f"| {name} | {len(some)} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="sample:fashion")
    parser.add_argument("--innocent", type=int, default=12)
    parser.add_argument("--references", type=int, default=6)
    parser.add_argument("--minutes", type=float, default=float("inf"))
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    begun = time.monotonic()
    own, others, test = halves(options.data)
    fit = FitSettings(epochs=EPOCHS)
    victim = fine_tuned("bundled", own, SIDE, replace(fit, seed=99), "Victim")
    folder = cache_root() / "runs" / f"zoo-{options.data.partition(':')[2]}-{options.references}"
    settings = ClaimSettings(references=options.references, shadows=True, fit=fit)
    if not folder.exists():
        splits = load_splits(options.data)
        order = np.random.default_rng(0x0DD).permutation(len(splits.train))
        mine = replace(splits, train=splits.train.select(np.sort(np.array_split(order, 2)[0])))
        create_claim(victim, mine, folder, settings=settings)
    claim = load_claim(folder)
    print(f"claim ready after {time.monotonic() - begun:.0f} s", flush=True)
    known: dict[str, dict] = json.loads(RESULTS.read_text())["rows"] if RESULTS.is_file() else {}
    rng = np.random.default_rng(0)
    for name, make_nonsense in NONSENSE.items():
        outputs = make_nonsense(claim.victim, rng)
        known[f"nonsense/{name}"] = {"kind": "nonsense", "accuracy": 0.0, "methods": verdicts(claim, outputs)}
    for kind, name, make in suspects(victim, own, others, options.innocent, fit):
        if f"{kind}/{name}" in known:
            continue
        if time.monotonic() - begun > 60 * options.minutes:
            break
        model = make()
        accuracy = float((logits_of(model, test).argmax(axis=1) == test.labels).mean())
        for key, row in rows_of(kind, name, model.logits(claim.probes), claim, accuracy):
            known[key] = row
        first = known[f"{kind}/{name}"]
        print(kind, name, f"{accuracy:.3f}", first["methods"]["spellward"], flush=True)
        document = {"data": options.data, "settings": str(settings), "versions": versions(), "rows": known}
        RESULTS.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    text = table(known)
    print(text)
    put_table("ownership", text)


if __name__ == "__main__":
    main()
