"""How to train: the settings of a `fit`, and what is usual where they are left open."""

from __future__ import annotations

import math
import operator
from dataclasses import dataclass, replace

import torch
from torch import nn

from spellward.errors import ModelError
from spellward.hardware import has_bf16
from spellward.models.augment import AUGMENTATIONS
from spellward.models.object_networks import ObjectNetwork

PRECISIONS = ("auto", "bf16", "fp32")


@dataclass(frozen=True)
class FitSettings:
    """How to train.

    Attributes:
        epochs: Passes over the examples; 0 takes `enough_epochs`.
        batch_size: Examples asked for at a time.
        learning_rate: Of the body, at the top of the cosine; 0 takes `usual_learning_rate`.
        head_multiplier: How much faster the head learns.
        weight_decay: On weight matrices alone, not on biases and norms.
        warmup: Share of the steps in which the rate rises.
        max_grad_norm: Gradients are clipped to this norm.
        augment: See `augment.AUGMENTATIONS`.
        freeze_norm: In the last so many epochs batch norms use the statistics that prediction will use.
        precision: "bf16", "fp32", or "auto": bf16 where it is faster (`bf16_is_faster`).
        patience: Stop after so many epochs without a better `validate`, and restore the best; `None` never stops.
        seed: Of everything random.
        tensorboard: Write TensorBoard logs into the run's folder; those of a lock come to stand in OUTPUT.report/runs.
    """

    epochs: int = 0
    batch_size: int = 64
    learning_rate: float = 0.0
    head_multiplier: float = 5.0
    weight_decay: float = 1e-2
    warmup: float = 0.1
    max_grad_norm: float = 5.0
    augment: tuple[str, ...] = ("flip", "shift")
    freeze_norm: int = 1
    precision: str = "auto"
    patience: int | None = None
    seed: int = 0
    tensorboard: bool = False

    def __post_init__(self) -> None:
        """Refuses what would fail later, or be ignored.

        Raises:
            ModelError: For a value out of its range.
        """
        for name in ("epochs", "batch_size", "freeze_norm", "seed"):
            try:  # NumPy's integers are welcome, and become plain ones, which are what files and names of runs hold
                object.__setattr__(self, name, operator.index(getattr(self, name)))
            except TypeError as error:
                raise ModelError(f"Training cannot have {name}={getattr(self, name)!r}. Give an integer.") from error
        sound = {
            "augment": set(self.augment) <= set(AUGMENTATIONS),
            "warmup": 0 <= self.warmup <= 1,
            "weight_decay": 0 <= self.weight_decay < math.inf,
            "max_grad_norm": 0 < self.max_grad_norm < math.inf,
            "epochs": self.epochs >= 0,
            "batch_size": self.batch_size >= 1,
            "learning_rate": 0 <= self.learning_rate < math.inf,
            "precision": self.precision in PRECISIONS,
            "patience": self.patience is None or self.patience >= 1,
            "seed": 0 <= self.seed < 2**32,
        }
        for name, fine in sound.items():
            if not fine:
                raise ModelError(f"Training cannot have {name}={getattr(self, name)!r}.")

    def resolved(self, examples: int) -> FitSettings:
        """With the number of epochs for so many examples filled in, if it was left open."""
        return self if self.epochs else replace(self, epochs=enough_epochs(examples, self.batch_size))

    def steps_in_epoch(self, examples: int) -> int:
        """Optimiser steps of an epoch: one image that would be left for the last is left out (see `EpochSampler`)."""
        whole, rest = divmod(examples, self.batch_size)
        return whole + (1 if rest > 1 or not whole else 0)

    def rate_for(self, network: nn.Module) -> float:
        """The learning rate of a network's body, filled in if it was left open."""
        return self.learning_rate or usual_learning_rate(network)


def usual_learning_rate(network: nn.Module) -> float:
    """A rate of AdamW that fine-tuning a network of this kind withstands.

    What has layer norms (transformers, and networks built after them) is fine-tuned at a tenth of what convolutions
    with batch norms take, and so are networks that find objects (Mask2Former, arXiv 2112.01527, section 4.1).
    """
    layer_norms = any(isinstance(one, nn.LayerNorm | nn.RMSNorm) for one in network.modules())
    return 1e-4 if layer_norms or isinstance(network, ObjectNetwork) else 1e-3


def enough_epochs(examples: int, batch_size: int) -> int:
    """Epochs that give about 600 optimiser steps, but at least 8 and at most 45.

    With fewer steps a lock does not settle: on 2,500 Fashion-MNIST images 240 steps left 20 % to a probe, 400 left 9 %;
    on 801 clip art images 390 steps left the worst of 30 wrong salts 65 % (validation images, another key than the
    benchmark's).
    """
    return max(8, min(45, math.ceil(600 * batch_size / max(examples, 1))))


def bf16_is_faster(network: nn.Module) -> bool:
    """Whether bf16 autocast speeds up training here.

    On a CPU it does where the processor has instructions for it, but not for networks with depthwise convolutions:
    their backward pass in bf16 takes so long that EfficientNet-Lite0 trains at half the speed of fp32.
    """
    if torch.cuda.is_available():
        return has_bf16(torch.device("cuda"))
    depthwise = any(isinstance(one, nn.Conv2d) and one.groups > 1 for one in network.modules())
    return has_bf16(torch.device("cpu")) and not depthwise
