"""Why a suspect is not tested, in words that are true."""

from __future__ import annotations

import numpy as np
import pytest

from spellward.ownership.answers.standardise import standardise
from spellward.ownership.statistics.sanity import find_cause


def models(seed: int, rows: int, skill: float, references: int = 8) -> tuple[list[np.ndarray], np.ndarray]:
    """A good victim and references of some skill, of three classes; and a good independent model."""
    random = np.random.default_rng(seed)
    truth = 3 * np.eye(3)[random.integers(0, 3, rows)]
    good = [standardise(truth + 0.3 * random.normal(size=truth.shape)) for _ in range(2)]
    others = [standardise(skill * truth + 2 * random.normal(size=truth.shape)) for _ in range(references)]
    return [good[0], *others], good[1]


@pytest.mark.parametrize("seed", range(10))
def test_a_copy_is_never_called_shuffled_or_random(seed: int) -> None:
    (victim, *references), independent = models(seed, rows=20, skill=0.2)
    for suspect in (victim, independent):
        cause = find_cause([victim, *references], suspect)
        assert cause is None or "references that hardly do the task" in cause


def test_rows_in_another_order_are_called_so() -> None:
    (victim, *references), _ = models(0, rows=150, skill=1.0)
    shuffled = victim[np.random.default_rng(1).permutation(150)]
    assert "seem to be shuffled" in str(find_cause([victim, *references], shuffled))
    assert find_cause([victim, *references], victim) is None


def test_noise_has_no_fidelity() -> None:
    family, _ = models(0, rows=150, skill=1.0)
    noise = standardise(np.random.default_rng(2).normal(size=(150, 3)))
    assert "follow the inputs" in str(find_cause(family, noise)) or "shuffled" in str(find_cause(family, noise))
