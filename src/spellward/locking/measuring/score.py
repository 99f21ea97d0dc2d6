"""The score of a lock: what its owner gets, what a stranger gets, and what wrong keys get."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np

from spellward.attacks.unlocking.cheap_filters import FILTERS
from spellward.attacks.unlocking.wrong_keys import near_wordings, unrelated_prompts
from spellward.data import ImageTable
from spellward.data.splits import stratified_share
from spellward.editors.base import Editor
from spellward.errors import DataError
from spellward.keys import SALT_BYTES, Key
from spellward.locking.keying import edit_with_key, settings_of
from spellward.locking.measuring.metrics import Accuracy
from spellward.locking.measuring.tasks import TASKS, Instances, through
from spellward.models import VisionModel


@dataclass(frozen=True)
class WrongKey:
    """One wrong key: its kind, what was wrong (never the right prompt) and the accuracy that it opened."""

    kind: str
    what: str
    accuracy: Accuracy


@dataclass(frozen=True)
class ScoreSettings:
    """How much to try.

    Attributes:
        wrong_prompts: Unrelated prompts, each with the key's own salt (so as if the salt were known).
        wrong_salts: The right prompt with so many fresh salts.
        near_wordings: Wordings near to the prompt, with the key's own salt.
        wrong_key_images: Test images for each wrong key; all if there are fewer.
        probe_share: Share of the training images that the thief has labels for.
        seed: Of the fresh salts, the choice of images and the probe's folds.
    """

    wrong_prompts: int = 20
    wrong_salts: int = 50
    near_wordings: int = 8
    wrong_key_images: int = 500
    probe_share: float = 0.10
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuses what would fail after the lock was loaded and its images edited.

        Raises:
            DataError: For a value out of its range.
        """
        counts = (self.wrong_prompts, self.wrong_salts, self.near_wordings, self.seed)
        if min(counts) < 0 or self.wrong_key_images < 1 or not 0 < self.probe_share <= 1:
            raise DataError(
                "A score needs counts and a seed of at least 0, images for wrong keys, and a share up to 1."
            )


@dataclass(frozen=True)
class Score:
    """The figures of a lock, all on test images; fractions of 1. What is measured is accuracy, or mean IoU of masks.

    Attributes:
        up: Unlocked performance: images edited with the key.
        lp: Locked performance: clean images.
        argmin: Clean images, least likely class.
        leak: Clean images, linear probe on the outputs.
        vanilla: An ordinary fine-tune with the same budget, clean images; `None` if it was not measured.
        wrong: Every wrong key.
        chance: What the best constant answer reaches: for classes the share of the commonest.
        settings: How much was tried.
        measure: Name of what is measured.
        outline: How well clean masks still tell objects from background (`CleanChecks.outline`); masks alone.
        up_boxes, vanilla_boxes: UP and vanilla as average precision of the objects' boxes; instances alone.
    """

    up: Accuracy
    lp: Accuracy
    argmin: Accuracy
    leak: Accuracy
    vanilla: Accuracy | None
    wrong: tuple[WrongKey, ...]
    chance: float
    settings: ScoreSettings
    measure: str = "accuracy"
    outline: float | None = None
    up_boxes: Accuracy | None = None
    vanilla_boxes: Accuracy | None = None

    def kind(self, kind: str) -> list[WrongKey]:
        """The wrong keys of one kind, best first."""
        return sorted((one for one in self.wrong if one.kind == kind), key=lambda one: -one.accuracy.value)

    def summary(self) -> dict[str, float | None]:
        """The figures as plain fractions; `wrong_best` and `wrong_mean` are over unrelated prompts."""
        figures: dict[str, float | None] = {
            "vanilla": self.vanilla.value if self.vanilla else None,
            "up": self.up.value,
            "lp": self.lp.value,
            "argmin": self.argmin.value,
            "leak": self.leak.value,
            "chance": self.chance,
        }
        if self.outline is not None:
            figures["outline"] = self.outline
        for name, boxes in (("up_boxes", self.up_boxes), ("vanilla_boxes", self.vanilla_boxes)):
            if boxes is not None:
                figures[name] = boxes.value
        for name, kind in (("wrong", "prompt"), ("salts", "salt"), ("near", "wording"), ("filters", "filter")):
            values = [one.accuracy.value for one in self.kind(kind)]
            figures[f"{name}_best"] = max(values) if values else None
            figures[f"{name}_mean"] = float(np.mean(values)) if values else None
        return figures


def _draws(settings: ScoreSettings) -> np.random.Generator:
    return np.random.default_rng([settings.seed, 0x5C0E])


def labelled_for_probe(
    train: ImageTable, settings: ScoreSettings, rng: np.random.Generator | None = None
) -> ImageTable:
    """The training images whose labels the probe for the leak is given: the same for any model of one seed.

    Args:
        train: Clean training images.
        settings: How many, and of which seed.
        rng: Draws them; begun anew from the seed if not given.
    """
    rng = _draws(settings) if rng is None else rng
    return train.subset(stratified_share(train.labels, settings.probe_share, rng))


def score_tables(
    model: VisionModel,
    key: Key,
    editor: Editor,
    train: ImageTable,
    test: ImageTable,
    *,
    settings: ScoreSettings | None = None,
    vanilla: VisionModel | None = None,
) -> Iterator[tuple[int, int, Score | None]]:
    """Scores a locked model.

    Args:
        model: The locked model.
        key, editor: What opens it.
        train: Clean training images: the thief's labelled ones are drawn from these.
        test: Clean test images that played no part in training.
        settings: How much to try.
        vanilla: An ordinary fine-tune for comparison.

    Yields:
        (steps done, steps in all, the score at the very end).
    """
    settings = settings or ScoreSettings()
    rng = _draws(settings)
    thief = labelled_for_probe(train, settings, rng)
    some = test.subset(np.sort(rng.permutation(len(test))[: settings.wrong_key_images]))
    trials = list(wrong_keys(key, editor, settings, rng))
    total = len(trials) + len(FILTERS) + 3
    task = TASKS[model.task]
    checks = task.clean_checks(model, thief, test, settings.seed)
    yield 1, total, None
    unlocked = through(model, partial(edit_with_key, editor, key=key))
    up = task.judge(unlocked, test)
    yield 2, total, None
    plain = task.judge(vanilla.logits, test) if vanilla else None
    yield 3, total, None
    boxes = [
        task.boxes(predict, test) if isinstance(task, Instances) and predict else None
        for predict in (unlocked, vanilla.logits if vanilla else None)
    ]
    wrong = []
    for kind, what, wrong_key in trials:
        opened = through(model, partial(edit_with_key, editor, key=wrong_key))
        wrong.append(WrongKey(kind, what, task.judge(opened, some)))
        yield 3 + len(wrong), total, None
    for name, apply in FILTERS.items():
        wrong.append(WrongKey("filter", name, task.judge(through(model, apply), some)))
        yield 3 + len(wrong), total, None
    score = Score(
        up=up,
        lp=checks.lp,
        argmin=checks.argmin,
        leak=checks.leak,
        vanilla=plain,
        wrong=tuple(wrong),
        chance=task.chance(test),
        settings=settings,
        measure=task.measure,
        outline=checks.outline,
        up_boxes=boxes[0],
        vanilla_boxes=boxes[1],
    )
    yield total, total, score


def wrong_keys(
    key: Key, editor: Editor, settings: ScoreSettings, rng: np.random.Generator
) -> Iterator[tuple[str, str, Key]]:
    """Yields kind, what is wrong (never the right prompt), and the key."""
    for prompt in unrelated_prompts(key.prompt, settings.wrong_prompts):
        if not editor.same_edit(key.prompt, prompt):
            yield "prompt", prompt, key.with_(prompt=prompt)
    for number, prompt in enumerate(near_wordings(key.prompt, settings.near_wordings, settings.seed), 1):
        # The wording itself would give the key away to whoever reads the score.
        yield "wording", f"near wording {number}", key.with_(prompt=prompt)
    if key.salt is not None:
        for number in range(1, settings.wrong_salts + 1):
            yield "salt", f"salt {number}", key.with_(salt=rng.bytes(SALT_BYTES))
        yield "no salt", "right prompt without the salt", key.with_(salt=None)
    used = settings_of(key, editor)
    for factor in (0.5, 0.75):
        yield "strength", f"strength x {factor}", key.with_(strength=used.strength * factor)
    yield "seed", "another seed", key.with_(seed=(key.seed + 1) % 2**31)
    for change in (1, 2):
        if used.steps + change <= editor.max_steps:
            yield "steps", f"{change} more steps", key.with_(steps=used.steps + change)
