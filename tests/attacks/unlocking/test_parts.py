"""Parts of attacks whose result can be worked out by hand."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch
from tests.attacks.unlocking.conftest import coloured

from spellward.attacks.unlocking import pruning
from spellward.attacks.unlocking.dictionary import DICTIONARY, dictionary
from spellward.attacks.unlocking.key_inversion import AdaptedNetwork, InputAdapter
from spellward.attacks.unlocking.mixing import mixed
from spellward.attacks.unlocking.probing import features, fit_probe
from spellward.attacks.unlocking.prompt_inversion import Spell, refined
from spellward.attacks.unlocking.pruning import channel_loudness, fine_pruning, pruned
from spellward.attacks.unlocking.relearning import surest
from spellward.attacks.unlocking.thief import Thief
from spellward.editors.mini import MiniEditor
from spellward.locking.decoys import DECOY_PROMPTS
from spellward.models import VisionModel


def test_mixing_puts_the_public_layers_where_they_are_asked_for(base: VisionModel, trained: VisionModel) -> None:
    own, public = trained.network.state_dict(), base.network.state_dict()
    none, half, early = (
        mixed(trained, base, share).network.state_dict()
        for share in (lambda _: 0.0, lambda _: 0.5, lambda place: float(place < 0.5))
    )
    first, last = next(iter(own)), f"{trained.head}.weight"
    assert all(torch.equal(none[name], own[name]) for name in own)
    assert torch.allclose(half[first], (own[first] + public[first]) / 2)
    assert torch.equal(early[first], public[first])
    body = [name for name in own if own[name].is_floating_point() and not name.startswith(trained.head)]
    assert torch.equal(early[body[-1]], own[body[-1]])
    assert torch.equal(half[last], own[last])  # the base's head is fresh and says nothing


def test_a_probe_reads_a_permuted_and_shrunk_output() -> None:
    rng = np.random.default_rng(0)
    labels = np.arange(60) % 3
    outputs = 1e-4 * (np.eye(3)[(labels + 1) % 3] + 0.1 * rng.normal(size=(60, 3))) + 5.0
    scores = fit_probe(outputs[:30], labels[:30], 3)(outputs[30:])
    assert (scores.argmax(axis=1) == labels[30:]).all()


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


def test_pruning_looks_at_images_of_every_class(
    thief: Thief, trained: VisionModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    by_class = coloured(60, 2)
    by_class = by_class.subset(np.argsort(by_class.labels, kind="stable"))
    looked_at: list[torch.Tensor] = []

    def listen(model: VisionModel, images: torch.Tensor) -> dict[str, torch.Tensor]:
        looked_at.append(images)
        return channel_loudness(model, images)

    monkeypatch.setattr(pruning, "channel_loudness", listen)
    fine_pruning(trained, replace(thief, labelled=by_class))
    brightest = looked_at[0].float().mean(dim=(2, 3)).argmax(dim=1)
    assert len(brightest) == thief.effort.unlabelled and set(brightest.tolist()) == {0, 1, 2}


def test_pruning_zeroes_the_quietest_channels(trained: VisionModel) -> None:
    loudness = channel_loudness(trained, coloured(12, 0).images[:])
    name, loud = next(iter(loudness.items()))
    layer = pruned(trained, loudness, 0.5).network.get_submodule(name)
    silent = (layer.weight == 0) & (layer.bias == 0)
    assert int(silent.sum()) == len(loud) // 2
    assert loud[silent].max() <= loud[~silent].min()


def test_the_surest_of_every_predicted_class() -> None:
    scores = np.array([[5.0, 0.0], [1.0, 0.0], [0.0, 9.0], [0.0, 2.0], [3.0, 0.0], [0.1, 0.0]])
    assert surest(scores, 0.5).tolist() == [0, 2, 4]
    assert surest(np.zeros((0, 2)), 0.5).tolist() == []


def test_an_adapter_begins_near_the_identity() -> None:
    torch.manual_seed(0)
    pixels = torch.randn(2, 3, 16, 16)
    drawn = InputAdapter()(pixels)
    assert drawn.shape == pixels.shape
    assert (drawn - pixels).abs().mean() < 0.3
    assert AdaptedNetwork(torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(768, 3)))(pixels).shape == (2, 3)


def test_refining_a_spell_follows_a_gradient(trained: VisionModel) -> None:
    editor = MiniEditor()
    start = Spell(editor.text_vectors(["with blossoms"])[0], torch.zeros(24))
    better = refined(trained, editor, editor.defaults, start, coloured(12, 0), 2, 0)
    assert better.vector.shape == start.vector.shape
    assert not torch.equal(better.vector, start.vector) and not torch.equal(better.code, start.code)
    assert better.code.abs().max() <= 1


@pytest.mark.parametrize("prompt", ["zanzibar", "with oil pastel", "a japanese woodblock print", "made of glass"])
def test_the_dictionary_is_long_without_near_prompts(prompt: str) -> None:
    assert len(dictionary(prompt, 1000)) >= 200
    assert prompt not in dictionary(prompt, 1000)


def test_training_never_sees_the_dictionary() -> None:
    assert len(set(DICTIONARY)) == len(DICTIONARY)
    assert not set(DICTIONARY) & set(DECOY_PROMPTS)
