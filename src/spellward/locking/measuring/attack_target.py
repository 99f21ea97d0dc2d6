"""What a thief attacks: a lock, the public base beside it, and the images that he and the measurement have."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from spellward.artifacts import cache_root, private_folder, run_name, versions
from spellward.attacks.unlocking.table import ATTACKS
from spellward.attacks.unlocking.thief import EFFORTS, Guess, Thief
from spellward.data import ImageTable
from spellward.data.splits import stratified_share
from spellward.editors.base import Editor, EditSettings
from spellward.errors import ModelError
from spellward.locking.measuring.attack_results import AttackRow
from spellward.locking.measuring.tasks import TASKS
from spellward.models import VisionModel, network_digest
from spellward.plain_json import parse_json, write_json

_ALGORITHM = "attacks-4"
"""Raised whenever an attack would give another result, so that cached results of the old one are not taken."""


FROM_A_NETWORK = (ArithmeticError, AssertionError, AttributeError, IndexError, RuntimeError, TypeError, ValueError)
"""What networks raise that an attack does not suit; they come from anywhere."""


@dataclass(frozen=True, eq=False)
class Target:
    """What is attacked, and with what.

    Attributes:
        model: The locked model.
        base: The public model it was made from, with a fresh head.
        train: Clean training images; the thief's are drawn from these.
        test: Clean test images; accuracies are measured on these.
        editor: The lock's editor.
        settings: With which it edits.
        guesses: Wrong keys by kind (`wrong_key_guesses`).
        keys: Tells cached results under other keys and other editors from these (`private_name`).
    """

    model: VisionModel
    base: VisionModel
    train: ImageTable
    test: ImageTable
    editor: Editor | None = None
    settings: EditSettings | None = None
    guesses: Mapping[str, Sequence[Guess]] = field(default_factory=dict)
    keys: str = ""

    def thief(self, share: float, effort: str, seed: int) -> Thief:
        """A thief with labels for a share of every class, at least two images each; the others are unlabelled."""
        rng = np.random.default_rng([seed, 0x7E1F])
        labelled = stratified_share(self.train.labels, share, rng)
        others = np.setdiff1d(np.arange(len(self.train)), labelled)
        rest = rng.permutation(others if len(others) else labelled)
        return Thief(
            labelled=self.train.subset(labelled),
            unlabelled=self.train.subset(np.sort(rest[: EFFORTS[effort].unlabelled])),
            base=self.base,
            success=TASKS[self.model.task].success,
            effort=EFFORTS[effort],
            seed=seed,
            editor=self.editor,
            settings=self.settings,
            guesses=self.guesses,
        )


def run_attack(target: Target, name: str, share: float, *, effort: str = "default", seed: int = 0) -> AttackRow:
    """Runs one attack with one budget, on the locked model and on the base.

    Raises:
        ModelError: If the attack cannot be run on this model.
    """
    attack = ATTACKS[name]
    if target.model.task not in attack.tasks:
        raise ModelError(f"The attack {name} is made for {' and '.join(attack.tasks)}, not for {target.model.task}.")
    thief = target.thief(share, effort, seed)
    found = _result(name, target.model, thief, target.test, target.keys if attack.edits else "")
    public = base_accuracy(target, name, thief)
    return AttackRow(
        name=name,
        labelled=share,
        images=len(thief.labelled),
        accuracy=found["accuracy"],
        base=public,
        gain=found["accuracy"] - public,
        setting=found["setting"],
        seconds=found["seconds"],
    )


def base_accuracy(target: Target, name: str, thief: Thief) -> float:
    """What the public base gives this thief instead, by the attack in `on_base` that it would choose.

    Raises:
        ModelError: If none of these can be run on the base.
    """
    kinds = [one for one in ATTACKS[name].on_base if target.model.task in ATTACKS[one].tasks]
    results, failed = [], []
    for one in kinds:
        try:
            results.append(_result(one, target.base, thief, target.test, ""))
        except (ModelError, *FROM_A_NETWORK) as error:  # the thief takes another
            failed.append(error)
    if not results:
        raise failed[0]
    return float(max(results, key=lambda one: one["hope"] or [])["accuracy"])


def _result(name: str, model: VisionModel, thief: Thief, test: ImageTable, keys: str) -> dict[str, Any]:
    """Accuracy, setting and seconds of an attack on a model, from the private cache if it was run before."""
    run = run_name(
        _ALGORITHM,
        name,
        *(network_digest(one.network) for one in (model, thief.base)),
        *((one.input_size, one.mean, one.std, one.head) for one in (model, thief.base)),
        versions(),
        keys,
        {**asdict(thief.effort), "steps": thief.effort.steps_for(len(thief.labelled))},
        thief.seed,
        thief.labelled.fingerprint,
        thief.unlabelled.fingerprint,
        test.fingerprint,
    )
    path = private_folder(cache_root() / "attacks") / f"{run}.json"
    if path.is_file():
        known: dict[str, Any] = parse_json(path.read_text(encoding="utf-8"))
        return known
    begun = time.perf_counter()
    loot = ATTACKS[name].run(model, thief)
    seconds = time.perf_counter() - begun
    accuracy = TASKS[model.task].judge(loot.predict, test).value
    result = {
        "name": name,
        "accuracy": accuracy,
        "setting": loot.setting,
        "hope": None if loot.hope is None else list(loot.hope),
        "seconds": seconds,
    }
    write_json(path, result, mode=0o600)
    return result
