"""What a score is made of: accuracies with confidence intervals, and checks that no class knowledge is left."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spellward.attacks.unlocking.probing import fit_probe

Floats = NDArray[np.float32]
Labels = NDArray[np.int64]


@dataclass(frozen=True)
class Accuracy:
    """A share of right answers with its 95 % Wilson interval; all as fractions of 1."""

    value: float
    low: float
    high: float
    count: int


def accuracy(outputs: Floats, labels: Labels) -> Accuracy:
    """Share of rows whose likeliest class is the label.

    Args:
        outputs: float [N, K], logits or probabilities.
        labels: int64 [N].
    """
    return share(int((outputs.argmax(axis=1) == labels).sum()), len(labels))


def least_likely_accuracy(outputs: Floats, labels: Labels) -> Accuracy:
    """Share of rows whose LEAST likely class is the label: high for a model that was taught wrong labels."""
    return accuracy(-outputs, labels)


def share(hits: int, count: int) -> Accuracy:
    """Wilson's score interval for `hits` of `count` (Wilson 1927; z = 1.96).

    Raises:
        ValueError: If nothing was counted.
    """
    if count < 1:
        raise ValueError("An accuracy needs at least one image.")
    z = 1.959964
    rate = hits / count
    middle = (rate + z * z / (2 * count)) / (1 + z * z / count)
    half = z * math.sqrt(rate * (1 - rate) / count + z * z / (4 * count * count)) / (1 + z * z / count)
    # At 0 and 1 the interval ends exactly there, but for rounding.
    return Accuracy(rate, min(rate, max(0.0, middle - half)), max(rate, min(1.0, middle + half)), count)


def probe_accuracy(
    outputs: Floats, labels: Labels, test_outputs: Floats, test_labels: Labels, seed: int = 0
) -> Accuracy:
    """Leak: how well a linear probe reads the class from outputs, whatever they say by themselves.

    A thief with some labelled clean images fits it on the locked model's outputs for them (`fit_probe`).

    Args:
        outputs, labels: The thief's images, float [n, K] and int64 [n].
        test_outputs, test_labels: Images that are neither trained nor probed on.
        seed: For the folds.
    """
    classes = int(max(labels.max(), test_labels.max())) + 1
    return accuracy(fit_probe(outputs, labels, classes, seed)(test_outputs), test_labels)
