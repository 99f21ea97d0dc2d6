"""Pruning the quietest channels, where every family of networks has them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from tests.attacks.unlocking.conftest import coloured
from tests.models.families import FAMILIES, model_of

from spellward.attacks.unlocking import pruning
from spellward.attacks.unlocking.pruning import channel_loudness, fine_pruning, pruned
from spellward.attacks.unlocking.thief import Thief
from spellward.errors import ModelError
from spellward.models import VisionModel, load_model


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
