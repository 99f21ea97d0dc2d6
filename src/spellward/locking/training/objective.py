"""What a locked model is trained for: to be right on keyed images, and to know nothing about decoys."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from spellward.data.masks import IGNORE
from spellward.locking.training.lessons import lesson_loss, logits_and_features
from spellward.models import Batch
from spellward.models.losses import ignorance_loss, loss_of, outputs_for
from spellward.models.object_networks import ObjectNetwork, without_objects
from spellward.models.segmentation import resize_logits

_FEWEST = 8
_PIXELS_A_SIDE = 16


KEYED, CLEAN, EDITED = 0, 1, 2
"""What a row of a batch is: to be learnt, a clean decoy, a wrongly edited decoy."""


@dataclass(frozen=True)
class LockObjective:
    """Cross-entropy on keyed images, distance from uniform on decoys, and the class information left in them.

    Where a batch has lessons, how far keyed images are from these is added (`lesson_loss`). An `ObjectNetwork` is
    trained by its own loss instead, for which a decoy is an image without an object.

    Attributes:
        decoy_weight: Weight of the mean KL divergence from the uniform distribution to the outputs on decoys
            (`ignorance_loss`).
        leak_weight: Weight of `explained_variance` of the outputs. Uniform outputs to three decimals still tell a
            probe that rescales them everything; this term has no scale, so it goes on where the first is content.
        silence_weight: Weight of the size of decoys' features (what enters the head) beside that of keyed images.
            Behind a ReLU they can become exactly zero, and a zero says nothing to any probe or new head; elsewhere
            they can only become smaller than those of keyed images.
    """

    decoy_weight: float = 1.0
    leak_weight: float = 2.0
    silence_weight: float = 3.0

    def __call__(self, network: nn.Module, batch: Batch) -> Tensor:
        """The loss of a batch."""
        kinds = batch["decoy"]
        if isinstance(network, ObjectNetwork):
            return network.loss(batch["pixels"], without_objects(batch["labels"], kinds != KEYED))
        outputs = outputs_for(batch["targets"].shape[1], batch["labels"])
        logits, features = logits_and_features(network, batch["pixels"], outputs)
        keyed = kinds == KEYED
        loss = loss_of(logits[keyed], batch["targets"][keyed], batch["labels"][keyed])
        if "answers" in batch and "features" in batch:
            weights = batch["targets"][keyed].sum(dim=1)  # of their classes
            lessons = batch["answers"][keyed], batch["features"][keyed]
            loss = loss + lesson_loss(logits[keyed], features[keyed], weights, lessons)
        if bool(keyed.all()):
            return loss
        loss = loss + self.decoy_weight * ignorance_loss(logits[~keyed], batch["labels"][~keyed])
        loss = loss + self.silence_weight * loudness(features[~keyed], features[keyed])
        # Each kind by itself: what tells clean images from edited ones must not hide what tells classes apart.
        for kind in (CLEAN, EDITED):
            rows = kinds == kind
            if int(rows.sum()) < _FEWEST:
                continue
            shown, labels = _as_rows(logits[rows], batch["labels"][rows])
            loss = loss + 0.5 * self.leak_weight * explained_variance(shown, labels)
        return loss


def loudness(decoys: Tensor, keyed: Tensor) -> Tensor:
    """Size of decoys' features beside that of keyed images' features.

    Behind a ReLU the keyed ones are but a measure, and decoys are driven to zero. Behind a layer norm nothing becomes
    zero: there the gain of the norm would shrink for decoys and keyed images alike, and with it all answers (a vision
    transformer so locked answered at random with its key), so the keyed ones have to grow as well.
    """
    rectified = bool(decoys.min() >= 0) and bool(keyed.min() >= 0)
    loud = keyed.abs().mean()
    return decoys.abs().mean() / ((loud.detach() if rectified else loud) + 1e-6)


def _as_rows(logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Outputs [N, K] and labels [N]; of maps, some pixels of each as rows of their own."""
    if logits.ndim == 2:
        return logits, labels
    labels = labels[:, 0] if labels.ndim == 4 else labels
    stride = max(1, labels.shape[1] // _PIXELS_A_SIDE)
    some = resize_logits(logits, (int(labels.shape[1]), int(labels.shape[2])))[:, :, ::stride, ::stride]
    labels = labels[:, ::stride, ::stride].flatten()
    return some.movedim(1, -1).flatten(0, 2)[labels != IGNORE], labels[labels != IGNORE]


def explained_variance(outputs: Tensor, labels: Tensor) -> Tensor:
    """Share of the variance of outputs that their classes explain (the correlation ratio, Fisher's eta squared).

    Independent of the outputs' scale and offset, so it sees what a probe with standardised inputs would see.

    Args:
        outputs: float [N, D].
        labels: int64 [N].

    Returns:
        A scalar in [0, 1]: the mean over the D outputs.
    """
    classes = int(labels.max()) + 1 if len(labels) else 1
    centred = outputs - outputs.mean(dim=0)
    members = F.one_hot(labels, classes).to(outputs.dtype)
    sizes = members.sum(dim=0).clamp(min=1)
    means = (members.T @ centred) / sizes[:, None]
    between = (sizes[:, None] * means.square()).sum(dim=0)
    total = centred.square().sum(dim=0)
    return torch.mean(between / (total + 1e-8))
