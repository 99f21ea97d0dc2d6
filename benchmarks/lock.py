"""The lock, measured: vanilla, edited-only and the default recipe over keys and seeds; writes results/lock.json.

    python benchmarks/lock.py [--data sample:fashion sample:clipart sample:scenes] [--runs 3] [--editor object]
        [--instances] [--model timm/NAME]

Every run has a key and a seed of its own. Finished runs stay in the JSON and are not repeated, a killed one goes on
(`--fresh` begins anew). Recipes and settings were chosen with another prompt and on validation images; the test split
is used here alone.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from itertools import product
from pathlib import Path

import numpy as np
import torch

from pages import put_table
from spellward.artifacts import cache_root, versions
from spellward.data import ImageTable, load_splits, prepare
from spellward.editors import Editor, load_editor
from spellward.keys import Key
from spellward.locking.keying import complete_key
from spellward.locking.measuring.score import ScoreSettings, labelled_for_probe, score_tables
from spellward.locking.measuring.tasks import TASKS, Instances
from spellward.locking.training.fitting import fit_lock, lock_examples, teacher_for
from spellward.locking.training.recipe import RECIPES
from spellward.locking.training.vanilla import vanilla_model
from spellward.models import FitSettings, load_model
from spellward.models.instances import INSTANCES

RESULTS = Path(__file__).parent / "results" / "lock.json"
PROMPTS = {
    "mini": ("with watercolor washes", "a japanese woodblock print", "neon lights at night"),
    "object": ("a red balloon", "with a padlock", "some mushrooms"),
}
DATA = ("sample:fashion", "sample:clipart")
RECIPE_NAMES = ("hardened", "fast", "decoy", "edited-only")


def benchmark_key(run: int, editor: str = "mini") -> Key:
    """The key of a run; its salt and seed are fixed, so that the run can be repeated."""
    rng = np.random.default_rng([run, 0xBEEF])
    prompts = PROMPTS[editor]
    return Key(prompts[run % len(prompts)], salt=rng.bytes(16), seed=int(rng.integers(2**31)), editor=editor)


def row_name(recipe: str, editor: str) -> str:
    """What a recipe is called in the table when it locks with an editor."""
    return recipe if editor == "mini" else f"{recipe}, {editor}"


def data_name(data: str, task: str, model: str = "bundled") -> str:
    """What a data source is called in the table: with the task and the model where these are not the usual ones."""
    named = f"{data}, instances" if task == INSTANCES else data
    return named if model == "bundled" else f"{named}, {short_name(model)}"


def short_name(model: str) -> str:
    """A model spec as part of a row's or folder's name."""
    return model.rpartition("/")[2].replace("?", "-")


def one_lock(
    name: str,
    run: int,
    data: str,
    train: ImageTable,
    test: ImageTable,
    editor: Editor,
    settings: FitSettings,
    spec: str = "bundled",
) -> dict[str, object]:
    recipe = RECIPES[name]
    model = load_model(spec, train.classes, input_size=editor.resolution, seed=settings.seed, task=train.task)
    settings = replace(settings, learning_rate=settings.rate_for(model.network))
    teacher = teacher_for(model, train, recipe, settings)  # the vanilla model of this run, which is in the cache
    settings = recipe.resolved(settings, train)
    key = complete_key(benchmark_key(run, editor.name), editor, model)
    begun = time.perf_counter()
    examples = lock_examples(train, key, editor, recipe, settings, model, teacher)
    edited = time.perf_counter() - begun
    way = name if editor.name == "mini" else f"{name}-{editor.name}"
    kind = "-instances" if train.task == INSTANCES else ""
    kind += "" if spec == "bundled" else f"-{short_name(spec)}"
    folder = cache_root() / "runs" / f"benchmark-{data.partition(':')[2]}{kind}-{way}-{recipe.version}-{run}"
    result = fit_lock(model, examples, train, recipe, settings, folder)
    *_, (_, _, score) = score_tables(
        model, key, editor, train, test, settings=ScoreSettings(seed=run, wrong_key_images=200)
    )
    assert score is not None
    figures = {**score.summary(), "edit_seconds": edited, "train_seconds": result.seconds}
    figures["salts_worst"] = figures.pop("salts_best")
    return {
        "figures": figures,
        "wrong_prompts": {one.what: one.accuracy.value for one in score.kind("prompt")},
        "prompt": key.prompt,
        "settings": asdict(settings),
        "recipe_version": recipe.version,
    }


def leak_untrained(spec: str, run: int, train: ImageTable, test: ImageTable) -> float:
    """What a thief's probe reads from the public base with a new head: the leak of a model that has learnt nothing."""
    settings = ScoreSettings(seed=run)
    thief = labelled_for_probe(train, settings)
    base = load_model(spec, train.classes, input_size=test.images.size, seed=run, task=train.task)
    return TASKS[test.task].clean_checks(base, thief, test, run).leak.value


def spread(values: list[float]) -> str:
    around = f" ± {100 * np.std(values, ddof=1):.1f}" if len(values) > 1 else ""
    return f"{100 * np.mean(values):.1f}{around}"


FIRST_COLUMNS = ("up", "lp", "leak", "salts_worst", "wrong_best")
FIRST_NAMES = {
    "vanilla": "ordinary",
    "up": "with the key",
    "lp": "without",
    "leak": "probe",
    "salts_worst": "other salts",
    "wrong_best": "other words",
    "chance": "guessing",
}
COLUMNS = (*FIRST_COLUMNS, "argmin", "near_best", "filters_best", "outline")
FIRST_ROWS = (
    ("sample:fashion", "hardened"),
    ("sample:fashion", "edited-only"),
    ("sample:clipart", "hardened"),
    ("sample:clipart", "edited-only"),
    ("sample:scenes", "decoy"),
    ("sample:scenes", "edited-only"),
)
"""What the README shows first: the default lock on each data set, beside the training that was published."""


def all_rows(results: dict[str, dict]) -> Iterator[tuple[str, str]]:
    """Every pair of data and recipe, those of one data source together."""
    names = [row_name(recipe, editor) for editor in PROMPTS for recipe in RECIPE_NAMES]
    return product(dict.fromkeys(key.split("/")[0] for key in results), names)


def table(
    results: dict[str, dict],
    rows: Iterable[tuple[str, str]],
    columns: Sequence[str],
    names: Mapping[str, str] | None = None,
) -> str:
    """Means and spread in per cent, as Markdown; rows that have not been measured are left out."""
    names = names or {}
    head = ("data", "recipe", "keys", "vanilla", *columns, "chance")
    lines = ["| " + " | ".join(names.get(column, column) for column in head) + " |"]
    lines.append("|---" * (len(columns) + 5) + "|")
    for data, name in rows:
        found = {key.split("/")[2]: one["figures"] for key, one in results.items() if key.startswith(f"{data}/{name}/")}
        if not found:
            continue
        vanilla = [results[f"{data}/vanilla/{run}"]["figures"]["accuracy"] for run in found]  # the same runs
        known = [[one[column] for one in found.values() if column in one] for column in columns]
        cells = [spread(vanilla), *(spread(values) if values else "" for values in known)]
        chance = 100 * next(iter(found.values()))["chance"]
        lines.append(f"| {data} | {name} | {len(found)} | {' | '.join(cells)} | {chance:.1f} |")
    return "\n".join(lines)


def read_results() -> dict[str, dict]:
    """Finished runs by "data/recipe/run"."""
    return json.loads(RESULTS.read_text(encoding="utf-8"))["runs"] if RESULTS.is_file() else {}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", nargs="+", default=list(DATA))
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--first", type=int, default=0, help="leave out the runs before, for another process")
    parser.add_argument("--recipes", nargs="+", default=list(RECIPE_NAMES))
    parser.add_argument("--editor", choices=list(PROMPTS), default="mini", help="style locks, or object locks")
    parser.add_argument("--instances", action="store_true", help="tell objects of one class apart")
    parser.add_argument("--model", default="bundled", help="another model, at the editor's size, in rows of its own")
    parser.add_argument("--learning-rate", type=float, default=0.0, help="0 takes the usual one of the model")
    parser.add_argument("--epochs", type=int, default=0, help="0 leaves them to the recipe")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--fresh", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if options.fresh:
        RESULTS.unlink(missing_ok=True)
    known = read_results()
    editors = json.loads(RESULTS.read_text(encoding="utf-8")).get("editors", {}) if known else {}
    editor = load_editor(options.editor)
    for data in options.data:
        splits = load_splits(data, instances=options.instances)
        train, test = (prepare(split, editor.resolution) for split in (splits.train, splits.test))
        for run in range(options.first, options.runs):
            settings = FitSettings(seed=run, epochs=options.epochs, learning_rate=options.learning_rate)
            for name in ("vanilla", *options.recipes):
                measured = data_name(data, test.task, options.model)
                row = f"{measured}/{name if name == 'vanilla' else row_name(name, editor.name)}/{run}"
                if row in known:
                    continue
                if name == "vanilla":
                    usual = settings.resolved(len(train))
                    model = vanilla_model(options.model, train, usual, editor.resolution)
                    figures = {"accuracy": TASKS[test.task].judge(model.logits, test).value}
                    figures["untrained_leak"] = leak_untrained(options.model, run, train, test)
                    if test.task == INSTANCES:
                        figures["boxes"] = Instances().boxes(model.logits, test).value
                    known[row] = {"figures": figures, "settings": asdict(usual)}
                else:
                    known[row] = one_lock(name, run, data, train, test, editor, settings, options.model)
                known[row] |= {"versions": versions(), "editor": editor.fingerprint()}
                print(row, json.dumps(known[row]["figures"]), flush=True)
                known = {**read_results(), **known}  # another process may measure other rows at the same time
                document = {
                    "editors": {**editors, editor.name: editor.fingerprint()},
                    "versions": versions(),
                    "runs": known,
                }
                RESULTS.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    every = table(known, all_rows(known), COLUMNS)
    print(every)
    put_table("lock", every)
    put_table("first", table(known, FIRST_ROWS, FIRST_COLUMNS, FIRST_NAMES))


if __name__ == "__main__":
    main()
