"""Parts of attacks whose result can be worked out by hand."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch
from tests.attacks.unlocking.conftest import coloured
from tests.models.families import FAMILIES, model_of

from spellward.attacks.unlocking import pruning
from spellward.attacks.unlocking.dictionary import DICTIONARY, dictionary
from spellward.attacks.unlocking.key_inversion import AdaptedNetwork, InputAdapter, _adapted
from spellward.attacks.unlocking.mixing import mixed
from spellward.attacks.unlocking.probing import features, fit_probe, linear_probe
from spellward.attacks.unlocking.prompt_inversion import Spell, refined
from spellward.attacks.unlocking.pruning import channel_loudness, fine_pruning, pruned
from spellward.attacks.unlocking.relearning import surest
from spellward.attacks.unlocking.thief import Thief
from spellward.editors.mini import MiniEditor
from spellward.errors import ModelError
from spellward.locking.decoys import DECOY_PROMPTS
from spellward.models import VisionModel, load_model


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


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_has_channels_to_prune(family: str) -> None:
    model = model_of(family)
    images = coloured(12, 0).images[:]
    loudness = channel_loudness(model, images)
    assert loudness and model.head not in loudness
    fewer = pruned(model, loudness, 0.5)
    for name, loud in loudness.items():
        layer = fewer.network.get_submodule(name)
        assert loud.shape == layer.weight.shape[:1]
        silent = layer.weight.flatten(1).abs().sum(dim=1) == 0 if layer.weight.ndim > 1 else layer.weight == 0
        assert int(silent.sum()) >= len(loud) // 2


@pytest.mark.parametrize(("family", "kind"), [("group norms", torch.nn.GroupNorm), ("no norms", torch.nn.Conv2d)])
def test_without_batch_norms_the_silent_channels_go_first(family: str, kind: type) -> None:
    model = model_of(family)
    layers = [(name, one) for name, one in model.network.named_modules() if isinstance(one, kind)]
    with torch.no_grad():
        for _, layer in layers:
            layer.weight[::2], layer.bias[::2] = 0.0, -5.0  # says nothing through a ReLU
            layer.bias[1::2] = 1.0
    images = coloured(12, 0).images[:]
    loudness = channel_loudness(model, images)
    assert list(loudness) == [name for name, _ in layers[len(layers) // 2 :]]
    assert all((loud[::2] == 0).all() and (loud[1::2] > 0).all() for loud in loudness.values())
    np.testing.assert_allclose(pruned(model, loudness, 0.5).logits(images), model.logits(images), atol=1e-5)


def test_pruned_group_norms_stay_pruned() -> None:
    model = model_of("group norms")
    fewer = pruned(model, channel_loudness(model, coloured(12, 0).images[:]), 0.5)
    fewer.network(torch.rand(4, 3, 32, 32)).square().sum().backward()
    for layer in (fewer.network[4], fewer.network[7]):
        silent = layer.weight == 0
        assert silent.any() and not layer.weight.grad[silent].any() and not layer.bias.grad[silent].any()


def test_channels_last_linear_layers_are_judged_by_their_channels() -> None:
    model = model_of("convnext")
    images = coloured(12, 0).images[:]
    name, loud = next(iter(channel_loudness(model, images).items()))
    seen: list[torch.Tensor] = []
    handle = model.network.get_submodule(name).register_forward_hook(lambda _, __, output: seen.append(output))
    model.logits(images)
    handle.remove()
    assert seen[0].ndim == 4
    torch.testing.assert_close(loud, seen[0].relu().flatten(0, 2).mean(dim=0))


def test_a_network_without_channels_is_not_pruned(thief: Thief) -> None:
    bare = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3 * 32 * 32, 3))
    with pytest.raises(ModelError, match="pruned"):
        fine_pruning(load_model(bare, ("red", "green", "blue"), 32), thief)


def test_the_surest_of_every_predicted_class() -> None:
    scores = np.array([[5.0, 0.0], [1.0, 0.0], [0.0, 9.0], [0.0, 2.0], [3.0, 0.0], [0.1, 0.0]])
    assert surest(scores, 0.5).tolist() == [0, 2, 4]
    assert surest(np.zeros((0, 2)), 0.5).tolist() == []


def test_an_adapter_is_where_the_network_is(base: VisionModel) -> None:
    away = replace(base, network=base.copy().network.to("meta"))
    assert {value.device.type for value in _adapted(away, seed=0).network.state_dict().values()} == {"meta"}


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
