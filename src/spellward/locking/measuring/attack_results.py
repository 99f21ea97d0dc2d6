"""What attacks on a lock gave, as plain figures: nothing of the key stands here."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

from spellward.plain_json import parse_json

_FORMAT = "spellward-attacks-1"


@dataclass(frozen=True)
class AttackRow:
    """One attack with one budget; accuracies are fractions of 1, on test images.

    Attributes:
        name: Which attack (`attacks.unlocking.table.ATTACKS`).
        labelled: Share of the training images that the thief has labels for.
        images: How many those are.
        accuracy: What the attack reached on the locked model.
        base: What the same search reached on the public base model.
        gain: The difference: how much better off the thief is with the locked model.
        setting: The setting that the thief chose; wrong keys are numbered.
        seconds: How long it took.
    """

    name: str
    labelled: float
    images: int
    accuracy: float
    base: float
    gain: float
    setting: str
    seconds: float


@dataclass(frozen=True)
class HonestRow:
    """Unlocked performance under something that honest use brings: its name, the accuracy, the change."""

    name: str
    accuracy: float
    change: float


@dataclass(frozen=True)
class AttackReport:
    """All attacks on one lock. Law: `AttackReport.from_json(r.to_json()) == r`.

    Attributes:
        rows: One for each attack and budget.
        honest: Unlocked performance under what honest use brings.
        wordings: Accuracy under near wordings of the key's prompt, all else known: the least, the mean, the most. How
            many there are would tell how long the prompt is.
        up: Unlocked performance on the images of `honest`.
        chance: What constant guessing reaches.
        test_images: Images that accuracies were measured on.
        effort, seed, base: How long the thief searched, the seed, and the public base model.
        skipped: Attacks that could not be run, with the reason.
        versions: Of what decides a result.
        measure: What accuracies are: of masks another figure.
    """

    rows: tuple[AttackRow, ...]
    honest: tuple[HonestRow, ...]
    wordings: tuple[float, ...]
    up: float
    chance: float
    test_images: int
    effort: str
    seed: int
    base: str
    skipped: dict[str, str]
    versions: dict[str, str]
    measure: str = "accuracy"

    @property
    def largest(self) -> AttackRow | None:
        """The row with the largest gain."""
        return max(self.rows, key=lambda row: row.gain, default=None)

    def to_json(self) -> str:
        return json.dumps({"format": _FORMAT, **asdict(self)}, indent=2, allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> AttackReport:
        """Reads what `to_json` wrote.

        Raises:
            ValueError: For anything else.
        """
        fields: dict[str, Any] = parse_json(text)
        if fields.pop("format", None) != _FORMAT:
            raise ValueError(f"not a report of the kind {_FORMAT}")
        try:
            rows = tuple(AttackRow(**row) for row in fields.pop("rows"))
            honest = tuple(HonestRow(**row) for row in fields.pop("honest"))
            return cls(rows=rows, honest=honest, wordings=tuple(fields.pop("wordings")), **fields)
        except (KeyError, TypeError) as error:
            raise ValueError("a report with missing or unknown fields") from error
