"""One call from recorded outputs to a verdict."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike

from spellward.errors import DataError
from spellward.ownership.answers.channel import listen
from spellward.ownership.answers.outputs import as_outputs
from spellward.ownership.baselines import BASELINES
from spellward.ownership.statistics.apart import check_apart
from spellward.ownership.statistics.case import Case, Finding, Method
from spellward.ownership.statistics.controls import LEFT_OUT, run_controls
from spellward.ownership.statistics.default import default_test
from spellward.ownership.statistics.sanity import in_class_order, read_suspect
from spellward.ownership.verdict import Control, Verdict

DEFAULT = "spellward"
METHODS: dict[str, Method] = {DEFAULT: default_test, **BASELINES}
VERSION = "spellward/12"
"""Of the default test: raised whenever it would judge otherwise."""
_IDLE_SHARE = 0.5


def judge(
    victim: ArrayLike,
    references: Sequence[ArrayLike],
    suspect: ArrayLike,
    *,
    poisoned: ArrayLike | None = None,
    method: str = DEFAULT,
    alpha: float = 0.01,
    seed: int = 0,
    opinions_count: bool = False,
    peers: Sequence[ArrayLike] = (),
    match_classes: bool = False,
) -> Verdict:
    """Judges whether a suspect was taken from the victim, by what the models said about the same N inputs.

    Args:
        victim: [N, K] logits or probabilities.
        references: One or more of the same shape, from models known to be independent of the suspect.
        suspect: [N, K], or class numbers as [N] or [N, 1].
        poisoned: [N, K] of the poisoned shadow, which `holmes` needs.
        method: A name in `METHODS`.
        alpha: Rate of false accusations that is accepted, in (0, 0.5).
        seed: Of everything that is drawn; the same inputs and seed give the same verdict.
        opinions_count: Only for mixtures of images, and references that are about as good as any model of the task:
            lets the victim's likeliest class count (see `doubles`), which a claim decides by itself.
        peers: [N, K] of independent models that were trained on the same images as the victim, the inputs or what these
            were made from among them. They show what an innocent model may have in common with the victim by knowing
            as much, which is otherwise bounded by doubles at the price of power.
        match_classes: Put the suspect's classes in the order that fits the task, if they stand in another one.

    Raises:
        DataError: If victim, references, peers or poisoned shadow cannot be used, or are all but one model, or the
            method is unknown. Whatever is wrong with the suspect is a verdict: `inconclusive`.
    """
    if method not in METHODS:
        raise DataError(f"There is no method {method!r}. Take one of: {', '.join(METHODS)}.")
    if not 0 < alpha < 0.5:
        raise DataError(f"The rate of false accusations is {alpha:g}. Give one between 0 and 0.5.")
    if len(references) == 0:
        raise DataError("There is no reference. Give the outputs of at least one independent model.")
    if np.ndim(references[0]) < 2:
        raise DataError("The references are one array of outputs. Give a list of arrays, one for each reference.")
    own = as_outputs(victim, "the victim")
    others = [as_outputs(one, f"reference {place}") for place, one in enumerate(references, start=1)]
    if len(peers) == 1:
        raise DataError("One peer does not tell how peers vary. Give two at least, or none.")
    equals = [as_outputs(one, f"peer {place}") for place, one in enumerate(peers, start=1)]
    named = {f"Reference {place}": one for place, one in enumerate(others, start=1)}
    named |= {f"Peer {place}": one for place, one in enumerate(equals, start=1)}
    shadow = None if poisoned is None else as_outputs(poisoned, "the poisoned shadow")
    if shadow is not None:
        named["The poisoned shadow"] = shadow
    for name, one in named.items():
        if one.shape != own.shape:
            raise DataError(
                f"{name} has outputs of the shape {list(one.shape)}, the victim {list(own.shape)}. "
                "Record all models on the same inputs, with the same classes."
            )
    check_apart(own, {name: one for name, one in named.items() if one is not shadow})
    told = read_suspect(suspect, *own.shape)
    if isinstance(told, str):
        return _verdict(Finding("inconclusive", None, None, f"{told}."), method, 0, len(others), alpha, seed)
    poison = None if shadow is None else listen(shadow)
    case = Case(listen(own), tuple(map(listen, others)), told, poison, alpha, seed, opinions_count)
    case = replace(case, peers=tuple(map(listen, equals)))
    case, moved = in_class_order(case) if match_classes else (case, 0)
    finding = METHODS[method](case)
    if moved:
        finding = replace(finding, reason=f"{finding.reason} {moved} classes were put in the victim's order.")
    controls = run_controls(case, METHODS[method]) if method == DEFAULT else ()
    # One in a hundred innocent controls may be accused by chance at 1 %, so many controls need a stricter line each.
    line = alpha / max(len(controls), 1)
    # Whoever does not do the task is stopped before anything is measured.
    idle = [one for one in controls if one.name.startswith(LEFT_OUT) and one.measure is None]
    accused = [one.name for one in controls if one.verdict == "stolen" and (one.p_value is None or one.p_value < line)]
    if finding.verdict == "stolen" and accused:
        reason = f"The test also accuses controls that are innocent ({', '.join(accused)}). Check the references."
        finding = replace(finding, verdict="inconclusive", reason=reason)
    if finding.verdict == "stolen" and len(idle) > _IDLE_SHARE * len(others):
        reason = (
            f"Most references ({len(idle)} of {len(others)}) do not do the task themselves, as far as the others show, "
            "so nothing tells what independent models have in common. Train them longer, or on more images."
        )
        finding = replace(finding, verdict="inconclusive", reason=reason)
    return _verdict(finding, method, len(own), len(others), alpha, seed, controls)


def _verdict(
    finding: Finding,
    method: str,
    queries: int,
    references: int,
    alpha: float,
    seed: int,
    controls: tuple[Control, ...] = (),
) -> Verdict:
    return Verdict(
        verdict=finding.verdict,
        p_value=finding.p_value,
        effect=finding.effect,
        queries=queries,
        reason=finding.reason,
        method=VERSION if method == DEFAULT else method,
        threshold=finding.threshold,
        alpha=alpha,
        best_p_value=finding.best_p_value,
        queries_needed=finding.queries_needed,
        channel=finding.channel,
        references=references,
        seed=seed,
        controls=controls,
        measure=finding.measure,
    )
