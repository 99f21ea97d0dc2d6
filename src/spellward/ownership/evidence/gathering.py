"""What a claim will rest on: trains references and peers, and gathers probes, answers and weights of all models."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from scipy.stats import binomtest
from torch import Tensor

from spellward.data import ImageTable
from spellward.data.progress import Report
from spellward.errors import DataError, ModelError
from spellward.models import FitSettings, VisionModel
from spellward.models.specs import public_name
from spellward.ownership.evidence.probes import FEWEST, MIXTURES_PER_PROBE, candidates, choose, reserved_rows
from spellward.ownership.evidence.references import BASES, reference_size, train_peers, train_references
from spellward.ownership.evidence.shadows import benign_shadow, by_loss, poisoned_shadow
from spellward.ownership.suspects import Unlocked
from spellward.ownership.weights.descent import comparable
from spellward.ownership.weights.sample import LEAST_REFERENCES, WeightSample, origin_of, starts_from

# References that learn from fewer images are notably worse than the victim, and than others who have more. Then good
# models share opinions even about mixtures (benchmarks/small_worlds.py), and peers have to show how much. In the zoo,
# where no innocent is accused for that, references learn from 3,300.
_MANY = 2000
# So are references that were trained badly, however many images they had. Models like them in the zoo get 0.80 of
# images that they have not learnt, so they have gone 0.78 of the way from naming the commonest class to a victim that
# knows all of these.
_AS_GOOD = 0.7
# Level at which a victim is told from one that guesses.
_GUESSING = 0.01


@dataclass(frozen=True)
class ClaimSettings:
    """How to make a claim.

    Attributes:
        references: Reference models; three at least let the null be seen, twelve give it more power.
        peers: Independent models of all private images, trained where references are few images', the victim is locked
            or private images are asked about as they are: see `references.train_peers`. Two at least, or none.
        probes: Images to ask a suspect about.
        private_images: Whether private images may be sent to a suspect as they are, beside mixtures of two. On
            Fashion-MNIST this gave no more power (benchmarks/zoo.py, half `tune`).
        bases: Public bases that references take turns with. What the victim was fine-tuned from must be among them:
            with another or an earlier public model in its place, others that went on from the same one look stolen, by
            their answers and by their weights.
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
        given: Any = self.bases
        if isinstance(given, str):  # ("name") is a name, and would be taken letter by letter
            raise DataError(f"The bases are several names; got {given!r}. Give ({given!r},) with its comma.")
        if self.references < 1 or self.probes < FEWEST or not 0 < self.alpha < 0.5 or not self.bases:
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
        base: Where the victim started, as others may know it.
        victim_accuracy, references_accuracy: On the images that no reference has learnt; the references' mean.
    """

    probes: Tensor
    outputs: list[np.ndarray]
    peers: list[np.ndarray]
    poisoned: np.ndarray | None
    weights: WeightSample | None
    opinions_count: bool
    locked: bool
    base: str
    victim_accuracy: float
    references_accuracy: float


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

    Raises:
        ModelError: If the victim started from none of the bases: whoever goes on from the same one shares with it what
            no reference has, and would look like a thief. Or if it does not do its task, as when it is asked with
            other pixels than it was trained with.
    """
    origin = origin_of(victim, settings.bases, settings.seed)
    if origin is None:
        raise ModelError(
            f"The model started from none of the bases ({', '.join(map(public_name, dict.fromkeys(settings.bases)))}), "
            "so innocent models that go on from its own would look stolen. Name the public model that it was "
            "fine-tuned from with --base (in Python `ClaimSettings(bases=...)`), or, if it was trained from nothing, "
            "its architecture with random weights (timm/NAME?random, or FOLDER?random for that of any checkpoint)."
        )
    reserved = reserved_rows(private, settings.probes, settings.seed)
    rest = private.subset(np.setdiff1d(np.arange(len(private)), reserved))
    mixtures = MIXTURES_PER_PROBE * settings.probes
    held_out = private.subset(reserved)
    pool = candidates(held_out, mixtures, settings.private_images, settings.seed)
    fit = replace(settings.fit, seed=settings.seed)
    asked = held_out.images[:]
    edited = [one if unlocked is None else unlocked.edited(one) for one in (pool.images, asked)]
    outputs, known = [victim.logits(edited[0])], [_right(victim.logits(edited[1]), held_out)]
    commonest = float(np.bincount(held_out.labels).max()) / len(held_out)
    _check_victim(known[0], commonest, len(held_out), victim.input_size)
    weights = origin.weights
    poisoned = None
    if settings.shadows:
        order = by_loss(victim, private)
        poisoned = poisoned_shadow(victim, private, order, fit, report).logits(pool.images)
    for model in _references(victim, rest, settings, fit, report):
        outputs.append(model.logits(pool.images))
        known.append(_right(model.logits(asked), held_out))
        taken = None if weights is None else weights.take(model)
        if weights is not None and taken is not None and starts_from(taken, weights.base):
            weights = replace(weights, references=(*weights.references, taken))
    if weights is not None and (len(weights.references) < LEAST_REFERENCES or not comparable(weights)):
        weights = None
    victim_accuracy, references_accuracy = known[0], float(np.mean(known[1:]))
    good = references_accuracy - commonest >= _AS_GOOD * (victim_accuracy - commonest)
    many = reference_size(len(rest)) >= _MANY
    # References do not learn as a locked victim has, from edited images and for longer, so they are not its equals:
    # innocent models of an architecture that none of them has came to p 0.012 (benchmarks/TUNING.md).
    opinions_count = unlocked is None and not settings.private_images and good and many
    wanted = 0 if opinions_count else settings.peers
    equals = train_peers(private, wanted, origin.base, victim.input_size, fit, report)
    peers = [model.logits(pool.images) for model in equals]
    own, *others = [one.astype(np.float64) for one in outputs]
    sources = None if settings.private_images else pool.sources
    rows = choose(own, others, settings.probes, settings.seed, sources)
    return Evidence(
        probes=pool.images[torch.from_numpy(rows)],
        outputs=[one[rows] for one in outputs],
        peers=[one[rows] for one in peers],
        poisoned=None if poisoned is None else poisoned[rows],
        weights=weights,
        opinions_count=opinions_count,
        locked=unlocked is not None,
        base=public_name(origin.base),
        victim_accuracy=victim_accuracy,
        references_accuracy=references_accuracy,
    )


def _check_victim(accuracy: float, commonest: float, count: int, size: int) -> None:
    """Refuses a victim that guesses: nothing could be proven of it."""
    right = round(accuracy * count)
    if binomtest(right, count, commonest, alternative="greater").pvalue > _GUESSING:
        raise ModelError(
            f"The model is right about {right} of {count} private images, which guessing gives, too. Name the images "
            f"that it was trained on, and see that it is asked as it was trained: it says itself that it takes {size} "
            "pixels (preprocessor_config.json of a checkpoint names size, mean and standard deviation)."
        )


def _right(outputs: np.ndarray, images: ImageTable) -> float:
    """Share of images that are told right."""
    return float((outputs.argmax(axis=1) == images.labels).mean())


def _references(
    victim: VisionModel, rest: ImageTable, settings: ClaimSettings, fit: FitSettings, report: Report | None
) -> Iterator[VisionModel]:
    """One after the other; with the shadows of Holmes, the benign one is the first."""
    size, wanted = victim.input_size, settings.references
    if settings.shadows:
        wanted -= 1
        yield benign_shadow(settings.bases, rest, by_loss(victim, rest), size, fit, report)
    yield from train_references(rest, wanted, settings.bases, size, fit, report)
