"""Plain agreement: how often suspect and victim give the same class."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from spellward.ownership.statistics.case import Case, Finding, ruled

Classes = NDArray[np.int64]


def agreement(case: Case) -> Finding:
    """Share of inputs on which suspect and victim agree, against the reference that agrees most: binomial test."""
    return agreement_finding(*classes_of(case), case.alpha)


def classes_of(case: Case) -> tuple[Classes, Classes, Classes]:
    """Likeliest classes of the victim [N], the references [n, N] and the suspect [N]."""
    references = np.stack([one.scores.argmax(axis=1) for one in case.references])
    return case.victim.scores.argmax(axis=1), references, case.suspect.scores.argmax(axis=1)


def agreement_finding(victim: Classes, references: Classes, suspect: Classes, alpha: float) -> Finding:
    """Tests the agreement of [N] classes; the effect is the share of agreement."""
    same = suspect == victim
    # Smoothed by one agreement and one disagreement, so that no reference leaves a rate of 0 or 1 to test against.
    usual = max((float((one == victim).sum()) + 1) / (len(victim) + 2) for one in references)
    p_value = float(stats.binom.sf(int(same.sum()) - 1, len(same), usual))
    effect = float(same.mean())
    reason = (
        f"The suspect agrees with the victim on {effect:.1%} of {len(same)} inputs, references on at most {usual:.1%}."
    )
    return ruled(p_value, effect, alpha, reason, usual)
