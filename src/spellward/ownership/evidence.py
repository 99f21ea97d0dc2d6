"""What a claim will rest on: trains references and peers, and gathers probes, answers and weights of all models."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from spellward.data import ImageTable
from spellward.data.progress import Report
from spellward.errors import DataError
from spellward.models import FitSettings, VisionModel
from spellward.ownership.descent import comparable
from spellward.ownership.probes import MIXTURES_PER_PROBE, candidates, choose, reserved_rows
from spellward.ownership.references import BASES, train_peers, train_references
from spellward.ownership.shadows import benign_shadow, by_loss, poisoned_shadow
from spellward.ownership.suspects import Unlocked
from spellward.ownership.weights import LEAST_REFERENCES, WeightSample, sample_weights, starts_from

# References that learn from fewer images are notably worse than the victim, and than others who have more. Then good
# models share opinions even about mixtures (benchmarks/small_worlds.py), and peers have to show how much. In the zoo,
# where no innocent is accused for that, references learn from 4,400.
_MANY = 2000


@dataclass(frozen=True)
class ClaimSettings:
    """How to make a claim.

    Attributes:
        references: Reference models; three at least let the null be seen, twelve give it more power.
        peers: Independent models of all private images, trained where references are few images' or private images are
            asked about as they are: see `references.train_peers`. Two at least, or none.
        probes: Images to ask a suspect about.
        private_images: Whether private images may be sent to a suspect as they are, beside mixtures of two. On
            Fashion-MNIST this gave no more power (benchmarks/zoo.py, half `tune`).
        bases: Public bases that references take turns with. Weights are evidence only if what the victim was
            fine-tuned from is among them: with an earlier public model in its place, others that went on from the
            same one look stolen.
        shadows: Make the shadows of Holmes too: the poisoned one, and the benign one as the first reference.
        alpha: Rate of false accusations that is accepted.
        seed: Of everything that is drawn.
        fit: How references are trained.
    """

    references: int = 8
    peers: int = 4
    probes: int = 150
    private_images: bool = False
    bases: tuple[Any, ...] = BASES
    shadows: bool = False
    alpha: float = 0.01
    seed: int = 0
    fit: FitSettings = field(default_factory=FitSettings)

    def __post_init__(self) -> None:
        if self.peers < 0 or self.peers == 1:
            raise DataError("One peer does not tell how peers vary. Ask for two at least, or none.")
        if self.references < 1 or self.probes < 10 or not 0 < self.alpha < 0.5 or not self.bases:
            raise DataError(
                "A claim needs at least one reference and base, ten probes, and a rate of false accusations "
                "between 0 and 0.5."
            )


@dataclass(frozen=True, eq=False)
class Evidence:
    """What a claim will hold.

    Attributes:
        probes: uint8 [N, 3, S, S].
        outputs: float32 [N, K] of the victim and of every reference.
        peers: The same of every peer.
        poisoned: Of the poisoned shadow.
        weights: Of victim and references, where they are comparable.
        opinions_count: See `case`.
        locked: Whether the victim is a locked model.
    """

    probes: Tensor
    outputs: list[np.ndarray]
    peers: list[np.ndarray]
    poisoned: np.ndarray | None
    weights: WeightSample | None
    opinions_count: bool
    locked: bool


def gather(
    victim: VisionModel, private: ImageTable, settings: ClaimSettings, report: Report | None, unlocked: Unlocked | None
) -> Evidence:
    """Trains references and peers and records what they and the victim say and are.

    Args:
        victim: The owner's model.
        private: What it was trained on.
        settings: How.
        report: Told about progress.
        unlocked: The victim with its key, if it is locked; all others see clean images then, it edited ones.
    """
    reserved = reserved_rows(private, settings.probes, settings.seed)
    rest = private.subset(np.setdiff1d(np.arange(len(private)), reserved))
    mixtures = MIXTURES_PER_PROBE * settings.probes
    pool = candidates(private.subset(reserved), mixtures, settings.private_images, settings.seed)
    fit = FitSettings(**{**settings.fit.__dict__, "seed": settings.seed})
    outputs = [victim.logits(pool if unlocked is None else unlocked.edited(pool))]
    weights = sample_weights(victim, settings.bases, settings.seed)
    poisoned = None
    if settings.shadows:
        order = by_loss(victim, private)
        poisoned = poisoned_shadow(victim, private, order, fit, report).logits(pool)
    for model in _references(victim, rest, settings, fit, report):
        outputs.append(model.logits(pool))
        taken = None if weights is None else weights.take(model)
        if weights is not None and taken is not None and starts_from(taken, weights.base):
            weights = replace(weights, references=(*weights.references, taken))
    if weights is not None and (len(weights.references) < LEAST_REFERENCES or not comparable(weights)):
        weights = None
    opinions_count = not settings.private_images and len(rest) >= _MANY
    wanted = 0 if opinions_count else settings.peers
    peers = [
        model.logits(pool) for model in train_peers(private, wanted, settings.bases[0], victim.input_size, fit, report)
    ]
    own, *others = [one.astype(np.float64) for one in outputs]
    rows = choose(own, others, settings.probes, settings.seed)
    return Evidence(
        probes=pool[torch.from_numpy(rows)],
        outputs=[one[rows] for one in outputs],
        peers=[one[rows] for one in peers],
        poisoned=None if poisoned is None else poisoned[rows],
        weights=weights,
        opinions_count=opinions_count,
        locked=unlocked is not None,
    )


def _references(
    victim: VisionModel, rest: ImageTable, settings: ClaimSettings, fit: FitSettings, report: Report | None
) -> Iterator[VisionModel]:
    """One after the other; with the shadows of Holmes, the benign one is the first."""
    size, wanted = victim.input_size, settings.references
    if settings.shadows:
        wanted -= 1
        yield benign_shadow(settings.bases, rest, by_loss(victim, rest), size, fit, report)
    yield from train_references(rest, wanted, settings.bases, size, fit, report)
