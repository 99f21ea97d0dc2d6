"""Forecasts of `spellward suggest` against real locks; writes results/suggest.json.

    python benchmarks/suggest.py [--recipes decoy edited-only] [--fit 24] [--check 24] [--threads 1]

Small locks of Fashion-MNIST (600 training images at 32 px) under many spells, each of other words, with a strength
drawn between 0.15 and 0.95 and a salt of its own. Some spells fit the forecast, judged on validation images; others,
which no fit ever sees, check it on test images: the rank correlation of forecast and measured UP minus LP, and of UP.
`decoy` stands for what users lock with, `edited-only` for the published recipe. Finished locks stay in the JSON and are
not repeated; spells are measured anew at the end. The line of UP and the mean of LP for `edited-only` stand in
locking/forecast.py.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from scipy.stats import spearmanr

from spellward.artifacts import cache_root, run_name, versions
from spellward.data import ImageTable, load_splits, prepare
from spellward.data.splits import stratified_cap
from spellward.editors import Editor, load_editor
from spellward.keys import Key
from spellward.locking.candidates import VOCABULARY, Candidate, candidate_prompts
from spellward.locking.forecast import INPUTS, Line
from spellward.locking.lock import complete_key
from spellward.locking.recipe import RECIPES
from spellward.locking.spell_bench import SpellBench
from spellward.locking.suggest import suggest
from spellward.locking.tasks import TASKS, through
from spellward.locking.training import fit_lock, lock_examples
from spellward.locking.unlock import edit_with_key
from spellward.models import FitSettings, load_model

RESULTS = Path(__file__).parent / "results" / "suggest.json"
RECIPE_NAMES = ("decoy", "edited-only")
LOCKS = RESULTS.parent / "lock.json"
IMAGES, SIDE, JUDGED = 600, 32, 500
DRAWN, STRENGTHS = 24, (0.15, 0.95)
SETTINGS = FitSettings(epochs=6, batch_size=32)
PENALTIES = (0.01, 0.1, 1.0, 10.0)


def spells(fit: int, check: int) -> list[tuple[int, Candidate, bool]]:
    """Spells to lock under: a number, the spell, and whether it fits the forecast.

    Vocabulary and random words are shuffled, so that both stand among those that fit and those that check. Of the
    first draw, 24 spells once checked a forecast that fell short; they are left out of everything.
    """
    first = candidate_prompts(count=2 * DRAWN, seed=2024, vocabulary=VOCABULARY)
    rng = np.random.default_rng(2024)
    fits = [(first[place], float(rng.uniform(*STRENGTHS))) for place in rng.permutation(len(first))]
    second = candidate_prompts(count=round(len(VOCABULARY) / 0.75), seed=2025, vocabulary=VOCABULARY)
    fresh = [prompt for prompt in second if prompt not in first]
    checks = [(fresh[place], float(rng.uniform(*STRENGTHS))) for place in rng.permutation(len(fresh))]
    numbered = [*enumerate(fits[: min(fit, DRAWN)]), *enumerate(checks[: min(check, DRAWN)], 2 * DRAWN)]
    return [(number, Candidate(prompt, round(strength, 2)), number < DRAWN) for number, (prompt, strength) in numbered]


def some_of(table: ImageTable) -> ImageTable:
    """Images to judge a lock on, each class in proportion."""
    return table.subset(stratified_cap(table.labels, JUDGED, table.classes, 0))


def measured_lock(
    spell: Candidate, number: int, name: str, train: ImageTable, judged: ImageTable, editor: Editor
) -> tuple[float, float]:
    """UP and LP of a lock under a spell."""
    # Augmented after the edit: what is compared is the spells, and this takes a third of the edits.
    recipe = replace(RECIPES[name], variants=1, fewest_edits=0)
    salt = np.random.default_rng([number, 0x5A17]).bytes(16)
    model = load_model("bundled", train.classes, SIDE, 0)
    key = complete_key(Key(spell.prompt, salt=salt, seed=number, strength=spell.strength), editor, model)
    folder = (
        cache_root() / "runs" / run_name("suggest", name, asdict(spell), number, asdict(SETTINGS), train.fingerprint)
    )
    fit_lock(model, lock_examples(train, key, editor, recipe, SETTINGS), train, recipe, SETTINGS, folder)
    task = TASKS[model.task]
    up = task.judge(through(model, partial(edit_with_key, editor, key=key)), judged).value
    return up, task.judge(model.logits, judged).value


def fitted(inputs: np.ndarray, values: np.ndarray) -> tuple[Line, float]:
    """Ridge regression on standardised inputs; the penalty has the smallest error, spells left out in turn.

    Returns:
        The line, and that error.
    """
    centre, spread = inputs.mean(axis=0), inputs.std(axis=0) + 1e-9
    standard = (inputs - centre) / spread

    def slopes(rows: np.ndarray, penalty: float) -> np.ndarray:
        some, wanted = standard[rows], values[rows] - values[rows].mean()
        return np.linalg.solve(some.T @ some + penalty * np.eye(some.shape[1]), some.T @ wanted)

    def left_out_error(penalty: float) -> float:
        errors = []
        for row in range(len(values)):
            rows = np.delete(np.arange(len(values)), row)
            errors.append(values[rows].mean() + standard[row] @ slopes(rows, penalty) - values[row])
        return float(np.sqrt(np.mean(np.square(errors))))

    penalty = min(PENALTIES, key=left_out_error)
    found = slopes(np.arange(len(values)), penalty) / spread
    centres, slopes_found = (tuple(round(float(one), 4) for one in some) for some in (centre, found))
    return Line(round(float(values.mean()), 4), centres, slopes_found), round(left_out_error(penalty), 4)


def judge_forecast(name: str, rows: list[dict], document: dict) -> None:
    """Fits UP and LP of a recipe on the spells for that, and correlates forecast and measured ones."""
    learnt = np.array([row["fit"] for row in rows], dtype=bool)
    if min(learnt.sum(), (~learnt).sum()) < 3:
        return
    inputs = np.array([[row["measures"][name] for name in INPUTS] for row in rows])
    up, lp = (np.array([row[name][what] for row in rows]) for what in ("up", "lp"))
    (of_up, _), (of_lp, _) = (fitted(inputs[learnt], values[learnt]) for values in (up, lp))
    _, error = fitted(inputs[learnt], (up - lp)[learnt])
    print(f"{name}: KNOWN = {document['known']:.4f}, Learnt({of_up}, {of_lp}, {error})")
    guess_up, guess_lp = (np.array([line.at(tuple(one)) for one in inputs]) for line in (of_up, of_lp))
    for what, guess, found in (("UP - LP", guess_up - guess_lp, up - lp), ("UP", guess_up, up)):
        for part, some in (("fitted", learnt), ("never seen", ~learnt)):
            pairs = np.stack([guess[some], found[some]])
            correlation = float(spearmanr(*pairs).statistic)
            low, high = interval(pairs)
            document["spearman"][f"{name}, {what}, {part}"] = {
                "spells": int(some.sum()),
                "correlation": correlation,
                "interval": [low, high],
            }
            spread = f"({low:.2f} to {high:.2f})"
            print(f"{name}, {what}, {part}: {some.sum()} spells, Spearman {correlation:.2f} {spread}")


def interval(pairs: np.ndarray) -> tuple[float, float]:
    """Bootstrap interval, 95 %, of the rank correlation of two rows."""
    rng = np.random.default_rng(0)
    draws = (pairs[:, rng.integers(0, pairs.shape[1], pairs.shape[1])] for _ in range(2000))
    low, high = np.nanpercentile([spearmanr(*drawn).statistic for drawn in draws], [2.5, 97.5])
    return float(low), float(high)


def seconds_of_suggest() -> dict[str, float]:
    """Processor seconds of `suggest` on 2000 images with 20 spells, and the seconds of locks in results/lock.json."""
    splits = load_splits("sample:fashion", limit=2000)
    begun = time.process_time()
    suggest(splits, count=20)
    seconds = {"suggest, 20 spells": round(time.process_time() - begun, 1)}
    runs = json.loads(LOCKS.read_text(encoding="utf-8"))["runs"] if LOCKS.is_file() else {}
    for name in ("hardened", "decoy"):
        taken = [
            one["figures"]["train_seconds"] for row, one in runs.items() if row.startswith(f"sample:fashion/{name}/")
        ]
        if taken:
            seconds[f"training, {name}"] = round(min(taken), 1)
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fit", type=int, default=DRAWN)
    parser.add_argument("--check", type=int, default=DRAWN)
    parser.add_argument("--recipes", nargs="+", choices=RECIPE_NAMES, default=list(RECIPE_NAMES))
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    editor = load_editor("mini")
    splits = load_splits("sample:fashion", limit=IMAGES)
    train, validation, test = (
        prepare(one, editor.resolution) for one in (splits.train, splits.validation, splits.test)
    )
    validation, test = some_of(validation), some_of(test)
    document = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.is_file() else {"spells": {}}
    rows = document["spells"]
    document |= {"editor": editor.fingerprint(), "versions": versions(), "settings": asdict(SETTINGS)}
    for name in options.recipes:
        for number, spell, fits in spells(options.fit, options.check):
            row = rows.setdefault(spell.prompt, {"fit": fits, "strength": spell.strength})
            if name in row:
                continue
            begun = time.perf_counter()
            up, lp = measured_lock(spell, number, name, train, validation if row["fit"] else test, editor)
            row[name] = {"up": up, "lp": lp, "seconds": round(time.perf_counter() - begun, 1)}
            RESULTS.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
            print(name, number, spell, row[name], flush=True)
    bench = SpellBench(train, load_model("bundled", train.classes, SIDE, 0), editor)
    document["known"] = bench.known
    for prompt, row in rows.items():
        row["measures"] = asdict(bench.measure(Candidate(prompt, row["strength"]))[0])
    document["spearman"] = {}
    for name in RECIPE_NAMES:
        judge_forecast(name, [row for row in rows.values() if name in row], document)
    document["seconds"] = seconds_of_suggest()
    print(document["seconds"])
    RESULTS.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
