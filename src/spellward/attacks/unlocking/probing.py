"""Reading the class off a locked model without changing it: from its outputs, and from its features at any depth."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import partial

import numpy as np
from torch import Tensor

from spellward.attacks.unlocking.search import Candidate, search
from spellward.attacks.unlocking.thief import Loot, Predictor, Thief
from spellward.data import ImageTable
from spellward.errors import ModelError
from spellward.models import VisionModel
from spellward.models.layers import layers_at, rows_of, watched

_DEPTHS = (1.0, 0.75, 0.5, 0.9)
_NEVER = -100.0

Reader = Callable[[np.ndarray], np.ndarray]
"""Inputs float [N, D] to log-probabilities of the classes float [N, K]."""


def fit_probe(inputs: np.ndarray, labels: np.ndarray, classes: int, seed: int = 0) -> Reader:
    """Fits a linear probe; log-probabilities below -100 are given as that.

    Inputs are standardised, so that outputs that are nearly, but not quite, uniform hide nothing; the strength of the
    penalty is chosen by cross-validation; a class with a single image is learnt in all folds but one.

    Args:
        inputs: float [n, D].
        labels: int64 [n].
        classes: K.
        seed: For the folds.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GridSearchCV, StratifiedKFold
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    present, counts = np.unique(labels, return_counts=True)
    if len(present) < 2:
        return lambda rows: np.tile(np.where(np.arange(classes) == present[0], 0.0, _NEVER), (len(rows), 1))
    probe = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000))
    folds = min(5, int(counts.min() if counts.min() > 1 else counts.max()))
    if folds >= 2:
        splitter = StratifiedKFold(folds, shuffle=True, random_state=seed)
        probe = GridSearchCV(probe, {"logisticregression__C": [0.01, 0.1, 1.0, 10.0, 100.0]}, cv=splitter)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The least populated class", UserWarning)
        probe.fit(inputs.astype(np.float64), labels)

    def read(rows: np.ndarray) -> np.ndarray:
        scores = np.full((len(rows), classes), _NEVER)
        # Far from what the probe was fitted to, probabilities round to 0.
        scores[:, present] = np.log(probe.predict_proba(rows.astype(np.float64)).clip(min=np.exp(_NEVER)))
        return scores

    return read


def remap(model: VisionModel, thief: Thief) -> Loot:
    """Fits a probe from the model's outputs on clean images to their labels."""
    return search(thief, [_probe(thief, model.logits, "outputs")])


def linear_probe(model: VisionModel, thief: Thief) -> Loot:
    """Fits a probe on what enters the head, or on features further down."""
    views = {f"features at {depth:.0%}": partial(features, model, depth) for depth in thief.effort.some(_DEPTHS)}
    return search(thief, [_probe(thief, view, name) for name, view in views.items()])


def features(model: VisionModel, depth: float, images: Tensor) -> np.ndarray:
    """What a layer sees of images.

    Args:
        model: The model; it stays as it is.
        depth: 1.0 for what enters the head; less for what enters the layer at that share of the network's layers
            (`layers_at`). Either is pooled as `rows_of` does.
        images: uint8 [N, 3, S, S].

    Returns:
        float32 [N, D].

    Raises:
        ModelError: If the head does not see one row for each image, or, less deep, no layer does.
    """
    name = model.head if depth >= 1 else layers_at(model.network, [depth], model.input_size)[0]
    layer = model.network.get_submodule(name)
    with watched([layer], lambda values: rows_of(values.detach().float()).cpu()) as seen:
        model.logits(images)
    if sum(len(part) for part in seen) != len(images):
        raise ModelError(f"The layer {name} does not see one row for each image, so what it sees cannot be read.")
    return np.concatenate([part.numpy() for part in seen])


def _probe(thief: Thief, view: Callable[[Tensor], np.ndarray], name: str) -> Candidate:
    def learn(images: ImageTable) -> Predictor:
        classes = len(thief.base.classes)
        read = fit_probe(view(images.images[:]), images.labels, classes, thief.seed)
        return lambda pixels: read(view(pixels))

    return Candidate(name, learn)
