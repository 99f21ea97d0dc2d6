"""What a test found, with an exact JSON round trip: `Verdict.from_json(verdict.to_json()) == verdict`."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from typing import Any, Literal

from pydantic import TypeAdapter

from spellward.errors import DataError
from spellward.plain_json import parse_json

Ruling = Literal["stolen", "not shown", "inconclusive"]
Measure = Literal["correlation", "nearness", "weights"]


@dataclass(frozen=True)
class Control:
    """A suspect with a known answer, judged by the same test.

    Attributes:
        name: What it was.
        verdict, p_value, effect, measure: As of a `Verdict`.
    """

    name: str
    verdict: Ruling
    p_value: float | None = None
    effect: float | None = None
    measure: Measure | None = None


@dataclass(frozen=True)
class Descent:
    """What a suspect's weights show (`descent.py`).

    Attributes:
        p_value: Probability that the weights of an independent model get as far.
        effect: Correlation with the victim's way from the public base, less what references share (`descent.py`): 1
            for a copy, about 0 for an independent model.
        threshold: The effect beyond which the suspect is said to be stolen.
        alpha: The part of the accepted rate of false accusations that this stands for.
        left_out: Effects of the references, each left out and judged as a suspect.
    """

    p_value: float
    effect: float
    threshold: float
    alpha: float
    left_out: tuple[float, ...]

    @property
    def found(self) -> bool:
        """Whether the weights come from the victim's."""
        return self.p_value < self.alpha

    def text(self) -> str:
        """One sentence."""
        said = "come from the victim's" if self.found else "do not show that they come from the victim's"
        return (
            f"Its weights {said}: correlation {self.effect:.2f} with the victim's way from the public base, where an "
            f"independent model exceeds {self.threshold:.2f} with probability {self.alpha:g} "
            f"({len(self.left_out)} references)."
        )


@dataclass(frozen=True)
class Verdict:
    """What a test found about one suspect.

    Attributes:
        verdict: `stolen`, `not shown` (the test ran and saw nothing that an independent model would not show) or
            `inconclusive` (the test cannot say; see `reason`).
        p_value: Probability that an independent model gets as far; `None` if nothing could be tested.
        effect: Of the method: for `spellward` what `measure` says, for the others see their files. `None` if nothing
            could be tested.
        queries: Inputs whose outputs were used.
        reason: One or two sentences for a reader.
        method: Name and version of the test.
        threshold: The effect beyond which the verdict is `stolen`; `None` if the method has none.
        alpha: Rate of false accusations that the threshold stands for.
        best_p_value: What a perfect copy would get with these references.
        queries_needed: After how many inputs, in a seeded order, the sequential test would have stopped with the
            verdict `stolen`; `None` if never, or if the method has no such test.
        channel: What the suspect tells.
        references: How many references were given.
        seed: Of everything that was drawn.
        controls: Suspects with a known answer.
        weights: What the weights show, where they could be compared. `stolen` may rest on them alone; then `channel`
            is "weights", and p-value, effect and threshold are theirs.
        measure: What the effect of `spellward` is: the residual "correlation" (1 for a copy, about 0 for an
            independent model; the p-value is over models), "nearness" (one less the share that is left of the distance
            between independent models; its p-value is over inputs), or the correlation of "weights". `None` if nothing
            was measured, and for other methods.
        commitment: sha256 of the commitment of the claim, if there was one.
        published: Whether it was held against a published digest.
        answers: sha256 of what the suspect said, as float64 in the victim's order of classes.
        model: Digest of the suspect's weights, where they could be seen.
        options: What was asked for beside the claim's own test: "key", "match-classes".
    """

    verdict: Ruling
    p_value: float | None
    effect: float | None
    queries: int
    reason: str
    method: str
    threshold: float | None = None
    alpha: float = 0.01
    best_p_value: float | None = None
    queries_needed: int | None = None
    channel: str | None = None
    references: int = 0
    seed: int = 0
    controls: tuple[Control, ...] = ()
    weights: Descent | None = None
    measure: Measure | None = None
    commitment: str | None = None
    published: bool = False
    answers: str | None = None
    model: str | None = None
    options: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        numbers = [self.p_value, self.effect, self.threshold, self.best_p_value, self.alpha]
        numbers += [value for control in self.controls for value in (control.p_value, control.effect)]
        if self.weights is not None:
            numbers += [self.weights.p_value, self.weights.effect, self.weights.threshold, *self.weights.left_out]
        if any(value is not None and not math.isfinite(value) for value in numbers):
            raise ValueError("A verdict holds finite numbers only.")

    def to_record(self) -> dict[str, Any]:
        """The fields as plain JSON values."""
        record = asdict(self)
        record["controls"] = [asdict(control) for control in self.controls]
        return record

    def to_json(self) -> str:
        """One JSON object; floats are written so that they are read back exactly."""
        return json.dumps(self.to_record(), indent=2, ensure_ascii=False, allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> Verdict:
        """Reads what `to_json` wrote.

        Raises:
            DataError: If it is anything else.
        """
        try:
            record = parse_json(text)
            verdict = TypeAdapter(cls).validate_json(text, strict=True)
            if json.loads(verdict.to_json()) != record:
                raise ValueError("other fields")
            return verdict
        except ValueError as error:
            raise DataError("This is no verdict of Spellward. Name a verdict.json that it wrote.") from error
