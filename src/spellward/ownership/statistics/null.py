"""How far an independent model may get: a null over models.

Rows are not what varies between models, so a p-value over rows accuses the innocent. Each reference is left out in
turn and judged as a suspect against the rest; a new model is compared with how these spread, as a prediction
(Student's t with the factor sqrt(1 + 1/n)).

References made by the owner span less than independent models do: in a first experiment with eight of one base their
own values lay in -0.05 to 0.07, those of independent models reached 0.157. A few leave-one-out values also say little
about a spread. Both are met by a prior: the variance of the left-out references is averaged with a measured one that
counts as `_PRIOR_FREEDOM` further models (the moderated t of Smyth, Stat. Appl. Genet. Mol. Biol. 3, 2004, section
3), and the null's mean is never below a margin for kinship. That margin also covers the choice of probes: they lie
where the victim is far from these very references, which draws new models a little towards it, and left-out
references not.
With two references nothing can be left out and the prior stands alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from spellward.ownership.statistics.statistic import Likeness

_PRIOR_FREEDOM = 12.0
# Spread and kinship of independent models, in units of the residual correlation, from three victims of the zoo
# (benchmarks/zoo.py, `tune`, `tune-2`, `report`). Models that were trained on one set of images lie together: means of
# -0.03, 0.05 and 0.11 for those of the victim's base, around which they spread by 0.06, most of it by the choice of 150
# rows. What counts for the next suspect is how far the next set of images may lie, so the spread covers both.
_SPREAD, _KINSHIP = 0.06, 0.04
# Few references leave more of what all models share: independent models had a mean of 0.13 with 2, 0.08 with 3.
_FEW = 0.4
_SURPRISE = 0.05


@dataclass(frozen=True)
class Null:
    """Where independent models lie.

    Attributes:
        mean, spread: Of the effect of a new independent model; the spread covers models and, for the suspect at
            hand, rows.
        freedom: Degrees of freedom of Student's t.
    """

    mean: float
    spread: float
    freedom: float

    def p_value(self, effect: float) -> float:
        """Probability that an independent model gets as far."""
        return float(stats.t.sf((effect - self.mean) / self.spread, self.freedom))

    def threshold(self, alpha: float) -> float:
        """The effect that an independent model exceeds with probability `alpha`."""
        return float(self.mean + self.spread * stats.t.isf(alpha, self.freedom))


def fit_null(innocent: Sequence[Likeness], references: int, row_error: float, left_out: bool = True) -> Null:
    """The null for one suspect.

    Args:
        innocent: Effects of independent models: of the left-out references, each against one reference fewer, or of
            peers, against all. Of one or none nothing is used.
        references: How many references the suspect is judged against, 2 or more.
        row_error: Standard error of the suspect's effect from the choice of rows.
        left_out: Whether these models are references, each judged against the others, and not peers.
    """
    # Likenesses between references and either model add to the effect, and so does the error of its scale: on a first,
    # smaller zoo independent models spread by 0.15 with 2 references, 0.11 to 0.15 with 3, 0.09 with 5, 0.08 with 8.
    prior = _SPREAD * (1 + 1 / references) ** 1.5
    freedom, variance, mean = _PRIOR_FREEDOM, prior**2, 0.0
    models = references
    if len(innocent) > 1:
        models = len(innocent)
        values = [one.value for one in innocent]
        # The choice of rows is counted for the suspect at hand; one reference fewer spreads more.
        between = float(np.var(values, ddof=1)) - float(np.mean([one.row_error**2 for one in innocent]))
        fewer = ((1 + 1 / references) / (1 + 1 / (references - 1))) ** 2 if left_out else 1.0
        # Quiet references do not make independent models quiet: they may raise the spread, never lower it. Where they
        # spread more than the prior and chance together allow, it was measured on models unlike these, and counts less.
        own = models - 1.0
        seen = max(between * fewer, variance)
        excess = max(seen / variance * own / float(stats.chi2.isf(_SURPRISE, own)), 1.0)
        parts = [(_PRIOR_FREEDOM / excess**2, variance), (own, seen)]
        total = sum(weight * part for weight, part in parts)
        freedom = total**2 / sum(weight * part**2 for weight, part in parts)  # Satterthwaite's
        variance = total / sum(weight for weight, _ in parts)
        mean = float(np.mean(values))
    spread = float(np.sqrt(variance * (1 + 1 / models) + row_error**2))
    return Null(max(mean, _KINSHIP + _FEW / references**2), spread, freedom)
