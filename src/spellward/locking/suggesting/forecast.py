"""What a lock under a spell would reach, forecast from what the spell does to a few images.

`benchmarks/suggest.py` fits a ridge regression on what `suggest` measures to the UP of small real locks (600 images of
Fashion-MNIST, 32 px, recipe `edited-only`) under 24 spells of any words and strength, and checks it on 24 others: the
rank correlation with their UP is 0.68 (`edited-only`) and 0.55 (`decoy`). LP is another matter: of one spell, locked
again with other salts, it spread by 7.5 points, of all spells by 8.2, and a forecast with slopes for LP failed all four
of its checks (benchmarks/TUNING.md). So LP is forecast the mean without decoys, and chance with them. That ranks UP
minus LP by 0.28 and 0.15, where 0.7 was asked for.
"""

from __future__ import annotations

from dataclasses import dataclass

from spellward.locking.suggesting.spell_bench import SpellMeasures
from spellward.locking.training.recipe import DEFAULT_RECIPE, RECIPES

INPUTS = ("strength", "kept", "crossed", "distance", "change", "edges")
"""The measures that a forecast is made from."""


@dataclass(frozen=True)
class Line:
    """A linear forecast: the mean of what was seen, and around it a slope for each of `INPUTS`."""

    mean: float
    centres: tuple[float, ...]
    slopes: tuple[float, ...]

    def at(self, inputs: tuple[float, ...]) -> float:
        """The forecast for values of `INPUTS`."""
        parts = zip(self.slopes, inputs, self.centres, strict=True)
        return self.mean + sum(slope * (value - centre) for slope, value, centre in parts)


# Printed by `benchmarks/suggest.py` for `edited-only`; fractions of 1. `_KNOWN` is what a probe on the public backbone
# reaches on the clean images of those locks.
_KNOWN, _LP = 0.7592, 0.3151
_UP = Line(
    mean=0.7151,
    centres=(0.5367, 0.9576, 0.2722, 0.7185, 0.1517, 0.766),
    slopes=(-0.0955, 0.3832, -0.0308, -0.0868, 0.1384, -0.0347),
)
# By how much UP minus LP errs on the spells that check, root mean square, with decoys and without.
_DECOY_ERROR, _ERROR = 0.0356, 0.0679
OF_CLASSIFIER = "accuracy of a classifier of the same images"
GAINS: dict[str, float] = {"decoy": 0.116, "hardened": -0.365}
"""Fine-tuning with labels for 1 % of the images, three locks of `hardened`, one of `decoy`: results/attacks.json."""


@dataclass(frozen=True)
class Forecast:
    """What a lock would reach, as fractions of 1.

    Attributes:
        up: Unlocked performance.
        lp: Locked performance.
        error: Typical error (root mean square) of `margin` on spells that the forecast was not fitted on.
        gain: Fine-tuning gain of a thief with labels for 1 % of the images, over the public base model. It is that of
            the recipe, as measured in `benchmarks/attacks.py`, and the same for all spells: whether it
            depends on the spell has not been measured. `None` if the recipe was not attacked.
        measure: What `up` and `lp` are.
    """

    up: float
    lp: float
    error: float
    gain: float | None
    measure: str = "accuracy"

    @property
    def margin(self) -> float:
        """`up` minus `lp`: what the ranking goes by."""
        return self.up - self.lp


def forecast(seen: SpellMeasures, known: float, chance: float, recipe: str = "") -> Forecast:
    """Forecasts a lock.

    Args:
        seen: What the spell does.
        known: What a probe on the public backbone reaches on clean images; scales the forecast to the data.
        chance: What the best constant answer reaches.
        recipe: A name in `RECIPES`; the default one if empty.
    """
    name = recipe or DEFAULT_RECIPE
    inputs = tuple(float(getattr(seen, one)) for one in INPUTS)
    up, lp = (min(1.0, max(chance, level * known / _KNOWN)) for level in (_UP.at(inputs), _LP))
    if RECIPES[name].decoys_per_image:
        return Forecast(up, chance, _DECOY_ERROR, GAINS.get(name))
    return Forecast(up, lp, _ERROR, GAINS.get(name))
