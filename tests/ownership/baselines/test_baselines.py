"""Baselines find a plain copy, and keep the flaws that they were published with."""

from __future__ import annotations

import numpy as np
import pytest
from tests.ownership.simulator import world

from spellward.ownership import judge


def test_holmes_keeps_its_published_flaw_and_the_default_is_without_it() -> None:
    """METHODS, section 2: the p-value of Holmes depends on the temperature of the suspect."""
    made = world(rows=400, references=4)
    p_values: dict[str, list[float]] = {"holmes": [], "spellward": []}
    for method, found in p_values.items():
        for scale in (0.25, 1.0, 4.0):
            suspect = scale * made.innocent()
            verdict = judge(made.victim, made.references, suspect, method=method, poisoned=made.related(0.3, seed=5))
            assert verdict.p_value is not None
            found.append(verdict.p_value)
    assert np.ptp(np.log(p_values["holmes"])) > 1
    assert np.ptp(np.log(p_values["spellward"])) < 1e-6


@pytest.mark.parametrize("method", ["holmes", "akh", "agreement"])
def test_baselines_find_a_plain_copy(method: str) -> None:
    made = world(rows=400, references=3)
    verdict = judge(made.victim, made.references, made.victim, method=method, poisoned=made.related(0.3, seed=5))
    assert verdict.verdict == "stolen"
