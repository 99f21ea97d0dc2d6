from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tests.models.tiny import CLASSES

from spellward.errors import ModelError
from spellward.models import FitSettings, load_model


@pytest.mark.parametrize(("examples", "epochs"), [(5000, 8), (100_000, 8), (2000, 20), (801, 45), (2, 45)])
def test_small_data_get_more_epochs_but_not_without_end(examples: int, epochs: int) -> None:
    assert FitSettings().resolved(examples).epochs == epochs
    assert FitSettings(epochs=3).resolved(examples).epochs == 3


@pytest.mark.parametrize(
    ("examples", "steps"), [(1, 1), (2, 1), (64, 1), (65, 1), (66, 2), (128, 2), (129, 2), (5000, 79)]
)
def test_an_image_that_would_be_alone_in_its_batch_is_left_out(examples: int, steps: int) -> None:
    assert FitSettings().steps_in_epoch(examples) == steps
    assert FitSettings(batch_size=1).steps_in_epoch(examples) == examples


@pytest.mark.parametrize(
    ("spec", "rate"),
    [("bundled?random", 1e-3), ("torchvision/resnet18?random", 1e-3), ("timm/test_vit?random", 1e-4)],
)
def test_layer_norms_take_a_smaller_rate_unless_one_is_given(spec: str, rate: float) -> None:
    network = load_model(spec, CLASSES, 32).network
    assert FitSettings().rate_for(network) == rate
    assert FitSettings(learning_rate=3e-3).rate_for(network) == 3e-3


@pytest.mark.parametrize(
    "wrong",
    [
        {"epochs": -3},
        {"batch_size": 0},
        {"learning_rate": -1.0},
        {"precision": "fp16"},
        {"patience": 0},
        {"seed": 2**33},
        {"augment": "flip"},
        {"augment": ("rotate",)},
        {"warmup": 7},
        {"weight_decay": -1.0},
        {"max_grad_norm": float("nan")},
        {"epochs": 1.5},
    ],
)
def test_what_would_fail_later_or_be_ignored_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ModelError, match=next(iter(wrong))):
        FitSettings(**wrong)


def test_integers_of_numpy_become_plain_ones() -> None:
    settings = FitSettings(seed=np.int64(3), epochs=np.int32(2))
    assert settings == FitSettings(seed=3, epochs=2) and type(settings.seed) is int
