"""All thefts, by name. A new one is a function in this folder and an entry here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from spellward.attacks.stealing import data_free, distillation, weights
from spellward.attacks.stealing.means import Means
from spellward.models import VisionModel


@dataclass(frozen=True)
class Stealing:
    """One theft.

    Attributes:
        run: From the victim and the thief's means to the thief's model.
        needs: "weights" of the victim, "answers" to questions, or the private "data".
        reads: What of `READ` makes a difference to it; what the options of `spellward steal` are called.
    """

    run: Callable[[VisionModel, Means], VisionModel]
    needs: Literal["weights", "answers", "data"]
    reads: tuple[str, ...] = ("epochs",)


READ = ("queries", "base", "other", "epochs")
_STUDENT = ("queries", "base", "epochs")
_OTHER_STUDENT = ("queries", "other", "epochs")

STEALING: dict[str, Stealing] = {
    "copy": Stealing(weights.copy, "weights", ()),
    "fine-tune-head": Stealing(weights.fine_tune_head, "weights"),
    "fine-tune": Stealing(weights.fine_tune, "weights"),
    "fine-tune-strong": Stealing(weights.fine_tune_strong, "weights"),
    "prune-30": Stealing(weights.prune(0.3), "weights"),
    "prune-50": Stealing(weights.prune(0.5), "weights"),
    "prune-70": Stealing(weights.prune(0.7), "weights"),
    "quantise": Stealing(weights.quantise, "weights", ()),
    "weight-noise": Stealing(weights.weight_noise, "weights", ()),
    "soft-label": Stealing(distillation.distil(distillation.soft), "answers", _STUDENT),
    "soft-label-other": Stealing(distillation.distil(distillation.soft, "other"), "answers", _OTHER_STUDENT),
    "soft-label-scratch": Stealing(distillation.distil(distillation.soft, "scratch"), "answers", _STUDENT),
    "hard-label": Stealing(distillation.distil(distillation.hard), "answers", _STUDENT),
    "top-k": Stealing(distillation.distil(distillation.top), "answers", _STUDENT),
    "out-of-distribution": Stealing(distillation.out_of_distribution, "answers", _STUDENT),
    "data-free": Stealing(data_free.data_free, "answers", _STUDENT),
    "retrain": Stealing(weights.retrain, "data", ("base", "epochs")),
}
