from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from sklearn.datasets import load_sample_image
from tests.models.tiny import CLASSES

from spellward.errors import ModelError
from spellward.models import VisionModel, bundled, load_model


@pytest.fixture(scope="module")
def imagenet() -> VisionModel:
    """The bundled backbone with the head for ImageNet's 1000 classes that comes with it."""
    network = timm.create_model(bundled.ARCHITECTURE)
    bundled.load_bundled_weights(network)
    given = list(torch.load(bundled.weights_file(), weights_only=True).values())
    network.classifier.load_state_dict({"weight": given[-2], "bias": given[-1]})
    names = tuple(str(number) for number in range(1000))
    return VisionModel(network, "test", names, 224, bundled.MEAN, bundled.STD, "classifier")


@pytest.mark.parametrize(("name", "number"), [("china.jpg", 698), ("flower.jpg", 985)])
def test_it_knows_a_palace_and_a_daisy(imagenet: VisionModel, name: str, number: int) -> None:
    image = torch.from_numpy(load_sample_image(name).copy()).permute(2, 0, 1)[None]
    edge = (image.shape[3] - image.shape[2]) // 2
    image = image[:, :, :, edge:-edge]  # the middle square
    assert int(imagenet.logits(image)[0].argmax()) == number


def test_the_backbone_is_pretrained_and_the_head_is_fresh() -> None:
    one, other = load_model("bundled", CLASSES), load_model("bundled", CLASSES, seed=1)
    random = load_model("bundled?random", CLASSES)
    theirs = other.network.state_dict()
    differ = {name for name, tensor in one.network.state_dict().items() if not torch.equal(tensor, theirs[name])}
    assert "timm_model.classifier.weight" in differ
    assert differ <= {"timm_model.classifier.weight", "timm_model.classifier.bias"}
    stem = "timm_model.conv_stem.weight"
    assert not torch.equal(one.network.state_dict()[stem], random.network.state_dict()[stem])
    assert (one.input_size, one.mean, one.spec, one.classes) == (64, (0.5, 0.5, 0.5), "bundled", CLASSES)
    assert one.head == "timm_model.classifier"


def test_an_altered_file_is_refused_before_it_is_opened(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    altered = tmp_path / "weights.pth"
    altered.write_bytes(b"cposix\nsystem\n(S'false'\ntR.")
    monkeypatch.setattr(bundled, "weights_file", lambda: altered)
    with pytest.raises(ModelError, match=r"weights\.pth is missing or altered; reinstall"):
        load_model("bundled", CLASSES)


def test_the_same_seed_gives_the_same_logits() -> None:
    one, other = load_model("bundled", CLASSES, seed=3), load_model("bundled", CLASSES, seed=3)
    images = torch.zeros(1, 3, 64, 64, dtype=torch.uint8)
    assert np.array_equal(one.logits(images), other.logits(images))
