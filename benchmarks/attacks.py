"""Every attack on the benchmark's locks, beside the public base; writes results/attacks.json.

    python benchmarks/attacks.py [LOCK ...] [--budgets 0.01 0.05 0.1] [--only NAME ...] [--draws 3] [--minutes 30]
        [--editor object] [--model timm/NAME]

LOCK names a lock of benchmarks/lock.py, DATA-RECIPE-VERSION-RUN such as fashion-decoy-1-0, or a locked folder with its
key beside it (with --data for what it was locked with); without any, all finished locks of the benchmark with that
editor and model are taken.
Few labelled images choose poorly, for the lock and for the base, so with `--draws` each thief draws them several times.
Rows that are there are not repeated, so a slice of `--minutes` may be followed by another. `--honest` measures instead
what the key opens after honest handling (JPEG, resizing, another precision); `--base` measures the public base anew for
the rows that are there, which needs no lock.
"""

from __future__ import annotations

import argparse
import json
import re
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from itertools import product
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_model as load_tensors

from lock import PROMPTS, RECIPE_NAMES, benchmark_key, short_name
from pages import put_table
from spellward.artifacts import cache_root, versions
from spellward.attacks.unlocking.table import ATTACKS
from spellward.attacks.unlocking.thief import EFFORTS
from spellward.data import ImageTable, load_splits, prepare
from spellward.editors import Editor, load_editor
from spellward.editors.cache import private_name
from spellward.keys import Key
from spellward.locking.attacking import BUDGETS, TEST_IMAGES
from spellward.locking.keying import complete_key, settings_of
from spellward.locking.measuring.attack_target import Target, base_accuracy, run_attack
from spellward.locking.measuring.guesses import wrong_key_guesses
from spellward.locking.measuring.honest_use import honest_use
from spellward.locking.unlock import unlock
from spellward.models import VisionModel, load_model

RESULTS = Path(__file__).parent / "results" / "attacks.json"
PREFIX = "benchmark-"
SHOWN = r"fashion-hardened-\d+"
WITH_LABELS = (
    "linear-probe",
    "head-tuning",
    "fine-tuning",
    "fine-pruning",
    "relearning",
    "stitching",
    "averaging",
    "extraction",
    "key-inversion",
    "prompt-inversion",
)
"""What the README shows: the default lock, and thieves who have no part of the key."""


def finished_locks() -> list[str]:
    """Names of the locks that benchmarks/lock.py has trained to the end."""
    folders = sorted((cache_root() / "runs").glob(f"{PREFIX}*/final.safetensors"))
    return [path.parent.name.removeprefix(PREFIX) for path in folders]


def locks_of(editor: str, spec: str) -> list[str]:
    """Those of them that lock classifiers with an editor and a model."""
    model, way = ("" if spec == "bundled" else f"-{short_name(spec)}"), ("" if editor == "mini" else f"-{editor}")
    wanted = re.compile(rf"\w+{re.escape(model)}-({'|'.join(RECIPE_NAMES)}){way}-\d+-\d+")
    return [name for name in finished_locks() if wanted.fullmatch(name)]


def open_lock(name: str, spec: str, train: ImageTable, editor: Editor) -> tuple[VisionModel, Key, int]:
    """The locked model, its key and the seed of its run."""
    if Path(name).is_dir():
        key = Key.load(f"{name}.key")
        return unlock(name, key, editor=editor).model, key, 0
    run = int(name.rpartition("-")[2])
    model = load_model(spec, train.classes, editor.resolution, run, train.task)
    load_tensors(model.network, str(cache_root() / "runs" / f"{PREFIX}{name}" / "final.safetensors"))
    model.network.eval()
    return model, complete_key(benchmark_key(run, editor.name), editor, model), run


def data_of(name: str, options: argparse.Namespace) -> str:
    return options.data or f"sample:{name.partition('-')[0]}"


def test_rows(test: ImageTable, seed: int) -> ImageTable:
    rows = np.random.default_rng([seed, 0x7E57]).permutation(len(test))[:TEST_IMAGES]
    return test.subset(np.sort(rows))


def target_of(name: str, data: str, editor: Editor, spec: str) -> tuple[Target, int]:
    splits = load_splits(data)
    train, test = (prepare(split, editor.resolution) for split in (splits.train, splits.test))
    model, key, run = open_lock(name, spec, train, editor)
    base = load_model(spec, train.classes, model.input_size, run, train.task)
    guesses = wrong_key_guesses(key, editor, run)
    few = test_rows(test, run)
    keys = private_name(key.model_dump(), editor.fingerprint())
    return Target(model, base, train, few, editor, settings_of(key, editor), guesses, keys), run


def bases(rows: dict[str, dict], options: argparse.Namespace) -> Iterator[tuple[str, float]]:
    """Yields row and accuracy of the public base for rows that are measured against the best-looking of several."""
    opened: dict[tuple[str, int], Target] = {}
    chosen = {name: row for name, row in rows.items() if len(ATTACKS[row["name"]].on_base) > 1}
    for name, row in sorted(chosen.items(), key=lambda one: (one[1]["labelled"], one[1]["lock"].rpartition("-")[2])):
        place = data_of(row["lock"], options), int(row["lock"].rpartition("-")[2])
        if place not in opened:
            opened[place] = base_of(*place, options.model)
        target = opened[place]
        seed = thief_seed(place[1], row.get("draw", 0))
        yield name, base_accuracy(target, row["name"], target.thief(row["labelled"], row["effort"], seed))


def thief_seed(run: int, draw: int) -> int:
    """Of a thief's draw of images; the first has the seed of the run itself."""
    return run + 1000 * draw


def base_of(data: str, run: int, spec: str) -> Target:
    """What the thieves of one run attack, with the public base in the place of a lock."""
    splits = load_splits(data)
    train, test = (prepare(split, load_editor("mini").resolution) for split in (splits.train, splits.test))
    base = load_model(spec, train.classes, train.images[:1].shape[-1], run, train.task)
    return Target(base, base, train, test_rows(test, run))


def honest_rows(name: str, data: str, editor: Editor, spec: str) -> dict[str, float]:
    """Accuracy with the key after each way of handling the images honestly; the first is "unchanged"."""
    splits = load_splits(data)
    train, test = (prepare(split, editor.resolution) for split in (splits.train, splits.test))
    model, key, run = open_lock(name, spec, train, editor)
    return {way: value for _, _, way, value in honest_use(model, key, editor, test_rows(test, run))}


def honest_table(locks: dict[str, dict[str, float]]) -> str:
    """What each handling costs in points, means and spread over the locks of one kind, as Markdown."""
    kinds = list(dict.fromkeys(name.rpartition("-")[0] for name in locks))
    lines = ["| handling | " + " | ".join(kinds) + " |", "|---" * (1 + len(kinds)) + "|"]
    for way in [one for one in next(iter(locks.values())) if one != "unchanged"]:
        cells = []
        for kind in kinds:
            some = [rows for name, rows in locks.items() if name.rpartition("-")[0] == kind]
            changes = [100 * (rows[way] - rows["unchanged"]) for rows in some]
            spread = f" ± {np.std(changes, ddof=1):.1f}" if len(changes) > 1 else ""
            cells.append(f"{np.mean(changes):+.1f}{spread}")
        lines.append(f"| {way} | {' | '.join(cells)} |")
    return "\n".join(lines)


def per_lock(rows: Iterable[dict], kind: str, name: str, share: float, field: str) -> list[float]:
    """A figure in per cent for each lock of a kind; of several draws of a thief's images the mean counts."""
    draws: dict[str, list[float]] = {}
    for row in rows:
        if (row["lock"].rpartition("-")[0], row["name"], row["labelled"]) == (kind, name, share):
            draws.setdefault(row["lock"], []).append(100 * row[field])
    return [float(np.mean(values)) for values in draws.values()]


def cell(values: list[float], sign: str = "") -> str:
    """Mean and spread over the locks."""
    spread = f" ± {np.std(values, ddof=1):.1f}" if len(values) > 1 else ""
    return f"{np.mean(values):{sign}.1f}{spread}" if values else ""


def table(rows: dict[str, dict], budgets: list[float]) -> str:
    """Accuracy, base and gain in per cent, means and spread over the locks of one kind, as Markdown."""
    kinds = dict.fromkeys(row["lock"].rpartition("-")[0] for row in rows.values())
    head = " | ".join(f"{100 * share:g} %: locked | base | gain" for share in budgets)
    lines = [f"| lock | attack | {head} |", "|---" * (2 + 3 * len(budgets)) + "|"]
    fields = {"accuracy": "", "base": "", "gain": "+"}
    for kind, name in product(kinds, ATTACKS):
        cells = [
            cell(per_lock(rows.values(), kind, name, share, field), sign)
            for share, (field, sign) in product(budgets, fields.items())
        ]
        if any(cells):
            lines.append(f"| {kind} | {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def short_table(rows: dict[str, dict], budgets: list[float]) -> str:
    """What thieves with labels get from the default lock on clothes, and the gain, as Markdown."""
    kinds = {row["lock"].rpartition("-")[0] for row in rows.values()}
    kind = max((one for one in kinds if re.fullmatch(SHOWN, one)), key=lambda one: int(one.rpartition("-")[2]))
    head = " | ".join(f"{100 * share:g} % of the labels | gain" for share in budgets)
    lines = [f"| attack | {head} |", "|---" * (1 + 2 * len(budgets)) + "|"]
    for name in WITH_LABELS:
        cells = [
            cell(per_lock(rows.values(), kind, name, share, field), sign)
            for share, (field, sign) in product(budgets, {"accuracy": "", "gain": "+"}.items())
        ]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def jobs(options: argparse.Namespace, known: dict[str, dict]) -> Iterator[tuple[str, str, float, str, int]]:
    """Yields row, lock, budget, attack and draw for what is not there yet: the smallest budget of all locks first."""
    locks = options.locks or locks_of(options.editor, options.model)
    for share, lock, draw in product(options.budgets, locks, range(options.draws)):
        for name in options.only or ATTACKS:
            row = f"{lock}/{name}/{share}/{options.effort}" + (f"/{draw}" if draw else "")
            if row not in known:
                yield row, lock, share, name, draw


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("locks", nargs="*", metavar="LOCK")
    parser.add_argument("--data", help="data of a locked folder; a benchmark's lock names its own")
    parser.add_argument("--budgets", nargs="+", type=float, default=list(BUDGETS))
    parser.add_argument("--only", nargs="+", choices=list(ATTACKS))
    parser.add_argument("--effort", choices=list(EFFORTS), default="default")
    parser.add_argument("--honest", action="store_true", help="measure honest use, not attacks")
    parser.add_argument("--base", action="store_true", help="measure the public base anew, not attacks")
    parser.add_argument("--draws", type=int, default=1, help="of each thief's labelled images")
    parser.add_argument("--minutes", type=float, default=float("inf"))
    parser.add_argument("--editor", choices=list(PROMPTS), default="mini", help="the editor of the locks")
    parser.add_argument("--model", default="bundled", help="the model of the locks")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    document = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.is_file() else {}
    known, honest = document.get("rows", {}), document.get("honest", {})
    editor = load_editor(options.editor)
    editors = {**document.get("editors", {}), editor.name: editor.fingerprint()}

    def write() -> None:
        content = {"editors": editors, "versions": versions(), "rows": known, "honest": honest}
        RESULTS.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")

    if options.honest:
        locks = options.locks or locks_of(options.editor, options.model)
        for lock in [one for one in locks if one not in honest]:
            honest[lock] = honest_rows(lock, data_of(lock, options), editor, options.model)
            print(lock, json.dumps(honest[lock]), flush=True)
            write()
        print(honest_table(honest))
        put_table("honest", honest_table(honest))
        return
    if options.base:
        for row, accuracy in bases(known, options):
            print(row, f"{known[row]['base']:.3f} {accuracy:.3f}", flush=True)
            known[row].update(base=accuracy, gain=known[row]["accuracy"] - accuracy)
            write()
    begun, opened = time.monotonic(), {}
    for row, lock, share, name, draw in () if options.base else jobs(options, known):
        if time.monotonic() - begun > 60 * options.minutes:
            break
        if lock not in opened:
            opened = {lock: target_of(lock, data_of(lock, options), editor, options.model)}
        target, run = opened[lock]
        if ATTACKS[name].guesses and ATTACKS[name].guesses not in target.guesses:
            continue
        result = run_attack(target, name, share, effort=options.effort, seed=thief_seed(run, draw))
        known[row] = {"lock": lock, "effort": options.effort, "draw": draw, **asdict(result), "versions": versions()}
        print(row, json.dumps(asdict(result)), flush=True)
        write()
    rows = {key: row for key, row in known.items() if row["effort"] == options.effort}
    print(table(rows, options.budgets))
    put_table("attack", table(rows, options.budgets))
    put_table("thief", short_table(rows, options.budgets))


if __name__ == "__main__":
    main()
