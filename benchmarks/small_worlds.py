"""False accusations where references are worse than models may be; writes results/small_worlds.json and its table.

    python benchmarks/small_worlds.py [--victims 3] [--first 10] [--workers 2]

Small networks on scikit-learn's digits and on made-up clusters: with few images a model that has seen twice as many is
notably better, and a reference that has seen fewer notably worse. Innocents are networks, linear models and forests on
other people's rows, half as many as the owner's to all there are. Thieves are made from the victim. Inputs are rows
that the victim has not seen, rows that it was trained on, or mixtures of these, as a claim asks about. Everything is
judged from answers alone, with the default test as for recorded outputs, with peers as in a claim, without either
(opinions count), and by the baselines that need no shadows. The test was built on victims 0 to 2, so others are
reported.
"""

from __future__ import annotations

import argparse
import copy
import json
import warnings
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits, make_classification
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.preprocessing import StandardScaler

from pages import put_table
from spellward.artifacts import versions
from spellward.ownership import judge

RESULTS = Path(__file__).parent / "results" / "small_worlds.json"
INPUTS, REFERENCES, PEER_COUNT, INNOCENTS, FIRST = 150, 8, 4, 12, 20
PEERS = "with peers"
ASKED = (
    ("unseen", "owner"),
    ("unseen", "others"),
    ("trained on", "owner"),
    ("trained on", "others"),
    ("mixtures", "owner"),
)
"""What the inputs are to the victim, and whose rows the references learn from."""
WAYS = {
    "spellward": {},
    PEERS: {},
    "without either": {"opinions_count": True},
    **{name: {"method": name} for name in ("dataset-inference", "akh", "agreement")},
}
THIEVES = ("copy", "copy, noised", "fine-tuned", "soft labels", "hard labels")


@dataclass(frozen=True)
class World:
    """Where a victim lives: the data, and one way to ask."""

    data: str
    inputs: str
    references: str
    seed: int

    def rows(self) -> tuple[np.ndarray, np.ndarray]:
        """Standardised rows and labels in a seeded order."""
        if self.data == "digits":
            pixels, labels = load_digits(return_X_y=True)
        else:
            pixels, labels = make_classification(
                4000,
                20,
                n_informative=8,
                n_redundant=4,
                n_classes=10,
                class_sep=1.0,
                flip_y=0.05,
                random_state=self.seed,
            )
        order = np.random.default_rng([self.seed, 7]).permutation(len(labels))
        return StandardScaler().fit_transform(pixels)[order], labels[order]


def network(seed: int) -> MLPClassifier:
    return MLPClassifier((48,), max_iter=60, random_state=seed)


def judged(world: World) -> dict[str, Counter[str]]:
    """How many suspects of each kind each way calls stolen."""
    warnings.filterwarnings("ignore")
    pixels, labels = world.rows()
    rng, quarter = np.random.default_rng([world.seed, 11]), len(labels) // 4
    own, others, rest = np.arange(quarter), np.arange(quarter, 2 * quarter), np.arange(2 * quarter, len(labels))
    victim = network(1000 + world.seed).fit(pixels[own], labels[own])
    kept = own[: max(INPUTS, quarter // 2)]
    if world.inputs == "unseen":
        asked, rest, kept = pixels[rest[-INPUTS:]], rest[:-INPUTS], own[:0]
    elif world.inputs == "trained on":
        asked = pixels[kept[:INPUTS]]
    else:
        pairs = rng.choice(kept, (10 * INPUTS, 2))
        pairs = pairs[labels[pairs[:, 0]] != labels[pairs[:, 1]]][:INPUTS]
        asked = pixels[pairs].mean(axis=1)

    def learn(model: MLPClassifier, rows: np.ndarray) -> np.ndarray:
        return model.fit(pixels[rows], labels[rows]).predict_proba(asked)

    known = np.setdiff1d(own, kept) if world.references == "owner" else others
    references = [
        learn(network(2000 + place), rng.permutation(known)[: round(0.75 * len(known))]) for place in range(REFERENCES)
    ]
    # Of inputs that the victim has not learnt nobody can have learnt as much.
    peers = [learn(network(3000 + place), own) for place in range(PEER_COUNT if len(kept) else 0)]
    suspects = [("victim", victim.predict_proba(asked))]
    for number in range(INNOCENTS):
        kinds = (network(number), MLPClassifier((64, 32), max_iter=40, random_state=number))
        kinds += (LogisticRegression(max_iter=200, C=0.3), RandomForestClassifier(60, random_state=number))
        size = (quarter // 2, quarter, len(rest))[number // 4 % 3]
        suspects.append(("innocent", learn(kinds[number % 4], rng.permutation(rest)[:size])))
    suspects += thieves(victim, pixels[rest], labels[rest], asked, rng)
    own_answers = suspects.pop(0)[1]
    counts: dict[str, Counter[str]] = {}
    for way, options in WAYS.items():
        if way == PEERS:
            if not peers:
                continue
            options = {"peers": peers}
        verdicts = ((kind, judge(own_answers, references, answers, **options)) for kind, answers in suspects)
        counts[way] = Counter(kind for kind, verdict in verdicts if verdict.verdict == "stolen")
    return counts


def thieves(
    victim: MLPClassifier, pixels: np.ndarray, labels: np.ndarray, asked: np.ndarray, rng: np.random.Generator
) -> list[tuple[str, np.ndarray]]:
    """Name and answers of each thief; the students ask the victim 4,000 questions."""
    own = np.log(np.maximum(victim.predict_proba(asked), 1e-12))
    tuned = copy.deepcopy(victim)
    for _ in range(5):
        tuned.partial_fit(pixels, labels)
    questions = 0.6 * pixels[rng.integers(0, len(pixels), 4000)] + 0.4 * pixels[rng.integers(0, len(pixels), 4000)]
    answers = np.log(np.maximum(victim.predict_proba(questions), 1e-12))
    soft = MLPRegressor(hidden_layer_sizes=(64,), max_iter=60, random_state=4).fit(questions, answers)
    hard = MLPClassifier((64,), max_iter=60, random_state=5).fit(questions, answers.argmax(axis=1))
    scores = (own, own + 0.1 * own.std() * rng.standard_normal(own.shape), tuned.predict_proba(asked))
    scores += (soft.predict(asked), hard.predict_proba(asked))
    return list(zip(THIEVES, scores, strict=True))


def table(rows: dict[str, dict[str, dict[str, int]]], victims: int) -> str:
    """Counts as Markdown: innocents accused by every way, thieves found by the default, without and with peers."""
    lines = [f"| data | inputs | references | {' | '.join(WAYS)} | {' | '.join(THIEVES)} |"]
    lines.append("|---" * (3 + len(WAYS) + len(THIEVES)) + "|")
    for name, counts in rows.items():
        ways = [way for way in ("spellward", PEERS) if counts.get(way)]
        accused = ["" if way == PEERS != ways[-1] else str(counts[way].get("innocent", 0)) for way in WAYS]
        found = [f"{', '.join(str(counts[way].get(thief, 0)) for way in ways)} of {victims}" for thief in THIEVES]
        lines.append(f"| {' | '.join(name.split('/'))} | {' | '.join(accused)} | {' | '.join(found)} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--victims", type=int, default=3)
    parser.add_argument("--first", type=int, default=FIRST, help="the first victim; 0 repeats those it was built on")
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    worlds = [
        World(data, *asked, seed)
        for data, asked, seed in product(
            ("digits", "clusters"), ASKED, range(options.first, options.first + options.victims)
        )
    ]
    rows: dict[str, dict[str, Counter[str]]] = {}
    with ProcessPoolExecutor(options.workers) as pool:
        for world, counts in zip(worlds, pool.map(judged, worlds), strict=True):
            row = rows.setdefault(f"{world.data}/{world.inputs}/{world.references}", {way: Counter() for way in WAYS})
            for way, found in counts.items():
                row[way].update(found)
            print(world, {way: dict(found) for way, found in counts.items()}, flush=True)
    content = {"versions": versions(), "victims": options.victims, "innocents": INNOCENTS, "rows": rows}
    RESULTS.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    text = table(rows, options.victims)
    print(text)
    put_table("small-worlds", text)


if __name__ == "__main__":
    main()
