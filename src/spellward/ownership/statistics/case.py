"""What a test gets and what it gives: the interface that the default and all baselines share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from spellward.ownership.answers.channel import Told
from spellward.ownership.verdict import Measure, Ruling


@dataclass(frozen=True)
class Case:
    """Recorded outputs over the same inputs.

    Attributes:
        victim, suspect: What they told.
        references: One or more models that are known to be independent of the suspect's making.
        poisoned: The poisoned shadow of Holmes.
        alpha: Rate of false accusations that is accepted.
        seed: Of everything that is drawn.
        opinions_count: Whether what a suspect says of the victim's likeliest class counts. A model may have that from
            being right, too, unless nobody is right about the inputs and the references are about as good as any.
        peers: Independent models that have learnt what the victim has, the inputs too: nobody else knows more of them.
    """

    victim: Told
    references: tuple[Told, ...]
    suspect: Told
    poisoned: Told | None = None
    alpha: float = 0.01
    seed: int = 0
    opinions_count: bool = False
    peers: tuple[Told, ...] = ()


@dataclass(frozen=True)
class Finding:
    """What a test says; the fields are those of `Verdict`."""

    verdict: Ruling
    p_value: float | None
    effect: float | None
    reason: str
    threshold: float | None = None
    best_p_value: float | None = None
    queries_needed: int | None = None
    channel: str | None = None
    measure: Measure | None = None


Method = Callable[[Case], Finding]


def ruled(p_value: float, effect: float, alpha: float, reason: str, threshold: float | None = None) -> Finding:
    """`stolen` if the p-value is below alpha, or else `not shown`."""
    return Finding("stolen" if p_value < alpha else "not shown", p_value, effect, reason, threshold)
