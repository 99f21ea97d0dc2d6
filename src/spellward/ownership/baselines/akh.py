"""AKH, from QuRD (AAAI 2025): agreement on inputs that the victim gets wrong.

Recorded outputs come without labels, so the class that most references give stands for the truth.
"""

from __future__ import annotations

import numpy as np

from spellward.ownership.baselines.agreement import agreement_finding, classes_of
from spellward.ownership.statistics.case import Case, Finding


def akh(case: Case) -> Finding:
    """Share of the victim's mistakes that the suspect repeats; tested like plain agreement, on these rows only."""
    victim, references, suspect = classes_of(case)
    count = case.victim.scores.shape[1]
    votes = np.stack([np.bincount(row, minlength=count) for row in references.T])
    wrong = votes.argmax(axis=1) != victim
    if not wrong.any():
        return Finding("inconclusive", None, None, "The victim differs from the references on no input.")
    return agreement_finding(victim[wrong], references[:, wrong], suspect[wrong], case.alpha)
