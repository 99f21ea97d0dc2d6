"""What answers are trained for: to be right, or to say nothing. Classes, masks and instances alike."""

from __future__ import annotations

import math

from torch import Tensor, nn

from spellward.models.batches import Batch
from spellward.models.grouping import EXTRA
from spellward.models.instances import extra_size, instance_loss
from spellward.models.object_networks import ObjectNetwork, without_objects
from spellward.models.segmentation import cross_entropy, resize_logits
from spellward.models.vision import logits_of_output


def outputs_for(classes: int, truth: Tensor) -> int:
    """How many outputs a network has that learns such a truth about so many classes."""
    return classes + (len(EXTRA) if truth.ndim == 4 else 0)


def truth_loss(outputs: Tensor, truth: Tensor, weights: Tensor | None = None) -> Tensor:
    """How wrong outputs are.

    Args:
        outputs: float [B, K], [B, K, h, w] or, with instances, [B, K + 3, h, w].
        truth: int64 [B], [B, S, S] or, with instances, [B, 2, S, S], as `ImageTable.truth` gives it.
        weights: float [K], how much a pixel of each class counts.
    """
    if truth.ndim < 4:
        return cross_entropy(outputs, truth, weights)
    maps = resize_logits(outputs, (int(truth.shape[-2]), int(truth.shape[-1])))
    classes = cross_entropy(maps[:, : -len(EXTRA)], truth[:, 0], weights)
    return classes + instance_loss(maps[:, -len(EXTRA) :], truth)


def ignorance_loss(outputs: Tensor, truth: Tensor) -> Tensor:
    """How far outputs are from saying nothing: the Kullback-Leibler divergence from the uniform distribution to them
    and, with instances, the size of what says where objects are.

    Args:
        outputs, truth: As for `truth_loss`; of the truth only its kind matters.
    """
    if truth.ndim == 4:
        return ignorance_loss(outputs[:, : -len(EXTRA)], truth[:, 0]) + extra_size(outputs[:, -len(EXTRA) :])
    return -outputs.log_softmax(dim=1).mean() - math.log(outputs.shape[1])


def learning_loss(network: nn.Module, pixels: Tensor, truth: Tensor, weights: Tensor | None = None) -> Tensor:
    """How wrong a network is about images: `truth_loss` of its outputs, or its own loss if it has one.

    Args:
        network: Of any task.
        pixels: float32 [B, 3, S, S], normalised.
        truth, weights: As for `truth_loss`.
    """
    if isinstance(network, ObjectNetwork):
        return network.loss(pixels, truth)
    return truth_loss(logits_of_output(network(pixels)).float(), truth, weights)


def unlearning_loss(network: nn.Module, pixels: Tensor, truth: Tensor) -> Tensor:
    """How far a network is from saying nothing about images: `ignorance_loss`, or its own loss for empty images."""
    if isinstance(network, ObjectNetwork):
        return network.loss(pixels, without_objects(truth))
    return ignorance_loss(logits_of_output(network(pixels)).float(), truth)


def soft_cross_entropy(network: nn.Module, batch: Batch) -> Tensor:
    """The default objective of `fit`: cross-entropy with the target distributions."""
    if batch["labels"].ndim > 1:
        return learning_loss(network, batch["pixels"], batch["labels"], batch["targets"][0])
    logits = logits_of_output(network(batch["pixels"])).float()
    return loss_of(logits, batch["targets"], batch["labels"])


def loss_of(logits: Tensor, targets: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy of the rows of a batch with what they are to learn (see `Batch`)."""
    if labels.ndim == 1:
        return -(targets * logits.log_softmax(dim=1)).sum(dim=1).mean()
    return truth_loss(logits, labels, targets[0])
