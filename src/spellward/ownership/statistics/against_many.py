"""The effect of one suspect against three or more references, and two nulls that it has to be beyond.

The first null is that of independent models: references left out in turn. The second is that of models which are right
where the references err: of peers, independent models that have learnt all that the victim has, or for want of these of
doubles, unless opinions count. What all models share that are better than the references is taken out of both
beforehand (`quality`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spellward.ownership.answers.outputs import Floats
from spellward.ownership.answers.standardise import emphasise, leaning, level
from spellward.ownership.statistics.doubles import with_opinion
from spellward.ownership.statistics.null import Null, fit_null
from spellward.ownership.statistics.quality import betterment, without
from spellward.ownership.statistics.sequential import bet, row_cosines, weighted_mean
from spellward.ownership.statistics.statistic import Likeness, Yardstick

_MOSTLY = 0.5


@dataclass(frozen=True)
class Judged:
    """One suspect's effect and its nulls.

    Attributes:
        likeness: The effect.
        nulls: Of independent models; and of peers, or else of independent models with the suspect's opinion unless that
            counts.
        seen: Rows of victim, suspect, references, doubles and peers as the effect sees them, float64 [N, C] each.
    """

    likeness: Likeness
    nulls: tuple[Null, ...]
    seen: tuple[Floats, Floats, list[Floats], list[Floats], list[Floats]]

    @property
    def p_value(self) -> float:
        """A suspect has to be beyond all nulls, so the larger one holds (intersection-union test)."""
        return max(null.p_value(self.likeness.value) for null in self.nulls)

    def threshold(self, alpha: float) -> float:
        """The effect that an independent model exceeds with probability `alpha`, however good it is."""
        return max(null.threshold(alpha) for null in self.nulls)


def judge_effects(
    victim: Floats,
    references: Sequence[Floats],
    suspects: Sequence[Floats],
    detailed: NDArray[np.bool_],
    opinions_count: bool,
    peers: Sequence[Floats] = (),
) -> list[Judged]:
    """Measures the effects of suspects and fits their nulls.

    Args:
        victim: float64 [N, K], standardised rows, K of 3 or more.
        references: Three or more of the same shape.
        suspects: One or more of the same shape.
        detailed: bool [N], rows where the victim tells more than its class.
        opinions_count: See `Case`.
        peers: The same shape, each; they take the place of doubles.
    """
    count = len(references)
    directions = betterment(references, emphasise)
    victim_seen, *seen = [without(emphasise(one), directions) for one in (victim, *references)]
    levelled = leaning(victim_seen, seen) < _MOSTLY

    def look(rows: Floats) -> Floats:
        return level(rows) if levelled else rows

    rows = [look(one) for one in seen]
    whole = Yardstick(look(victim_seen), rows, detailed)
    apart = [Yardstick(look(victim_seen), rest, detailed) for rest in others(rows)]
    left_out = [yardstick.likeness(one) for yardstick, one in zip(apart, rows, strict=True)]
    equals = [without(emphasise(one), directions) for one in peers]
    equal = [whole.likeness(look(one)) for one in equals]
    judged = []
    for suspect in suspects:
        suspect_seen = without(emphasise(suspect), directions)
        opinions = [] if opinions_count or peers else [with_opinion(one, suspect, victim) for one in references]
        doubles = [without(emphasise(one), directions) for one in opinions]
        raised = [yardstick.likeness(look(one)) for yardstick, one in zip(apart, doubles, strict=False)]
        likeness = whole.likeness(look(suspect_seen))
        nulls = tuple(
            fit_null(some, count, likeness.row_error, some is not equal) for some in (left_out, raised, equal) if some
        )
        judged.append(Judged(likeness, nulls, (victim_seen, suspect_seen, seen, doubles, equals)))
    return judged


def queries_needed(judged: Judged, alpha: float, seed: int) -> int | None:
    """After how many rows, in a seeded order, bets against innocence would have won; `None` if they never do.

    Bets see one row after the other, so they take rows as they are: how a suspect leans shows at the end. They have to
    win against independent models, and against the mean of the suspect's doubles if there are any.
    """
    victim, suspect, references, doubles, peers = judged.seen
    cosines, weights = row_cosines(victim, references, suspect)
    apart = others(references)
    left_out = [
        Likeness(weighted_mean(*row_cosines(victim, rest, one)), 0.0)
        for one, rest in zip(references, apart, strict=True)
    ]
    # The bets account for the choice of rows themselves, so the null has no row error here.
    null = fit_null(left_out, len(references), 0.0)
    equal = [Likeness(weighted_mean(*row_cosines(victim, references, one)), 0.0) for one in peers]
    nulls = [null, *([fit_null(equal, len(references), 0.0, left_out=False)] if equal else [])]
    threshold = max(one.threshold(alpha) for one in nulls)
    if threshold >= 1:
        return None
    bets = [bet(cosines, weights, threshold, alpha, seed)]
    if doubles:
        raised = np.mean([row_cosines(victim, rest, one)[0] for one, rest in zip(doubles, apart, strict=True)], axis=0)
        # Differences reach from -2 to 2.
        bets.append(bet(0.5 * (cosines - raised), weights, 0.5 * (threshold - null.mean), alpha, seed))
    needed = [rows for rows in bets if rows is not None]
    return max(needed) if len(needed) == len(bets) else None


def others(references: Sequence[Floats]) -> list[list[Floats]]:
    """For each reference all others."""
    return [[other for place, other in enumerate(references) if place != left] for left in range(len(references))]
