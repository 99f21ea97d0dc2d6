"""Segmentation networks: maps of the right size, losses as torch computes them, masks that move with their pixels."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.models.tiny import pictures
from torch import nn
from transformers import AutoModelForSemanticSegmentation, SegformerConfig, SegformerForSemanticSegmentation, pipeline

from spellward.data import IGNORE, MaskTable, mask_table_from_arrays
from spellward.errors import ArtifactError, ModelError
from spellward.models import FitSettings, fit, load_checkpoint, load_model, save_checkpoint
from spellward.models.augment import augment
from spellward.models.examples import PlainExamples
from spellward.models.segmentation import SegmentationModel, augment_masks, cross_entropy, maps_of_size, pixel_weights

CLASSES = ("background", "ball", "box")
SIDE = 32
SPECS = ("bundled?random", "timm/test_resnet?random", "torchvision/lraspp_mobilenet_v3_large?random")


def squares(count: int = 24) -> MaskTable:
    """Bright red or blue squares on noise; the class is the colour."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 90, (count, SIDE, SIDE, 3), dtype=np.uint8)
    masks = np.zeros((count, SIDE, SIDE), dtype=np.uint8)
    for row in range(count):
        top, left = rng.integers(0, SIDE // 2, 2)
        window = (row, slice(top, top + 14), slice(left, left + 14))
        masks[window] = 1 + row % 2
        images[window][..., 2 * (row % 2)] += 150
    return mask_table_from_arrays(images, masks, CLASSES)


def segformer(folder: Path) -> Path:
    """What the Hub would give for a tiny Segformer."""
    torch.manual_seed(0)
    config = SegformerConfig(
        num_encoder_blocks=2,
        depths=[1, 1],
        sr_ratios=[1, 1],
        hidden_sizes=[8, 16],
        patch_sizes=[3, 3],
        strides=[2, 2],
        num_attention_heads=[1, 2],
        mlp_ratios=[2, 2],
        decoder_hidden_size=16,
        id2label=dict(enumerate(CLASSES)),
        label2id={name: index for index, name in enumerate(CLASSES)},
    )
    SegformerForSemanticSegmentation(config).save_pretrained(folder)
    return folder


@pytest.mark.parametrize("spec", SPECS)
def test_every_spec_gives_maps_and_survives_saving(spec: str, tmp_path: Path) -> None:
    model = load_model(spec, CLASSES, SIDE, 1, "segmentation")
    images = pictures(3, SIDE)
    logits = model.logits(images)
    assert isinstance(model, SegmentationModel) and model.task == "segmentation"
    assert logits.shape == (3, len(CLASSES), SIDE, SIDE) and logits.dtype == np.float32
    assert np.array_equal(model.segment(images), logits.argmax(axis=1))
    assert model.logits(images[:0]).shape == (0, len(CLASSES), SIDE, SIDE)
    save_checkpoint(model, tmp_path / "saved")
    again = load_checkpoint(tmp_path / "saved")
    assert isinstance(again, SegmentationModel)
    assert (again.classes, again.input_size, again.mean) == (model.classes, model.input_size, model.mean)
    np.testing.assert_allclose(again.logits(images), logits, atol=1e-5)


def test_the_bundled_one_loads_in_plain_transformers(tmp_path: Path) -> None:
    model = load_model("bundled", CLASSES, SIDE, 0, "segmentation")
    save_checkpoint(model, tmp_path)
    theirs = AutoModelForSemanticSegmentation.from_pretrained(tmp_path).eval()
    images = pictures(2, SIDE)
    with torch.inference_mode():
        np.testing.assert_allclose(theirs(model.preprocess(images)).logits, model.logits(images), atol=1e-4)
    found = pipeline("image-segmentation", model=str(tmp_path))(_picture(images[0]))
    assert {one["label"] for one in found} <= set(CLASSES)


def _picture(image: torch.Tensor) -> object:
    from PIL import Image

    return Image.fromarray(image.permute(1, 2, 0).numpy())


def test_a_checkpoint_of_the_hub_keeps_or_changes_its_head(tmp_path: Path) -> None:
    folder = segformer(tmp_path / "segformer")
    own = load_model(folder, CLASSES, SIDE, 0, "segmentation")
    other = load_model(folder, ("background", "cat"), SIDE, 0, "segmentation")
    images = pictures(2, SIDE)
    assert isinstance(load_checkpoint(folder), SegmentationModel)
    assert own.logits(images).shape[1] == 3 and other.logits(images).shape[1] == 2
    mine, theirs = own.network.state_dict(), other.network.state_dict()
    body = [name for name in mine if "decode_head" not in name]
    assert body and all(torch.equal(mine[name], theirs[name]) for name in body)


@pytest.mark.parametrize("spec", ["timm/vit_base_patch16_224?random", "torchvision/resnet18", "timm/nothing"])
def test_what_cannot_give_masks_is_refused(spec: str) -> None:
    with pytest.raises(ModelError):
        load_model(spec, CLASSES, SIDE, 0, "segmentation")


def test_a_folder_that_asks_for_weights_from_elsewhere_is_refused(tmp_path: Path) -> None:
    save_checkpoint(load_model("bundled?random", CLASSES, SIDE, 0, "segmentation"), tmp_path)
    config = tmp_path / "config.json"
    honest = config.read_text()
    hostile = honest.replace('"use_pretrained_backbone": false', '"use_pretrained_backbone": true')
    assert hostile != honest
    config.write_text(hostile)
    with pytest.raises(ArtifactError, match="elsewhere"):
        load_checkpoint(tmp_path)
    config.write_text(honest.replace("tf_efficientnet_lite0", "hf-hub:someone/something"))
    with pytest.raises(ModelError, match="architecture"):
        load_checkpoint(tmp_path)


def test_cross_entropy_is_that_of_torch() -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 3, 8, 8, generator=generator)
    truth = torch.randint(0, 3, (2, 8, 8), generator=generator)
    weights = torch.tensor([0.5, 1.0, 2.0])
    plain = -logits.log_softmax(1).gather(1, truth[:, None])[:, 0]
    share = weights[truth]
    assert cross_entropy(logits, truth, weights).item() == pytest.approx(
        float((plain * share).sum() / share.sum()), 1e-5
    )
    half = truth.clone()
    half[:, :4] = IGNORE
    assert cross_entropy(logits, half).item() == pytest.approx(float(plain[:, 4:].mean()), 1e-5)
    assert cross_entropy(logits.mean((2, 3)), truth[:, 0, 0]).item() == pytest.approx(
        nn.functional.cross_entropy(logits.mean((2, 3)), truth[:, 0, 0]).item()
    )


def test_rare_classes_weigh_more_but_not_without_end() -> None:
    masks = np.zeros((2, SIDE, SIDE), dtype=np.uint8)
    masks[:, :8, :8], masks[:, 20, 20] = 1, 2
    weights = pixel_weights(mask_table_from_arrays(np.zeros((2, SIDE, SIDE, 3), np.uint8), masks, CLASSES))
    background, ball, box = weights
    assert background < ball < box <= 5.0 * background * 1.0001
    assert weights.mean() == pytest.approx(1.0)


def test_masks_go_where_their_pixels_go() -> None:
    ids = torch.randint(0, 3, (6, SIDE, SIDE), generator=torch.Generator().manual_seed(0))
    images = ids[:, None].expand(-1, 3, -1, -1).to(torch.uint8)
    moved = augment(images, ("flip", "shift"), np.random.default_rng(3))
    assert torch.equal(augment_masks(ids, SIDE, ("flip", "shift"), np.random.default_rng(3)), moved[:, 0].long())
    assert not torch.equal(moved, images)
    assert augment_masks(ids, SIDE // 2, (), np.random.default_rng(0)).unique().tolist() == [0, 1, 2]


def test_maps_are_resized_as_models_do_it() -> None:
    maps = np.random.default_rng(0).normal(size=(1, 2, 4, 4)).astype(np.float32)
    assert maps_of_size(maps, 4) is not None and np.array_equal(maps_of_size(maps, 4), maps)
    expected = nn.functional.interpolate(torch.from_numpy(maps), (8, 8), mode="bilinear").numpy()
    np.testing.assert_allclose(maps_of_size(maps, 8), expected)


def test_fit_learns_masks(tmp_path: Path) -> None:
    table = squares()
    model = load_model("bundled", CLASSES, SIDE, 0, "segmentation")
    settings = FitSettings(epochs=12, batch_size=8, learning_rate=2e-3)
    fit(model, PlainExamples(table), settings, folder=tmp_path)
    right = model.segment(table.images[:]) == table.truth(slice(None)).numpy()
    assert right.mean() > 0.9
    again = load_model("bundled", CLASSES, SIDE, 0, "segmentation")
    with pytest.raises(ModelError, match="other settings"):
        fit(again, PlainExamples(table), replace(settings, seed=1), folder=tmp_path)


def test_where_no_pixel_counts_the_loss_is_nothing() -> None:
    logits = torch.randn(2, 3, 8, 8, requires_grad=True)
    loss = cross_entropy(logits, torch.full((2, 8, 8), IGNORE))
    loss.backward()
    assert float(loss) == 0.0 and logits.grad is not None and not logits.grad.any()
