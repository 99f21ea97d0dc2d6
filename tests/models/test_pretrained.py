from __future__ import annotations

import json
import logging
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from tests.conftest import FarHub
from tests.models.tiny import CLASSES, SIDE, pictures, vit_folder
from transformers import AutoImageProcessor

from spellward.errors import ArtifactError, ModelError
from spellward.models import load_checkpoint, load_model, save_checkpoint


def test_an_image_of_another_shape_is_seen_nearly_the_same(tmp_path: Path) -> None:
    model = load_model("bundled", CLASSES)
    save_checkpoint(model, tmp_path)
    pixels = torch.nn.functional.interpolate(pictures(1, 90).float(), (120, 90)).to(torch.uint8)
    inputs = AutoImageProcessor.from_pretrained(tmp_path)(
        Image.fromarray(pixels[0].permute(1, 2, 0).numpy()), return_tensors="pt"
    )
    difference = inputs["pixel_values"] - model.preprocess(pixels)
    assert difference.abs().max() < 2.5 / 127.5  # two grey levels: PIL and torch round differently


@pytest.mark.parametrize("extra", [0, 8, 24, 40])
def test_weights_lie_as_pytorch_lays_them_wherever_the_file_is_mapped(extra: int, tmp_path: Path) -> None:
    """Sums come out the same to the last bit only then."""
    model = load_model("timm/test_resnet?random", CLASSES, 32)
    save_checkpoint(model, tmp_path)
    path = tmp_path / "model.safetensors"
    save_file(load_file(path), path, metadata={"format": "pt", "x": "x" * extra})
    again = load_checkpoint(tmp_path)
    tensors = [*again.network.parameters(), *again.network.buffers()]
    assert all(tensor.data_ptr() % 64 == 0 for tensor in tensors)
    assert np.array_equal(again.logits(pictures(3)), model.logits(pictures(3)))


@pytest.mark.parametrize("side", [0, -32, 200_000])
def test_a_size_that_no_image_has_is_refused(side: int, tmp_path: Path) -> None:
    """Whatever is asked about would be enlarged to it."""
    folder = vit_folder(tmp_path / "vit")
    settings = json.loads((folder / "preprocessor_config.json").read_text())
    settings["size"] = {"height": side, "width": side}
    (folder / "preprocessor_config.json").write_text(json.dumps(settings))
    with pytest.raises(ArtifactError, match=f"images of {side} px"):
        load_checkpoint(folder)


def test_a_folder_that_does_not_say_how_it_takes_images_is_warned_of(tmp_path: Path) -> None:
    folder = vit_folder(tmp_path / "vit")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        load_checkpoint(folder)
    (folder / "preprocessor_config.json").unlink()
    with pytest.warns(UserWarning, match=rf"given {SIDE} px, normalised as for ImageNet"):
        load_checkpoint(folder)


def test_of_a_hub_out_of_reach_one_sentence_is_said(far_hub: FarHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("transformers.AutoConfig.from_pretrained", far_hub.ask)
    hub = logging.getLogger("huggingface_hub")
    level = hub.level
    with pytest.raises(ModelError, match="nope is not an image classifier that can be loaded here: no route to host"):
        load_checkpoint("nope")
    assert far_hub.said == [] and hub.level == level
