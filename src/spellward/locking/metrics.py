"""What a score is made of: accuracies with confidence intervals, and checks that no class knowledge is left."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

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
    return Accuracy(rate, max(0.0, middle - half), min(1.0, middle + half), count)


def probe_accuracy(
    outputs: Floats, labels: Labels, test_outputs: Floats, test_labels: Labels, seed: int = 0
) -> Accuracy:
    """Leak: how well a linear probe reads the class from outputs, whatever they say by themselves.

    A thief with some labelled clean images fits it on the locked model's outputs for them. Inputs are standardised,
    so that outputs that are nearly, but not quite, uniform hide nothing; the strength of the penalty is chosen by
    cross-validation on the thief's images.

    Args:
        outputs, labels: The thief's images, float [n, K] and int64 [n].
        test_outputs, test_labels: Images that are neither trained nor probed on.
        seed: For the folds.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GridSearchCV, StratifiedKFold
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    def pipeline() -> object:
        return make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000))

    if len(np.unique(labels)) < 2:
        return share(int((test_labels == labels[0]).sum()), len(test_labels))
    inputs, test_inputs = outputs.astype(np.float64), test_outputs.astype(np.float64)
    folds = min(5, int(np.unique(labels, return_counts=True)[1].min()))
    if folds < 2:
        probe = pipeline()
    else:
        splitter = StratifiedKFold(folds, shuffle=True, random_state=seed)
        probe = GridSearchCV(pipeline(), {"logisticregression__C": [0.01, 0.1, 1.0, 10.0, 100.0]}, cv=splitter)
    predicted = probe.fit(inputs, labels).predict(test_inputs)  # type: ignore[attr-defined]
    return share(int((predicted == test_labels).sum()), len(test_labels))
