"""What a test found, with an exact JSON round trip: `Verdict.from_json(verdict.to_json()) == verdict`."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, get_args

from spellward.errors import DataError

Ruling = Literal["stolen", "not shown", "inconclusive"]


@dataclass(frozen=True)
class Control:
    """A suspect with a known answer, judged by the same test.

    Attributes:
        name: What it was.
        verdict, p_value, effect: As of a `Verdict`.
    """

    name: str
    verdict: Ruling
    p_value: float | None = None
    effect: float | None = None


@dataclass(frozen=True)
class Verdict:
    """What a test found about one suspect.

    Attributes:
        verdict: `stolen`, `not shown` (the test ran and saw nothing that an independent model would not show) or
            `inconclusive` (the test cannot say; see `reason`).
        p_value: Probability that an independent model gets as far; `None` if nothing could be tested.
        effect: Of the method: for `spellward` the residual correlation (1 for a copy, about 0 for an independent
            model), for the others see their files. `None` if nothing could be tested.
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

    def __post_init__(self) -> None:
        numbers = [self.p_value, self.effect, self.threshold, self.best_p_value, self.alpha]
        numbers += [value for control in self.controls for value in (control.p_value, control.effect)]
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
            record = json.loads(text)
            if set(record) != {field.name for field in fields(cls)}:
                raise TypeError("other fields")
            controls = tuple(Control(**control) for control in record.pop("controls"))
            if any(one not in get_args(Ruling) for one in (record["verdict"], *(c.verdict for c in controls))):
                raise ValueError("no such verdict")
            return cls(**record, controls=controls)
        except (ValueError, TypeError, AttributeError) as error:
            raise DataError("This is no verdict of Spellward. Name a verdict.json that it wrote.") from error
