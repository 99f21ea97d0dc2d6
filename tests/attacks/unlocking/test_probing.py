"""Probes: what they read of outputs and features, of every family of networks."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch
from tests.attacks.unlocking.conftest import coloured
from tests.models.families import FAMILIES, model_of

from spellward.attacks.unlocking.probing import features, fit_probe, linear_probe
from spellward.attacks.unlocking.thief import Thief
from spellward.errors import ModelError
from spellward.models import VisionModel, load_model


def test_a_probe_reads_a_permuted_and_shrunk_output() -> None:
    rng = np.random.default_rng(0)
    labels = np.arange(60) % 3
    outputs = 1e-4 * (np.eye(3)[(labels + 1) % 3] + 0.1 * rng.normal(size=(60, 3))) + 5.0
    scores = fit_probe(outputs[:30], labels[:30], 3)(outputs[30:])
    assert (scores.argmax(axis=1) == labels[30:]).all()


def test_one_image_of_a_rare_class_does_not_hide_what_the_others_tell() -> None:
    rng = np.random.default_rng(0)
    labels = np.append(np.arange(300) % 10, 10)
    outputs = 0.05 * np.eye(11)[labels] + 0.01 * rng.normal(size=(301, 11))
    asked = np.arange(100) % 10
    read = fit_probe(outputs, labels, 11)
    scores = read(0.05 * np.eye(11)[asked] + 0.01 * rng.normal(size=(100, 11)))
    assert (scores.argmax(axis=1) == asked).mean() > 0.9


def test_a_probe_fitted_without_some_classes_never_answers_them() -> None:
    inputs, labels = np.eye(4), np.array([1, 3, 1, 3])
    assert set(fit_probe(inputs, labels, 5)(inputs).argmax(axis=1)) <= {1, 3}
    assert (fit_probe(inputs, np.full(4, 2), 5)(inputs).argmax(axis=1) == 2).all()


def test_probe_stays_finite_and_silent_far_from_what_it_has_seen() -> None:
    inputs = np.random.default_rng(0).normal(size=(20, 2)) + 5 * np.repeat([[0, 1], [1, 0]], 10, axis=0)
    read = fit_probe(inputs, np.repeat([0, 1], 10), 3)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        scores = read(inputs * 1e4)
    assert np.isfinite(scores).all() and scores.min() == -100


@pytest.mark.parametrize("depth", [1.0, 0.75, 0.5])
def test_features_have_a_row_for_each_image(trained: VisionModel, depth: float) -> None:
    images = coloured(5, 0).images[:]
    found = features(trained, depth, images)
    assert found.shape[0] == 5 and found.dtype == np.float32
    np.testing.assert_allclose(found[2:3], features(trained, depth, images[2:3]), atol=1e-4)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_probe_reads_every_family(family: str) -> None:
    model, learnt, asked = model_of(family), coloured(24, 2), coloured(24, 3)
    for depth in (1.0, 0.75, 0.5):
        inputs, others = (features(model, depth, images.images[:]) for images in (learnt, asked))
        assert len(inputs) == len(learnt) and np.isfinite(inputs).all()
    scores = fit_probe(inputs, learnt.labels, 3)(others)
    assert (scores.argmax(axis=1) == asked.labels).mean() > 0.8


def test_a_thief_probes_where_attention_calls_no_layer(thief: Thief) -> None:
    loot = linear_probe(model_of("vit"), replace(thief, effort=replace(thief.effort, grid=0.5)))
    assert loot.predict(coloured(5, 3).images[:]).shape == (5, 3)


def test_what_does_not_see_one_row_for_each_image_is_not_read() -> None:
    class Pieces(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.head = torch.nn.Linear(3 * 16, 3)

        def forward(self, pixels: torch.Tensor) -> torch.Tensor:
            return self.head(pixels.reshape(4 * len(pixels), 3, -1)[..., :16].flatten(1)).unflatten(0, (-1, 4)).mean(1)

    model = load_model(Pieces(), ("red", "green", "blue"), 32)
    for depth in (1.0, 0.5):
        with pytest.raises(ModelError, match="cannot be read"):
            features(model, depth, coloured(6, 0).images[:])
