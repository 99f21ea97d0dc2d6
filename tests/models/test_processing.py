"""What is saved beside a transformers model feeds it as it was trained, whatever its base's own processor does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from tests.models.tiny import CLASSES
from transformers import (
    AutoImageProcessor,
    BitImageProcessor,
    ConvNextImageProcessor,
    EfficientNetImageProcessor,
    MaskFormerImageProcessor,
    MobileNetV2ImageProcessor,
    MobileViTImageProcessor,
    PerceiverImageProcessor,
    PPLCNetImageProcessor,
    ResNetConfig,
    ResNetForImageClassification,
    ViTImageProcessor,
)

from spellward.errors import ArtifactError, ModelError
from spellward.models import VisionModel, load_checkpoint, load_model, save_checkpoint
from spellward.models.processing import normalisation, processor_for

SIDE, OTHER = 48, 32
PROCESSORS: dict[str, Any] = {
    "bit": BitImageProcessor(size={"shortest_edge": SIDE}, crop_size=SIDE),
    "convnext": ConvNextImageProcessor(size={"shortest_edge": SIDE}, crop_pct=0.875),
    "mobilenet": MobileNetV2ImageProcessor(size={"shortest_edge": 64}, crop_size=SIDE),
    "vit": ViTImageProcessor(size=SIDE),
    "perceiver": PerceiverImageProcessor(size=SIDE, crop_size=64),
    "efficientnet": EfficientNetImageProcessor(size=SIDE, image_std=[0.47, 0.48, 0.49]),
    "efficientnet-offset": EfficientNetImageProcessor(
        size=SIDE, rescale_factor=1 / 127.5, rescale_offset=True, include_top=False
    ),
    "mobilevit": MobileViTImageProcessor(size=SIDE, crop_size=SIDE, do_flip_channel_order=False),
    "not-normalised": ViTImageProcessor(size=SIDE, do_normalize=False),
    "not-rescaled": ViTImageProcessor(size=SIDE, do_rescale=False, image_mean=[120.0] * 3, image_std=[60.0] * 3),
    "wide": ViTImageProcessor(size=SIDE, rescale_factor=1 / 127.5),
}


def noise(height: int, width: int) -> torch.Tensor:
    """uint8 [1, 3, height, width]."""
    return torch.from_numpy(np.random.default_rng(0).integers(0, 256, (1, 3, height, width), dtype=np.uint8))


def fed(processor: Any, pixels: torch.Tensor) -> torch.Tensor:
    picture = Image.fromarray(pixels[0].permute(1, 2, 0).numpy())
    return processor(picture, return_tensors="pt")["pixel_values"]


def base(folder: Path, processor: Any) -> Path:
    """What the Hub would give for a tiny ResNet, which takes images of any size."""
    torch.manual_seed(0)
    config = ResNetConfig(
        embedding_size=8,
        hidden_sizes=[8, 16],
        depths=[1, 1],
        layer_type="basic",
        id2label=dict(enumerate(CLASSES)),
        label2id={name: index for index, name in enumerate(CLASSES)},
    )
    ResNetForImageClassification(config).save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


def check_saved(model: VisionModel, folder: Path) -> None:
    """Saved and loaded, it is the same model, and plain transformers gives it the same pixels."""
    save_checkpoint(model, folder)
    again = load_checkpoint(folder)
    assert (again.input_size, again.mean, again.std) == (model.input_size, model.mean, model.std)
    square, oblong = noise(model.input_size, model.input_size), noise(70, 90)
    assert np.array_equal(again.logits(oblong), model.logits(oblong))
    plain = AutoImageProcessor.from_pretrained(folder)
    grey_level = 1 / (255 * min(model.std))
    assert torch.allclose(fed(plain, square), model.preprocess(square), atol=0.01 * grey_level)
    assert (fed(plain, oblong) - model.preprocess(oblong)).abs().max() < 2.5 * grey_level


@pytest.mark.parametrize("name", PROCESSORS)
def test_a_base_is_fed_and_saved_as_its_processor_says_but_whole(name: str, tmp_path: Path) -> None:
    folder = base(tmp_path / "base", PROCESSORS[name])
    model = load_model(folder, CLASSES)
    assert model.input_size == SIDE
    colour = torch.tensor([200, 100, 50], dtype=torch.uint8)[None, :, None, None].expand(1, 3, 80, 80)
    assert torch.allclose(model.preprocess(colour), fed(PROCESSORS[name], colour).float(), atol=1e-4)
    check_saved(model, tmp_path / "own-size")
    check_saved(load_model(folder, CLASSES, OTHER), tmp_path / "other-size")
    assert load_model(tmp_path / "other-size", CLASSES, SIDE).input_size == SIDE


@pytest.mark.parametrize("processor", [MobileViTImageProcessor(), PPLCNetImageProcessor()], ids=lambda one: type(one))
def test_weights_for_swapped_colours_are_refused(processor: Any, tmp_path: Path) -> None:
    folder = base(tmp_path / "base", processor)
    with pytest.raises(ModelError, match="red and blue swapped"):
        load_model(folder, CLASSES)
    assert load_model(f"{folder}?random", CLASSES).classes == CLASSES


@pytest.mark.parametrize("factor", [0, -1, 1e-300, 1e300, 10**400, float("nan"), "wide", None])
def test_a_factor_that_pixels_cannot_be_rescaled_by_is_refused(factor: Any) -> None:
    processor = ViTImageProcessor()
    processor.rescale_factor = factor
    with pytest.raises(ArtifactError, match="normalised"):
        normalisation(None, processor)


def test_usual_numbers_stay_what_they_are() -> None:
    processor = ViTImageProcessor(image_mean=[0.485, 0.456, 0.406], image_std=[0.229, 0.224, 0.225])
    assert normalisation(None, processor) == ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


@pytest.mark.parametrize("task", ["classification", "segmentation"])
def test_a_timm_network_of_the_hub_is_saved_at_the_size_it_was_trained_at(task: str, tmp_path: Path) -> None:
    classes = CLASSES if task == "classification" else ("background", *CLASSES)
    save_checkpoint(load_model("timm/test_resnet?random", classes, SIDE, task=task), tmp_path / "base")
    path = tmp_path / "base" / "config.json"
    config = json.loads(path.read_text())
    config["pretrained_cfg"] |= {"crop_pct": 0.8, "crop_mode": "center", "interpolation": "bilinear"}
    path.write_text(json.dumps(config))
    check_saved(load_model(tmp_path / "base", classes, 64, task=task), tmp_path / "saved")


def test_a_mask_transformer_keeps_a_processor_that_draws_what_it_found(tmp_path: Path) -> None:
    from tests.models.test_object_networks import hub_folder

    hub_folder("maskformer", tmp_path / "base")
    MaskFormerImageProcessor().save_pretrained(tmp_path / "base")
    model = load_model(tmp_path / "base", ("background", "square"), 40, task="segmentation")
    save_checkpoint(model, tmp_path / "saved")
    plain = AutoImageProcessor.from_pretrained(tmp_path / "saved")
    assert type(plain) is MaskFormerImageProcessor
    assert load_checkpoint(tmp_path / "saved").input_size == 40
    assert torch.allclose(fed(plain, noise(40, 40)), model.preprocess(noise(40, 40)), atol=1e-4)


def test_pictures_that_are_not_in_colour_are_taken_too() -> None:
    model = load_model("bundled?random", CLASSES)
    assert processor_for(model)(Image.new("L", (30, 20)), return_tensors="pt")["pixel_values"].shape == (1, 3, 64, 64)
