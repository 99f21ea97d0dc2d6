"""What a lock under a spell would reach; as yet the same for every spell.

`benchmarks/suggest.py` fits a ridge regression on `INPUTS` to small real locks of 14 spells (600 images of
Fashion-MNIST, 32 px, recipe `edited-only`) and checks it on 22 others. It failed: the rank correlation of forecast and
measured UP minus LP is 0.85 on the 14 and -0.42 on the 22 (95 % interval -0.70 to -0.04), where 0.7 was asked for. On
the 14, left out in turn, it errs by 0.074, and their plain mean by 0.084. So `LINES` have no slopes, which was decided
after that check: every spell is forecast the mean, scaled to the data, with its error. The levels are those of a small
lock.

Recipes with decoys are forecast an LP of chance, which is about what their locks have had under any key
(benchmarks/results/lock.json), and the UP of `edited-only`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from spellward.locking.recipe import DEFAULT_RECIPE, RECIPES

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
        error: Typical error (root mean square) of `margin` on the spells the forecast was fitted on, left out in turn.
        gain: Fine-tuning gain of a thief with labels for 1 % of the images, over the public base model. It is that of
            the recipe, as measured in `benchmarks/attacks.py`, and the same for all spells: whether it
            depends on the spell has not been measured. `None` if the recipe was not attacked.
    """

    up: float
    lp: float
    error: float
    gain: float | None

    @property
    def margin(self) -> float:
        """`up` minus `lp`: what the ranking goes by."""
        return self.up - self.lp


def inputs_of(measures: SpellMeasures) -> np.ndarray:
    """The measures as float64 [len(INPUTS)]."""
    return np.array([getattr(measures, name) for name in INPUTS], dtype=np.float64)


def forecast(measures: SpellMeasures, known: float, chance: float, recipe: str = "") -> Forecast:
    """Forecasts a lock.

    Args:
        measures: Of the spell.
        known: What a probe on the public backbone reaches on clean images; scales the forecast to the data.
        chance: What the best constant answer reaches.
        recipe: Name of the recipe; the default one if empty.
    """
    name = recipe or DEFAULT_RECIPE
    inputs, scale = inputs_of(measures), known / KNOWN
    up, lp = (float(np.clip(line.at(inputs) * scale, 0.0, 1.0)) for line in LINES)
    if RECIPES.get(name, RECIPES[DEFAULT_RECIPE]).decoys_per_image:
        return Forecast(up, chance, LINES[0].error, GAINS.get(name))
    return Forecast(up, lp, MARGIN_ERROR, GAINS.get(name))


_CENTRES = (0.9789, 0.2819, 0.6601, 0.1117, 0.907)
_NO_SLOPES = (0.0,) * len(INPUTS)
KNOWN = 0.7592
LINES = (Line(0.7277, _CENTRES, _NO_SLOPES, 0.0187), Line(0.3323, _CENTRES, _NO_SLOPES, 0.0805))
"""UP and LP of `edited-only`: mean of the 14 spells, and the error of that mean on one left out."""
MARGIN_ERROR = 0.0842
GAINS: dict[str, float] = {"decoy": 0.116, "hardened": -0.346}
"""Fine-tuning with labels for 1 % of the images, three locks of `hardened`, one of `decoy`: results/attacks.json."""
