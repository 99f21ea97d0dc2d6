"""Every method judges the zoo; writes results/ownership.json, docs/ownership.png and the tables.

    python benchmarks/ownership.py [--data fashion clipart] [--half report] [--minutes 60]

Missing models of the zoo are trained first (see zoo.py). Every model is judged as it is and in each disguise, by the
claim's 150 probes; Holmes, as published, asks about the images that the victim knows best and has its two shadows.
Beside the verdicts stands how many of a row each method tells from all but 1 % of the innocent models, which takes the
thresholds out of the comparison.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import torch

from pages import put_table
from spellward.artifacts import versions
from spellward.attacks.stealing.disguises import DISGUISES
from spellward.ownership.claim import Claim
from spellward.ownership.evidence.references import BASES, train_references
from spellward.ownership.evidence.shadows import benign_shadow, by_loss, poisoned_shadow
from spellward.ownership.judge import DEFAULT, METHODS, judge
from spellward.ownership.verify import with_weights
from spellward.ownership.weights.sample import Channels
from zoo import (
    CHECK,
    FEWER,
    HALVES,
    KINDS,
    Zoo,
    claim_of,
    is_recorded,
    members,
    open_zoo,
    outputs_of,
    questions,
    record,
    reserved_of,
    victim_of,
)

matplotlib.use("Agg")
from matplotlib import pyplot as plt

RESULTS = Path(__file__).parent / "results" / "ownership.json"
PICTURE = Path(__file__).parents[1] / "docs" / "ownership.png"
FALSE_RATE = 0.01
WITH_WEIGHTS = "with weights"
"""The default where the suspect is a model and not only its answers."""
ON_TEST_IMAGES = "test images"
"""The default as `verify-outputs` uses it: answers to images that nobody has seen, no peers, no weights."""
COLUMNS = (WITH_WEIGHTS, DEFAULT, ON_TEST_IMAGES, *(name for name in METHODS if name != DEFAULT))
SHORT_COLUMNS = (WITH_WEIGHTS, DEFAULT, "holmes", "dataset-inference", "akh")
COPIES = ("copy", "fine-tune", "prune", "quantise", "weight-noise")
SHORT_ROWS = {
    "innocent models": ("innocent",),
    "copies: as they are, fine-tuned, pruned, quantised, noised": COPIES,
    "students of 20,000 answers, from the same public base": tuple(
        f"{kind}, 20,000" for kind in ("soft-label", "hard-label", "top-k")
    ),
    "students of 5,000 answers, from the same public base": ("soft-label, 5,000", "hard-label, 5,000"),
    "students of another architecture or from scratch": ("soft-label-other", "soft-label-scratch"),
    "retrained on the private images": ("retrain",),
}
"""What the README shows of the zoo of clothes: what rows of the full table begin with, put together."""
TITLES = {
    "innocent": "innocent, {}",
    "better": "innocent and better, in all disguises",
    "foreign": "innocent, from bases that no reference has, in all disguises",
}


@dataclass(frozen=True, eq=False)
class Evidence:
    """What suspects are judged by.

    Attributes:
        claim: Probes and outputs on them.
        rows: Where the probes stand among the candidates that the zoo was asked about.
        known: Outputs of victim, benign and poisoned shadow on the images that Holmes asks about.
        unseen: Outputs of the victim and the claim's references on test images.
    """

    claim: Claim
    rows: np.ndarray
    known: tuple[np.ndarray, np.ndarray, np.ndarray]
    unseen: list[np.ndarray]


def evidence_of(zoo: Zoo) -> Evidence:
    victim = victim_of(zoo)
    claim, asked = claim_of(zoo, victim), questions(zoo, victim)
    places = {image.numpy().tobytes(): row for row, image in enumerate(asked["pool"])}
    rows = np.array([places[probe.numpy().tobytes()] for probe in claim.probes])
    rest = zoo.own.subset(np.setdiff1d(np.arange(len(zoo.own)), reserved_of(zoo)))
    fit = replace(zoo.fit, seed=zoo.seed)  # as the claim makes them, so they are loaded
    benign = benign_shadow(BASES, rest, by_loss(victim, rest), zoo.side, fit)
    poisoned = poisoned_shadow(victim, zoo.own, by_loss(victim, zoo.own), fit)
    known = tuple(one.logits(asked["known"]) for one in (victim, benign, poisoned))
    references = [benign, *train_references(rest, zoo.references - 1, BASES, zoo.side, fit)]
    return Evidence(claim, rows, known, [one.logits(asked["unseen"]) for one in (victim, *references)])


def verdicts(
    evidence: Evidence,
    answers: dict[str, np.ndarray],
    disguise: str = "",
    weights: Channels | None = None,
) -> dict[str, dict[str, Any]]:
    """What every method says about answers to `questions`, shown plainly or disguised, and the suspect's weights."""
    shown = [one.astype(np.float64) for one in (answers["pool"][evidence.rows], answers["known"], answers["unseen"])]
    outputs, on_known, unseen = [DISGUISES[disguise](one, 0) if disguise else one for one in shown]
    claim, found = evidence.claim, {}
    rules = {"opinions_count": claim.commitment.opinions_count, "peers": claim.peers}
    for method in COLUMNS:
        if method == WITH_WEIGHTS:
            answered = judge(claim.victim, claim.references, outputs, alpha=claim.alpha, **rules)
            verdict = with_weights(answered, claim, weights)
        elif method == ON_TEST_IMAGES:
            own, *references = evidence.unseen
            verdict = judge(own, references, unseen)
        elif method == "holmes":
            victim, benign, poisoned = evidence.known
            verdict = judge(victim, [benign], on_known, poisoned=poisoned, method=method)
        else:
            alpha = claim.alpha if method == DEFAULT else claim.commitment.alpha
            verdict = judge(claim.victim, claim.references, outputs, method=method, alpha=alpha, **rules)
        found[method] = {
            "verdict": verdict.verdict,
            "p_value": verdict.p_value,
            "effect": verdict.effect,
            "queries_needed": verdict.queries_needed,
        }
        if verdict.weights is not None:
            found[method]["weights"] = {"effect": verdict.weights.effect, "threshold": verdict.weights.threshold}
    return found


def nonsense(evidence: Evidence, rng: np.random.Generator) -> Iterator[tuple[str, dict[str, np.ndarray]]]:
    """Yields name and answers to `questions`."""
    known, pool = evidence.known[0], np.zeros((int(evidence.rows.max()) + 1, evidence.known[0].shape[1]))
    pool[evidence.rows] = evidence.claim.victim
    same = rng.normal(size=known.shape[1])
    order = rng.permutation(known.shape[1])
    for name, change in {
        "constant": lambda scores: np.tile(same, (len(scores), 1)),
        "zero": np.zeros_like,
        "random": lambda scores: rng.normal(size=scores.shape),
        "shuffled rows": lambda scores: scores[rng.permutation(len(scores))],
        "other class order": lambda scores: scores[:, order],
    }.items():
        shuffled = pool.copy()
        shuffled[evidence.rows] = change(pool[evidence.rows])
        yield name, {"pool": shuffled, "known": change(known), "unseen": change(evidence.unseen[0])}


def rows_of(zoo: Zoo) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yields the name of every judged suspect and what was found."""
    evidence = evidence_of(zoo)
    for name, answers in nonsense(evidence, np.random.default_rng(zoo.seed)):
        yield f"nonsense/{name}", {"accuracy": None, "methods": verdicts(evidence, answers)}
    for kind, name, _ in members(zoo, victim_of(zoo)):
        path = outputs_of(zoo, kind, name)
        if is_recorded(path):
            with np.load(path) as kept:
                accuracy, answers = float(kept["accuracy"]), {key: kept[key] for key in ("pool", "known", "unseen")}
                weights = tuple(kept[f"weights-{place}"] for place in range(int(kept["layers"]))) or None
            for disguise in ("", *DISGUISES):
                row = {"accuracy": accuracy, "methods": verdicts(evidence, answers, disguise, weights)}
                yield f"{kind}/{name}/{disguise or 'plain'}", row


def suspicion(found: dict[str, Any]) -> tuple[float, float]:
    """Larger is more suspicious: by p-value, then by effect. What cannot be tested is not suspicious."""
    return (-2.0, 0.0) if found["p_value"] is None else (-found["p_value"], found["effect"])


def told_apart(stolen: list[dict], innocent: list[dict], method: str) -> float:
    """Share of the stolen that look worse than all but 1 % of the innocent."""
    line = sorted((suspicion(row["methods"][method]) for row in innocent), reverse=True)
    line_at = line[int(FALSE_RATE * len(line))]
    return float(np.mean([suspicion(row["methods"][method]) > line_at for row in stolen]))


def groups_of(rows: dict[str, dict]) -> dict[str, list[dict]]:
    """Rows by what the suspects are: each theft, in all its disguises, and the innocent, by disguise."""
    groups: dict[str, list[dict]] = {}
    for key, row in rows.items():
        kind, name, *disguise = key.split("/")[0], "/".join(key.split("/")[1:-1]), key.split("/")[-1]
        title = name if kind == "stolen" else TITLES.get(kind, "nonsense").format(disguise[0])
        groups.setdefault(title, []).append(row)
    return groups


def effects_by_weights(rows: list[dict]) -> str:
    """The range of effects that weights have, of the suspects whose weights can be compared."""
    seen = [row["methods"][WITH_WEIGHTS].get("weights") for row in rows]
    rounded = {round(one["effect"], 2) + 0.0 for one in seen if one is not None}  # plus zero: there is no -0.00
    effects = [f"{effect:.2f}" for effect in sorted(rounded)]
    return " to ".join(dict.fromkeys([effects[0], effects[-1]])) if effects else ""


def table(halves: dict[str, dict[str, dict]], wanted: list[str]) -> str:
    """Accusations by suspect and method, as Markdown; for thefts also what each method can tell from the innocent."""
    lines = []
    for title, rows in halves.items():
        if title.rpartition("/")[2] not in wanted:
            continue
        innocent = [row for key, row in rows.items() if key.startswith("innocent/")]
        lines += [
            "",
            f"**{title.replace('/', ', ')}**",
            "",
            "| suspects | accuracy | judged | weights | " + " | ".join(COLUMNS) + " |",
        ]
        lines.append("|---" * (4 + len(COLUMNS)) + "|")
        for name, some in groups_of(rows).items():
            accuracies = [row["accuracy"] for row in some if row["accuracy"] is not None]
            cells = []
            for method in COLUMNS:
                if method not in some[0]["methods"]:
                    cells.append("")  # judged before there was this column
                    continue
                accused = sum(row["methods"][method]["verdict"] == "stolen" for row in some)
                apart = "" if name.startswith(("innocent", "nonsense")) else told_apart(some, innocent, method)
                cells.append(f"{accused}" if apart == "" else f"{accused} ({100 * apart:.0f} %)")
            mean = f"{100 * np.mean(accuracies):.1f}" if accuracies else ""
            lines.append(f"| {name} | {mean} | {len(some)} | {effects_by_weights(some)} | {' | '.join(cells)} |")
    return "\n".join(lines[1:])


def short_table(rows: dict[str, dict]) -> str:
    """How many of each group of suspects the better-known methods call stolen, as Markdown."""
    lines = ["| suspects | judged | " + " | ".join(SHORT_COLUMNS) + " |", "|---" * (2 + len(SHORT_COLUMNS)) + "|"]
    for title, beginnings in SHORT_ROWS.items():
        some = [row for name, group in groups_of(rows).items() if name.startswith(beginnings) for row in group]
        accused = [sum(row["methods"][method]["verdict"] == "stolen" for row in some) for method in SHORT_COLUMNS]
        lines.append(f"| {title} | {len(some)} | {' | '.join(map(str, accused))} |")
    return "\n".join(lines)


def picture(halves: dict[str, dict[str, dict]], wanted: list[str]) -> None:
    """p-values of innocent models against what they should be, and effects of all plain suspects."""
    shown = {title: rows for title, rows in halves.items() if title.rpartition("/")[2] in wanted}
    figure, axes = plt.subplots(1, 2, figsize=(11, 4.2), layout="constrained")
    for title, rows in shown.items():
        name = title.replace("/", ", ")
        for method in ("spellward", "holmes", "dataset-inference", "akh"):
            plain = [
                row["methods"][method] for key, row in rows.items() if key.startswith("innocent/") and "/plain" in key
            ]
            values = np.sort([one["p_value"] for one in plain if one["p_value"] is not None])
            style = "-" if title == next(iter(shown)) else ":"
            share = np.arange(1, len(values) + 1) / len(values)
            axes[0].step(values, share, style, where="post", label=f"{method}, {name}")
    axes[0].plot([0, 1], [0, 1], color="grey", linewidth=0.8)
    axes[0].set(xlabel="p-value of an innocent model", ylabel="share of models with at most this p-value")
    axes[0].set_title("On or below the diagonal: no more accused than promised", fontsize=10)
    axes[0].legend(fontsize=7)
    for height, rows in enumerate(shown.values()):
        for kind, colour in (("innocent", "tab:green"), ("stolen", "tab:red")):
            found = [
                row["methods"]["spellward"] for key, row in rows.items() if key.startswith(kind) and "/plain" in key
            ]
            effects = [one["effect"] for one in found if one["effect"] is not None]
            spread = np.linspace(-0.15, 0.15, len(effects)) + (0.2 if kind == "stolen" else -0.2)
            axes[1].plot(effects, height + spread, "o", color=colour, markersize=4, alpha=0.7, label=kind)
    axes[1].set(yticks=range(len(shown)), yticklabels=[title.replace("/", ", ") for title in shown])
    axes[1].set(xlabel="residual correlation with the victim (1: a copy)")
    axes[1].legend(*[list(some)[:2] for some in axes[1].get_legend_handles_labels()], fontsize=8)
    figure.savefig(PICTURE, dpi=110, metadata={"Software": None})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", nargs="+", default=["fashion", "clipart"])
    parser.add_argument("--half", nargs="+", choices=list(HALVES), default=["report"])
    parser.add_argument("--minutes", type=float, default=float("inf"), help="of training; the rest stays out")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    document = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.is_file() else {}
    halves = document.get("halves", {})
    for data in options.data:
        for half in options.half:
            zoo = open_zoo(data, half)
            record(zoo, KINDS, options.minutes)
            halves[f"{data}/{half}"] = dict(rows_of(zoo))
            document = {"versions": versions(), "halves": halves}
            RESULTS.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    text = table(halves, ["report", CHECK, FEWER])
    print(table(halves, options.half))
    put_table("ownership", text)
    put_table("claim", short_table(halves["fashion/report"]))
    picture(halves, ["report", CHECK])


if __name__ == "__main__":
    main()
