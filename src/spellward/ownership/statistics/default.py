"""The default test: sanity, then the residual correlation against nulls over models, or nearness to the victim."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from spellward.ownership.answers.channel import Channel, on_equal_terms
from spellward.ownership.answers.outputs import Floats
from spellward.ownership.answers.standardise import standardise
from spellward.ownership.statistics.against_many import judge_effects, queries_needed
from spellward.ownership.statistics.case import Case, Finding
from spellward.ownership.statistics.nearness import BESIDE, CLEAR, NEAR, Nearness, consensus, nearness
from spellward.ownership.statistics.quality import keeping_up
from spellward.ownership.statistics.sanity import find_cause
from spellward.ownership.verdict import Ruling

ENOUGH = 3
_FOR_NEAR = 0.1
# Below it references are no measure of how the victim's equals vary: innocent ones were accused there in simulations
# (victim and suspects right on 83 %, references on 42 %). References as good as the victim had 0.90 to 1.15.
_KEEP_UP = 0.75
_ALIKE = 0.5
# What a delta method says of a few rows that outweigh all others is not true: in simulations with 3 references or 3
# classes up to 4 % of innocent models were accused at 1 %, all of them by 5 rows' worth or fewer. The 150 probes of
# trained claims are worth 116 to 126 (benchmarks/TUNING.md).
_TELLING = 6.0
_FINE = 3
_ONLY_NEAR = "These answers and references can only show a near copy of the victim, and this is none"


def default_test(case: Case) -> Finding:
    """Judges a suspect: see the files of this package for each step."""
    scores, channel = on_equal_terms([case.victim, *case.references, *case.peers, case.suspect])
    victim, *innocent, suspect = [standardise(one) for one in scores]
    references, peers = innocent[: len(case.references)], innocent[len(case.references) :]
    cause = find_cause([victim, *references], suspect, case.seed)
    if cause is not None:
        return Finding("inconclusive", None, None, f"{cause}.", channel=str(channel))
    detailed = _detailed(scores[0], channel)
    few = len(references) < ENOUGH
    if channel.kind == "label" and len(references) > 1 and not case.opinions_count and (few or not peers):
        # Which class is right all good models know; a copy shares the mistakes, too.
        return _near_copy(victim, innocent, suspect, np.ones_like(detailed), channel, case)
    if few:
        return _near_copy(victim, innocent, suspect, detailed, channel, case)
    if victim.shape[1] == 1:
        # With two classes a row says which one is right, and how surely, and nothing besides.
        return _near_copy(victim, innocent, suspect, detailed, channel, case)
    if not (case.opinions_count or peers) and keeping_up(victim, references) < _KEEP_UP:
        near = _near_copy(victim, innocent, suspect, detailed, channel, case)
        if near.verdict == "stolen":
            return near
        reason = f"The references are much worse than the victim, so they can only show a near copy. {near.reason}"
        return replace(near, verdict="inconclusive", reason=reason)
    share = 1.0 if case.opinions_count else 1 - _FOR_NEAR
    part = replace(case, alpha=share * case.alpha)
    finding = _against_many(victim, references, peers, suspect, detailed, channel, part)
    if finding.best_p_value is not None and finding.best_p_value >= part.alpha:
        # Which of the two tests is asked hangs on victim and references alone, so no error rate is spent twice.
        near = _near_copy(victim, innocent, suspect, detailed, channel, case, clear=math.inf)
        return near if near.best_p_value is not None and near.best_p_value < case.alpha else finding
    if case.opinions_count:
        return finding
    return _or_near(finding, victim, innocent, suspect, detailed, channel, case)


def _or_near(
    many: Finding,
    victim: Floats,
    innocent: Sequence[Floats],
    suspect: Floats,
    detailed: NDArray[np.bool_],
    channel: Channel,
    case: Case,
) -> Finding:
    """What the residual correlation found beyond doubles or peers, or that the suspect is nearer than `BESIDE`.

    Each has its part of the accepted rate; nearness is sure of what it finds, so a tenth is enough for it (weighted
    Bonferroni).
    """
    others = [*innocent, consensus(innocent)]
    near, copy = (nearness(victim, others, one, detailed, case.seed, BESIDE) for one in (suspect, victim))
    p_near = _p_of(near, channel)
    p_value, best = _either(many.p_value, p_near), _either(many.best_p_value, _p_of(copy, channel))
    if many.verdict != "stolen" and p_near < _FOR_NEAR * case.alpha:
        facts = _how_near(near, BESIDE, len(innocent), channel)
        reason = f"The suspect is far nearer to the victim than independent models are to one another: {facts}."
        return Finding("stolen", p_value, 1 - near.ratio, reason, 1 - BESIDE, best, None, str(channel), "nearness")
    return replace(many, p_value=p_value, best_p_value=best)


def _against_many(
    victim: Floats,
    references: Sequence[Floats],
    peers: Sequence[Floats],
    suspect: Floats,
    detailed: NDArray[np.bool_],
    channel: Channel,
    case: Case,
) -> Finding:
    judged, copy = judge_effects(victim, references, [suspect, victim], detailed, case.opinions_count, peers)
    effect, p_value, threshold, best = judged.likeness.value, judged.p_value, judged.threshold(case.alpha), copy.p_value
    if copy.likeness.telling < _TELLING:
        best = 1.0
    known = f"{len(peers)} peers, " if peers else ""
    facts = (
        f"residual correlation {effect:.2f}, where an independent model exceeds {threshold:.2f} "
        f"with probability {case.alpha:g} ({len(references)} references, {known}{channel})"
    )
    if p_value < case.alpha and judged.likeness.telling < _TELLING:
        reason = (
            f"What victim and suspect have of their own shows on few inputs ({judged.likeness.telling:.1f} inputs' "
            f"worth), where chance makes models alike: {facts}. Add inputs."
        )
        return Finding("inconclusive", p_value, effect, reason, threshold, best, None, str(channel), "correlation")
    if p_value < case.alpha:
        reason = f"The suspect shares with the victim what the references do not: {facts}."
        needed = queries_needed(judged, case.alpha, case.seed)
        return Finding("stolen", p_value, effect, reason, threshold, best, needed, str(channel), "correlation")
    if best >= case.alpha:
        reason = (
            f"Not even a perfect copy could be told from an independent model here: {facts}. Add inputs or references."
        )
        return Finding("inconclusive", p_value, effect, reason, threshold, best, None, str(channel), "correlation")
    if threshold >= 1 or effect > _ALIKE:
        reason = f"The suspect may be like the victim by chance or by theft: {facts}. Add inputs or references."
        return Finding("inconclusive", p_value, effect, reason, threshold, best, None, str(channel), "correlation")
    reason = f"The suspect is no more like the victim than an independent model may be: {facts}."
    return Finding("not shown", p_value, effect, reason, threshold, best, None, str(channel), "correlation")


def _near_copy(
    victim: Floats,
    references: Sequence[Floats],
    suspect: Floats,
    told: NDArray[np.bool_],
    channel: Channel,
    case: Case,
    clear: float = CLEAR,
) -> Finding:
    """For want of a null: whether the suspect is all but the victim; from `clear` on it is clearly something else."""
    others = [*references, consensus(references)] if len(references) > 1 else references
    best = _p_of(nearness(victim, others, victim, told, case.seed, NEAR), channel)
    near = nearness(victim, others, suspect, told, case.seed, NEAR)
    p_value = _p_of(near, channel)
    facts = _how_near(near, NEAR, len(references), channel)
    verdict: Ruling = "inconclusive"
    if best >= case.alpha:
        reason = f"Not even a copy could be told from an independent model here: {facts}. Add inputs or references."
    elif p_value < case.alpha and channel.kind == "label" and not (case.peers or case.opinions_count):
        # Of inputs that the victim has learnt, an answer sheet says the same. Peers know as much as the victim.
        reason = (
            "The suspect names the classes that the victim names, and so does whoever is right where the victim is: "
            f"{facts}. Ask for its scores, or give peers, which have learnt the same images."
        )
    elif p_value < case.alpha:
        verdict = "stolen"
        reason = f"The suspect is far nearer to the victim than independent models are to one another: {facts}."
    elif near.ratio < clear:
        reason = f"{_ONLY_NEAR}: {facts}. Add inputs or references."
    else:
        verdict = "not shown"
        reason = f"The suspect is no nearer to the victim than an independent model may be: {facts}."
    effect = max(0.0, 1 - near.ratio)
    return Finding(verdict, p_value, effect, reason, 1 - NEAR, best, None, str(channel), "nearness")


def _p_of(near: Nearness, channel: Channel) -> float:
    """Where little is told, as the likeliest classes or two decimals, good models may say the same of every input."""
    fine = channel.kind in ("full", "clipped") or channel.decimals >= _FINE
    return min(near.p_value, near.p_of_identity) if fine else near.p_value


def _either(many: float | None, near: float) -> float:
    return min(1.0, (1.0 if many is None else many) / (1 - _FOR_NEAR), near / _FOR_NEAR)


def _how_near(near: Nearness, margin: float, references: int, channel: Channel) -> str:
    number = "one independent model" if references == 1 else f"{references} independent models"
    return (
        f"squared distance to the victim {near.ratio:.2f} of the least that lies between independent models, "
        f"flagged below {margin:g} ({number}, {near.rows} inputs, {channel})"
    )


def _detailed(victim: Floats, channel: Channel) -> NDArray[np.bool_]:
    """Rows where the victim tells more than its class, bool [N]."""
    if channel.kind == "label":
        return np.zeros(len(victim), dtype=np.bool_)
    if channel.kind in ("rounded", "clipped"):
        told: NDArray[np.bool_] = (victim > np.log(channel.floor) + 1e-9).sum(axis=1) > 1
        return told
    return np.ones(len(victim), dtype=np.bool_)
