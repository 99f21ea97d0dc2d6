"""How long recipes train beside an ordinary fine-tune, editing apart; writes results/recipe_cost.json and its table.

    python benchmarks/recipe_cost.py [--images 1024] [--rounds 3]

All train the same model on the same images of clothes for one epoch, in turn, so that whatever else the machine does
weighs on all alike; the epochs that a recipe takes beyond an ordinary fine-tune's are multiplied in.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
from dataclasses import replace
from pathlib import Path

import torch

from pages import put_table
from spellward.artifacts import versions
from spellward.data import load_splits, prepare
from spellward.editors import load_editor
from spellward.keys import Key
from spellward.locking.training.examples import LockExamples
from spellward.locking.training.fitting import fit_lock, lock_examples
from spellward.locking.training.recipe import RECIPES, Recipe
from spellward.models import FitSettings, fit, load_model
from spellward.models.examples import PlainExamples

RESULTS = Path(__file__).parent / "results" / "recipe_cost.json"
PROMPTS = {"mini": "with oil pastel", "object": "a red balloon"}
WAYS = [("edited-only", "mini"), ("decoy", "mini"), ("fast", "mini"), ("hardened", "mini"), ("hardened", "object")]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=1024)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    train = prepare(load_splits("sample:fashion").train, 64).subset(range(options.images))
    model = load_model("bundled", train.classes, 64, seed=0)
    settings = FitSettings(epochs=1, learning_rate=1e-3, freeze_norm=0)  # it makes the last epoch cheaper, of many one
    plain = PlainExamples(train)
    ready: list[tuple[str, Recipe, LockExamples]] = []
    for name, editor in WAYS:
        recipe = replace(RECIPES[name], fewest_edits=0)  # edits are not timed; how many there are changes nothing
        key = Key(PROMPTS[editor], salt=bytes(16), seed=0, editor=editor)
        examples = lock_examples(train, key, load_editor(editor), recipe, settings, model)
        ready.append((name if editor == "mini" else f"{name}, {editor}", recipe, examples))
    ratios: dict[str, list[float]] = {name: [] for name, *_ in ready}
    for number in range(options.rounds):
        with tempfile.TemporaryDirectory() as folder:
            ordinary = fit(model.copy(), plain, settings, folder=Path(folder) / "ordinary").seconds
            for name, recipe, examples in ready:
                result = fit_lock(model.copy(), examples, train, recipe, settings, Path(folder) / name)
                ratios[name].append(recipe.longer * result.seconds / ordinary)
        print(f"round {number + 1}: {ordinary:.1f} s; " + ", ".join(f"{k} {v[-1]:.2f}" for k, v in ratios.items()))
    document = {
        "ratios": ratios,
        "images": options.images,
        "threads": options.threads,
        "versions": versions(),
    }
    RESULTS.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    lines = ["| recipe | times an ordinary fine-tune |", "|---|---|"]
    lines += [f"| {name} | {statistics.median(some):.1f} |" for name, some in ratios.items()]
    put_table("cost", "\n".join(lines))
    print("\n".join(lines))


if __name__ == "__main__":
    main()
