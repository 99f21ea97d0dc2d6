"""Forecasts of `spellward suggest` against real locks; writes results/suggest.json.

    python benchmarks/suggest.py [--recipes decoy edited-only] [--fit 24] [--check 24] [--again 8] [--threads 1]

Small locks of Fashion-MNIST (600 training images at 32 px) under many spells, each of other words, with a strength
drawn between 0.15 and 0.95 and a salt of its own. Some spells fit the forecast, judged on validation images; others,
which no fit ever sees, check it as it stands in locking/suggesting/forecast.py, on test images: the rank correlation
of forecast and measured UP, and of UP minus LP. `decoy` stands for what users lock with, `edited-only` for the
published recipe.
A few spells are locked again with other salts, which shows how far LP can be forecast at all. Finished locks stay in
the JSON and are not repeated; spells are measured anew at the end.
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
from spellward.locking.keying import complete_key, edit_with_key
from spellward.locking.measuring.tasks import TASKS, through
from spellward.locking.suggest import suggest
from spellward.locking.suggesting.candidates import VOCABULARY, Candidate, candidate_prompts
from spellward.locking.suggesting.forecast import INPUTS, Line, forecast
from spellward.locking.suggesting.spell_bench import SpellBench, SpellMeasures
from spellward.locking.training.fitting import fit_lock, lock_examples
from spellward.locking.training.recipe import RECIPES
from spellward.models import FitSettings, load_model

RESULTS = Path(__file__).parent / "results" / "suggest.json"
RECIPE_NAMES = ("decoy", "edited-only")
LOCKS = RESULTS.parent / "lock.json"
IMAGES, SIDE, JUDGED = 600, 32, 500
DRAWN, STRENGTHS = 24, (0.15, 0.95)
AGAIN = 1000
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
    numbered = [*enumerate(fits[:DRAWN][:fit]), *enumerate(checks[:DRAWN][:check], 2 * DRAWN)]
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
    fit_lock(model, lock_examples(train, key, editor, recipe, SETTINGS, model), train, recipe, SETTINGS, folder)
    task = TASKS[model.task]
    up = task.judge(through(model, partial(edit_with_key, editor, key=key)), judged).value
    return up, task.judge(model.logits, judged).value


def fitted(inputs: np.ndarray, values: np.ndarray) -> Line:
    """Ridge regression on standardised inputs; the penalty has the smallest error, spells left out in turn."""
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
        return float(np.mean(np.square(errors)))

    found = slopes(np.arange(len(values)), min(PENALTIES, key=left_out_error)) / spread
    centres, slopes_found = (tuple(round(float(one), 4) for one in some) for some in (centre, found))
    return Line(round(float(values.mean()), 4), centres, slopes_found)


def fit_anew(rows: list[dict], known: float) -> None:
    """Prints what locking/suggesting/forecast.py should hold: a line for UP, and the mean of LP, of `edited-only`."""
    rows = [row for row in rows if row["fit"] and "edited-only" in row]
    inputs = np.array([[row["measures"][name] for name in INPUTS] for row in rows])
    up, lp = (np.array([row["edited-only"][what] for row in rows]) for what in ("up", "lp"))
    print(f"_KNOWN, _LP = {known:.4f}, {lp.mean():.4f}; _UP = {fitted(inputs, up)}")


def check_forecast(name: str, rows: list[dict], known: float, chance: float) -> dict[str, object]:
    """Holds the forecast that the package makes against the locks of a recipe."""
    guesses = [forecast(SpellMeasures(**row["measures"]), known, chance, name) for row in rows]
    up, margin = (np.array([row[name]["up"] - less * row[name]["lp"] for row in rows]) for less in (0, 1))
    pairs = {"UP": ([one.up for one in guesses], up), "UP - LP": ([one.margin for one in guesses], margin)}
    result: dict[str, object] = {"spells": len(rows)}
    for what, (guess, found) in pairs.items():
        both = np.stack([guess, found])
        result[what] = {
            "spearman": float(spearmanr(*both).statistic),
            "interval": interval(both),
            "error": round(float(np.sqrt(np.mean((both[0] - both[1]) ** 2))), 4),
        }
    return result


def spread_of_repeats(rows: list[dict]) -> dict[str, float]:
    """Standard deviations of an `edited-only` LP: of one spell with several salts, and of spells with one salt each."""
    repeated = [[row["edited-only"]["lp"], *(lp for _, lp in row["again"])] for row in rows if "again" in row]
    of_one = float(np.sqrt(np.mean([np.var(levels, ddof=1) for levels in repeated])))
    return {
        "spells": len(repeated),
        "one spell": of_one,
        "all spells": float(np.std([row["edited-only"]["lp"] for row in rows], ddof=1)),
        "widest": float(max(np.ptp(levels) for levels in repeated)),
    }


def interval(pairs: np.ndarray) -> list[float]:
    """Bootstrap interval, 95 %, of the rank correlation of two rows."""
    rng = np.random.default_rng(0)
    draws = (pairs[:, rng.integers(0, pairs.shape[1], pairs.shape[1])] for _ in range(2000))
    low, high = np.nanpercentile([spearmanr(*drawn).statistic for drawn in draws], [2.5, 97.5])
    return [float(low), float(high)]


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
    parser.add_argument("--again", type=int, default=8, help="How many of those that fit are locked twice more.")
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
    for number, spell, _ in spells(min(options.again, options.fit), 0):
        row = rows[spell.prompt]
        if "again" not in row:
            others = (number + AGAIN * place for place in (1, 2))  # other salts and seeds than any other lock's
            row["again"] = [measured_lock(spell, one, "edited-only", train, validation, editor) for one in others]
            RESULTS.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
            print("again", spell, row["again"], flush=True)
    bench = SpellBench(train, load_model("bundled", train.classes, SIDE, 0), editor)
    document["known"] = bench.known
    for prompt, row in rows.items():
        row["measures"] = asdict(bench.measure(Candidate(prompt, row["strength"]))[0])
    fit_anew(list(rows.values()), bench.known)
    parts = {"fitted": True, "never seen": False}
    document["checks"] = {
        f"{name}, {part}": check_forecast(name, some, bench.known, bench.chance)
        for name in RECIPE_NAMES
        for part, fits in parts.items()
        if len(some := [row for row in rows.values() if name in row and row["fit"] == fits]) > 2
    }
    document["repeats"] = spread_of_repeats([row for row in rows.values() if row["fit"] and "edited-only" in row])
    print(json.dumps({name: document[name] for name in ("checks", "repeats")}, indent=2))
    document["seconds"] = seconds_of_suggest()
    print(document["seconds"])
    RESULTS.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
