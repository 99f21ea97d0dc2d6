"""The default test: sanity, then the residual correlation against a null over models, or nearness to the victim."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from spellward.ownership.case import Case, Finding
from spellward.ownership.channel import Channel, on_equal_terms
from spellward.ownership.nearness import CLEAR, MARGIN, NEAR, consensus, nearness
from spellward.ownership.null import fit_null
from spellward.ownership.outputs import Floats
from spellward.ownership.quality import betterment, without
from spellward.ownership.sanity import find_cause
from spellward.ownership.sequential import bet, row_cosines, weighted_mean
from spellward.ownership.standardise import emphasise, leaning, level, standardise
from spellward.ownership.statistic import Likeness, residual_correlation
from spellward.ownership.verdict import Ruling

_MOSTLY = 0.5


def default_test(case: Case) -> Finding:
    """Judges a suspect: see the files of this package for each step."""
    scores, channel = on_equal_terms([case.victim, *case.references, case.suspect])
    victim, *references, suspect = [standardise(one) for one in scores]
    cause = find_cause([victim, *references], suspect, case.seed)
    if cause is not None:
        return Finding("inconclusive", None, None, f"{cause}.", channel=str(channel))
    detailed = _detailed(scores[0], channel)
    if len(references) == 1:
        return _against_one(victim, references[0], suspect, detailed, channel, case)
    plain = (victim, references, suspect)
    if channel.kind != "full" and victim.shape[1] == 1:
        # With two classes a coarse row is mostly a sign, which other good models share by being right.
        detailed = np.zeros_like(detailed)
    directions = betterment(references, emphasise)
    victim, *references, suspect = [without(emphasise(one), directions) for one in (victim, *references, suspect)]
    finding = _against_many(victim, references, suspect, detailed, channel, case)
    if finding.best_p_value is not None and finding.best_p_value >= case.alpha:
        # Which of the two tests is asked hangs on victim and references alone, so no error rate is spent twice.
        return _near_copy(*plain, detailed, channel, case) or finding
    return finding


def _against_many(
    victim: Floats,
    references: Sequence[Floats],
    suspect: Floats,
    detailed: NDArray[np.bool_],
    channel: Channel,
    case: Case,
) -> Finding:
    # Bets see one row after the other, so they take the rows as they are: how a suspect leans shows at the end.
    needed = partial(_queries_needed, victim, references, suspect, channel, case)
    if leaning(victim, references) < _MOSTLY:
        victim, *references, suspect = [level(one) for one in (victim, *references, suspect)]
    likeness = residual_correlation(victim, references, suspect, detailed)
    left_out = [residual_correlation(victim, rest, one, detailed) for one, rest in _each_left_out(references)]
    null = fit_null(left_out, len(references), likeness.row_error)
    p_value, threshold = null.p_value(likeness.value), null.threshold(case.alpha)
    copy = residual_correlation(victim, references, victim, detailed)
    best = fit_null(left_out, len(references), copy.row_error).p_value(copy.value)
    facts = (
        f"residual correlation {likeness.value:.2f}, where an independent model exceeds {threshold:.2f} "
        f"with probability {case.alpha:g} ({len(references)} references, {channel})"
    )
    if p_value < case.alpha:
        reason = f"The suspect shares with the victim what the references do not: {facts}."
        return Finding("stolen", p_value, likeness.value, reason, threshold, best, needed(), str(channel))
    if best >= case.alpha:
        reason = (
            f"Not even a perfect copy could be told from an independent model here: {facts}. Add inputs or references."
        )
        return Finding("inconclusive", p_value, likeness.value, reason, threshold, best, None, str(channel))
    reason = f"The suspect is no more like the victim than an independent model may be: {facts}."
    return Finding("not shown", p_value, likeness.value, reason, threshold, best, None, str(channel))


def _against_one(
    victim: Floats,
    reference: Floats,
    suspect: Floats,
    detailed: NDArray[np.bool_],
    channel: Channel,
    case: Case,
) -> Finding:
    near = nearness(victim, [reference], suspect, detailed, case.seed)
    best = nearness(victim, [reference], victim, detailed, case.seed).p_value
    effect, threshold = max(0.0, 1 - near.ratio), 1 - MARGIN
    facts = (
        f"squared distance to the victim {near.ratio:.2f} of what lies between independent models, "
        f"flagged below {MARGIN:g} (one reference, {near.rows} inputs, {channel})"
    )
    inconclusive = Finding("inconclusive", near.p_value, effect, "", threshold, best, None, str(channel))
    if best >= case.alpha:
        reason = f"One reference cannot tell even a copy from an independent model here ({facts}). Add references."
        return replace(inconclusive, reason=reason)
    if near.p_value < case.alpha:
        reason = f"The suspect is far nearer to the victim than independent models are to one another: {facts}."
        return replace(inconclusive, verdict="stolen", reason=reason)
    if near.ratio < CLEAR:
        reason = f"The suspect is near to the victim, but one reference does not tell by how much models vary: {facts}."
        return replace(inconclusive, reason=reason)
    reason = f"The suspect is no nearer to the victim than an independent model may be: {facts}."
    return replace(inconclusive, verdict="not shown", reason=reason)


def _near_copy(
    victim: Floats,
    references: Sequence[Floats],
    suspect: Floats,
    detailed: NDArray[np.bool_],
    channel: Channel,
    case: Case,
) -> Finding | None:
    """For want of a null: whether the suspect is all but the victim; nothing if even a copy would not be found."""
    others = [*references, consensus(references)]
    best = nearness(victim, others, victim, detailed, case.seed, NEAR).p_value
    if best >= case.alpha:
        return None
    near = nearness(victim, others, suspect, detailed, case.seed, NEAR)
    facts = (
        f"squared distance to the victim {near.ratio:.2f} of the least that lies between independent models, "
        f"flagged below {NEAR:g} ({len(references)} references, {near.rows} inputs, {channel})"
    )
    if near.p_value < case.alpha:
        verdict: Ruling = "stolen"
        reason = f"The suspect is far nearer to the victim than independent models are to one another: {facts}."
    else:
        verdict = "inconclusive"
        reason = (
            "The victim has too little that the references lack, so only a near copy of it could be told, and this is "
            f"none: {facts}. Add inputs or references."
        )
    return Finding(verdict, near.p_value, max(0.0, 1 - near.ratio), reason, 1 - NEAR, best, None, str(channel))


def _queries_needed(
    victim: Floats, references: Sequence[Floats], suspect: Floats, channel: Channel, case: Case
) -> int | None:
    cosines, weights = row_cosines(victim, references, suspect)
    left_out = [
        Likeness(weighted_mean(*row_cosines(victim, rest, one)), 0.0) for one, rest in _each_left_out(references)
    ]
    # The bets account for the choice of rows themselves, so the null has no row error here.
    threshold = fit_null(left_out, len(references), 0.0).threshold(case.alpha)
    return bet(cosines, weights, threshold, case.alpha, case.seed).queries if threshold < 1 else None


def _each_left_out(references: Sequence[Floats]) -> list[tuple[Floats, list[Floats]]]:
    """Every reference with the others; none if fewer than two would be left."""
    if len(references) < 3:
        return []
    return [
        (one, [other for place, other in enumerate(references) if place != left]) for left, one in enumerate(references)
    ]


def _detailed(victim: Floats, channel: Channel) -> NDArray[np.bool_]:
    """Rows where the victim tells more than its class, bool [N]."""
    if channel.kind == "label":
        return np.zeros(len(victim), dtype=np.bool_)
    if channel.kind in ("rounded", "clipped"):
        told: NDArray[np.bool_] = (victim > np.log(channel.floor) + 1e-9).sum(axis=1) > 1
        return told
    return np.ones(len(victim), dtype=np.bool_)
