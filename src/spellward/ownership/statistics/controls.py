"""Suspects known to be innocent, judged in every run by the very test that judges the suspect."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from spellward.ownership.answers.channel import Channel, Told
from spellward.ownership.statistics.case import Case, Method
from spellward.ownership.verdict import Control

LEFT_OUT = "reference"
"""What the names of such controls begin with."""
_RESCALED_BY = 0.5


def run_controls(case: Case, method: Method) -> tuple[Control, ...]:
    """Judges noise, constant and shuffled outputs, each reference left out, and one of these rescaled.

    Args:
        case: The case; its suspect plays no part.
        method: The test.
    """
    controls = []
    for name, control in negative_controls(case):
        finding = method(control)
        controls.append(Control(name, finding.verdict, finding.p_value, finding.effect, finding.measure))
    return tuple(controls)


def negative_controls(case: Case) -> Iterator[tuple[str, Case]]:
    """Yields the name of each control and the case with it as the suspect."""
    random = np.random.default_rng([case.seed, 1])
    scores = case.victim.scores
    yield "noise", replace(case, suspect=Told(random.standard_normal(scores.shape), Channel()))
    yield (
        "constant",
        replace(case, suspect=Told(np.tile(random.standard_normal(scores.shape[1]), (len(scores), 1)), Channel())),
    )
    yield "victim, rows shuffled", replace(case, suspect=replace(case.victim, scores=random.permutation(scores)))
    for left, reference in enumerate(case.references):
        # A single reference cannot be left out: it is the suspect and the reference at once.
        rest = tuple(one for place, one in enumerate(case.references) if place != left) or case.references
        held = replace(case, references=rest, suspect=reference)
        yield f"{LEFT_OUT} {left + 1}, left out", held
        if left == 0 and reference.channel.kind == "full":
            rescaled = replace(reference, scores=_RESCALED_BY * reference.scores)
            yield f"rescaled {LEFT_OUT} 1, left out", replace(held, suspect=rescaled)
