from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from tests.models.tiny import CLASSES, SIDE, pictures, tiny_model
from torch import nn

from spellward.data import table_from_arrays
from spellward.errors import ModelError
from spellward.models import logits_of, logits_of_output
from spellward.models.vision import head_of


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("count", [0, 1, 7])
def test_logits_are_float32_for_any_number_of_images(count: int, precision: str) -> None:
    logits = tiny_model().logits(pictures(count), precision)
    assert logits.dtype == np.float32
    assert logits.shape == (count, len(CLASSES))


def test_logits_leave_the_mode_and_the_weights_alone() -> None:
    model = tiny_model()
    before = {name: tensor.clone() for name, tensor in model.network.state_dict().items()}
    model.network.train()
    first, second = model.logits(pictures(9)), model.logits(pictures(9))
    assert model.network.training
    assert np.array_equal(first, second)  # dropout is off
    for name, tensor in model.network.state_dict().items():
        assert torch.equal(tensor, before[name])


def test_images_of_another_size_are_resized() -> None:
    model = tiny_model()
    images = pictures(3, side=4 * SIDE)
    assert np.array_equal(model.logits(images), model.logits(model.resize(images)))
    assert model.resize(images).shape == (3, 3, SIDE, SIDE)
    assert model.resize(images).dtype == torch.uint8


def test_preprocess_normalises_by_channel() -> None:
    model = tiny_model()
    white = torch.full((1, 3, SIDE, SIDE), 255, dtype=torch.uint8)
    expected = (1 - torch.tensor(model.mean)) / torch.tensor(model.std)
    assert torch.allclose(model.preprocess(white)[0, :, 0, 0], expected)
    assert torch.equal(model.preprocess(white), model.preprocess(white.float()))


def test_a_table_gives_what_its_images_give() -> None:
    model, images = tiny_model(), pictures(11)
    table = table_from_arrays(images, [0] * 11, CLASSES)
    assert np.allclose(logits_of(model, table, batch_size=4), model.logits(images), atol=1e-6)
    assert logits_of(model, table.subset([])).shape == (0, len(CLASSES))


def test_a_copy_is_independent() -> None:
    model = tiny_model()
    before = model.logits(pictures(2))
    twin = model.copy()
    with torch.no_grad():
        for parameter in twin.network.parameters():
            parameter.zero_()
    assert np.array_equal(model.logits(pictures(2)), before)
    assert not twin.logits(pictures(2)).any()


def test_the_head_is_the_last_layer_with_an_output_for_each_class() -> None:
    assert head_of(tiny_model().network, len(CLASSES)) == "head"
    assert head_of(nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4)), 4) == "1"
    assert head_of(nn.Sequential(nn.Conv2d(8, 5, 1), nn.Flatten()), 5) == "0"
    with pytest.raises(ModelError, match="7 outputs"):
        head_of(tiny_model().network, 7)


def test_a_layer_whose_name_begins_like_the_head_is_not_in_it() -> None:
    model = replace(tiny_model(), head="fc")
    assert [name for name in ("fc1.weight", "fc.weight", "body.fc.bias", "fc.bias") if model.in_head(name)] == [
        "fc.weight",
        "fc.bias",
    ]


@pytest.mark.parametrize("output", [None, {"logits": 1}, torch.zeros(3), torch.zeros(1, 2, 3)])
def test_what_is_no_logits_is_refused(output: object) -> None:
    with pytest.raises(ModelError, match="logits"):
        logits_of_output(output)
