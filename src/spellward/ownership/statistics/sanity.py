"""Suspects that are no working copy of the task: nothing can be shown about them, and the cause is named.

A statistic of differences sees something in anything: Holmes flags constant, random and shuffled outputs under some
seeds (METHODS, section 2). So a suspect must first show that its outputs follow the inputs as the task's models do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import linear_sum_assignment

from spellward.ownership.answers.channel import Told, listen, on_equal_terms, one_hot
from spellward.ownership.answers.outputs import Floats, as_array, usable
from spellward.ownership.answers.standardise import standardise
from spellward.ownership.statistics.case import Case

_SHUFFLES = 50
_SURE, _LIKELY = 4.0, 2.0
"""Standard deviations above what shuffled rows have in common with the models."""
_LARGEST = 1e100
# Of what victim and references reach among themselves; a poor student of the victim still reaches more.
_LEAST_FIDELITY = 0.25
_SAME_STRUCTURE = 0.6


def read_suspect(suspect: ArrayLike, rows: int, classes: int) -> Told | str:
    """The suspect's outputs, or why they cannot be compared.

    Args:
        suspect: [N, K] logits or probabilities, or class numbers as [N] or [N, 1]; of two classes the second one's
            probability will do.
        rows, classes: N and K of the victim.
    """
    array = as_array(suspect)
    if array.dtype.kind not in "biuf":
        return f"The suspect's outputs are of type {array.dtype}, not numbers"
    array = array.astype(np.float64)
    if len(array.shape) not in (1, 2) or array.shape[0] != rows:
        return f"The suspect's outputs have the shape {list(array.shape)}, the victim's {[rows, classes]}"
    if np.isnan(array).any() or np.isposinf(array).any():
        return "The suspect's outputs hold NaN or infinite values"
    if array.ndim == 1 or array.shape[1] == 1:
        labels = array.reshape(rows)
        if classes == 2 and labels.min() >= 0 and labels.max() <= 1 and (labels != np.round(labels)).any():
            return listen(np.stack([1 - labels, labels], axis=1))  # the probability of the second of two classes
        if not np.isfinite(labels).all() or (labels != np.round(labels)).any():
            return "The suspect gives one value for each input that is no class number"
        if labels.min() < 0 or labels.max() >= classes:
            return f"The suspect's class numbers lie outside 0 to {classes - 1}: it was made for another task"
        return listen(one_hot(labels, classes))
    if array.shape[1] != classes:
        fewer = "fewer" if array.shape[1] < classes else "more"
        return f"The suspect has {fewer} classes ({array.shape[1]}) than the victim ({classes})"
    if not usable(array) or np.abs(array[np.isfinite(array)]).max() > _LARGEST:
        return "The suspect's outputs hold infinite values, or such as no model computes"
    return listen(array)


def find_cause(models: Sequence[Floats], suspect: Floats, seed: int = 0) -> str | None:
    """Why a suspect is no working model of the task; `None` if it is one.

    Args:
        models: The victim, and then references: float64 [N, C], standardised rows.
        suspect: The same shape.
        seed: Of the shuffles and halves.
    """
    models, suspect = [_wide(one) for one in models], _wide(suspect)
    if not np.abs(suspect).max() > 0:
        return "The suspect's outputs are the same for every class"
    if np.ptp(suspect, axis=0).max() < 1e-6:
        return "The suspect's outputs are constant, the same for every input"
    random = np.random.default_rng(seed)
    common, followed = np.mean(models, axis=0), _follows(models)
    own = _alike(common, suspect)
    order = class_order(common, suspect, random)
    if order is not None:
        moved = int((order != np.arange(len(order))).sum())
        return f"The suspect's classes stand in another order ({moved} of {len(order)} moved)"
    alike = own > _LEAST_FIDELITY * followed
    by_chance = [_alike(common, suspect[random.permutation(len(suspect))]) for _ in range(_SHUFFLES)]
    if own > np.mean(by_chance) + _SURE * np.std(by_chance) and alike:
        return None
    victim = models[0]
    by_chance_victim = [_alike(victim, suspect[random.permutation(len(suspect))]) for _ in range(_SHUFFLES)]
    if _alike(victim, suspect) > np.mean(by_chance_victim) + _SURE * np.std(by_chance_victim):
        return (
            "The suspect's outputs follow the victim's, but not what victim and references have in common: references "
            "that hardly do the task cannot judge it"
        )
    if alike and own > np.mean(by_chance) + _LIKELY * np.std(by_chance):
        return f"Whether the suspect's outputs follow the inputs does not show on {len(suspect)} of them: it takes more"
    if suspect.shape[1] > 2 and _structure(common, suspect) > _SAME_STRUCTURE:
        return "The suspect's rows are not aligned with the victim's: they seem to be shuffled"
    return "The suspect's outputs do not follow the inputs: no fidelity to the task (random, shuffled or another task)"


def in_class_order(case: Case) -> tuple[Case, int]:
    """The case with the suspect's classes in the victim's order, as far as its answers show one, and how many moved.

    What the order is fitted to is the mean of victim and references, so that an independent model gains by it what
    any working model would gain, and no likeness to the victim alone.
    """
    scores, _ = on_equal_terms([case.victim, *case.references, case.suspect])
    *models, suspect = [_wide(standardise(one)) for one in scores]
    order = class_order(np.mean(models, axis=0), suspect, np.random.default_rng(case.seed))
    if order is None:
        return case, 0
    told = replace(case.suspect, scores=case.suspect.scores[:, order])
    return replace(case, suspect=told), int((order != np.arange(len(order))).sum())


def class_order(common: Floats, suspect: Floats, random: np.random.Generator) -> NDArray[np.int64] | None:
    """The order of classes that fits clearly better than the given one; `None` if there is none.

    The order is found on one half of the rows and held against the other, so that it cannot fit noise.

    Args:
        common, suspect: float64 [N, K], standardised rows.
        random: Draws the halves.

    Returns:
        int64 [K]: `suspect[:, order]` has the victim's order.
    """
    first, second = np.array_split(random.permutation(len(common)), 2)
    cross = _centred(common[first]).T @ _centred(suspect[first])
    order: NDArray[np.int64] = linear_sum_assignment(-cross)[1]
    if (order == np.arange(len(order))).all():
        return None
    reference, given = _centred(common[second]), _centred(suspect[second])
    gains = (reference * (given[:, order] - given)).sum(axis=1)
    error = gains.std(ddof=1) / np.sqrt(len(gains)) if len(gains) > 1 else np.inf
    return order if gains.mean() > _SURE * error and gains.mean() > 0 else None


def _follows(models: Sequence[Floats]) -> float:
    """How far each model follows the others."""
    total = np.sum(models, axis=0)
    return float(np.mean([_alike((total - one) / (len(models) - 1), one) for one in models]))


def _alike(first: Floats, second: Floats) -> float:
    """Correlation after centring each class over the rows, so that frequent classes count for nothing."""
    first, second = _centred(first), _centred(second)
    scale = float(np.sqrt((first**2).sum() * (second**2).sum()))
    return float((first * second).sum()) / scale if scale > 0 else 0.0


def _structure(first: Floats, second: Floats) -> float:
    """How alike the covariances between classes are: these survive a shuffle of rows."""
    upper = np.triu_indices(first.shape[1], 1)
    ours, theirs = (np.cov(one, rowvar=False)[upper] for one in (first, second))
    scale = float(ours.std() * theirs.std())
    return float(((ours - ours.mean()) * (theirs - theirs.mean())).mean()) / scale if scale > 0 else 0.0


def _centred(rows: Floats) -> Floats:
    centred: Floats = rows - rows.mean(axis=0)
    return centred


def _wide(rows: Floats) -> Floats:
    """Two columns for the single one that two classes are standardised to."""
    return np.concatenate([-rows, rows], axis=1) if rows.shape[1] == 1 else rows
