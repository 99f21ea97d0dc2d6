"""Networks that give lists of objects: drawn and read back, trained by their own losses, saved and loaded."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tests.models.test_instances import pairs_of_squares
from tests.models.test_segmentation import CLASSES, SIDE, squares
from torch import nn
from torchvision.models.detection import MaskRCNN as TorchvisionMaskRCNN
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.ops import MultiScaleRoIAlign
from transformers import (
    AutoModelForUniversalSegmentation,
    DetrConfig,
    EomtConfig,
    EomtForUniversalSegmentation,
    Mask2FormerConfig,
    Mask2FormerForUniversalSegmentation,
    MaskFormerConfig,
    MaskFormerForInstanceSegmentation,
    SwinConfig,
    pipeline,
)

from spellward.data.masks import IGNORE
from spellward.errors import ArtifactError, ModelError
from spellward.models import FitSettings, VisionModel, fit, load_checkpoint, load_model, save_checkpoint, state_digest
from spellward.models.examples import PlainExamples
from spellward.models.grouping import Objects, objects_in, true_objects
from spellward.models.instances import InstanceModel
from spellward.models.losses import learning_loss, unlearning_loss
from spellward.models.mask_queries import ClassQueries, ObjectQueries
from spellward.models.mask_rcnn import MaskRCNN, fit_norms
from spellward.models.object_networks import (
    ObjectNetwork,
    draw_objects,
    objects_of,
    without_objects,
    without_overlap,
)

SMALL = {"hidden_dim": 64, "feature_size": 64, "mask_feature_size": 32, "dim_feedforward": 32}


def small_swin() -> SwinConfig:
    stages = [f"stage{number}" for number in range(1, 5)]
    return SwinConfig(embed_dim=16, depths=[1] * 4, num_heads=[1, 2, 4, 8], window_size=4, out_features=stages)


def mask2former() -> nn.Module:
    config = Mask2FormerConfig(
        backbone_config=small_swin(),
        encoder_layers=1,
        encoder_feedforward_dim=32,
        decoder_layers=2,
        num_attention_heads=2,
        num_queries=6,
        num_labels=5,
        **SMALL,
    )
    return Mask2FormerForUniversalSegmentation(config)


def maskformer() -> nn.Module:
    decoder = DetrConfig(
        d_model=32,
        encoder_layers=1,
        decoder_layers=1,
        encoder_ffn_dim=32,
        decoder_ffn_dim=32,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        num_queries=6,
    )
    config = MaskFormerConfig(
        backbone_config=small_swin(), decoder_config=decoder, fpn_feature_size=32, mask_feature_size=32, num_labels=5
    )
    return MaskFormerForInstanceSegmentation(config)


def eomt() -> nn.Module:
    config = EomtConfig(
        hidden_size=32,
        num_hidden_layers=3,
        num_attention_heads=2,
        image_size=SIDE,
        patch_size=8,
        num_blocks=1,
        num_queries=6,
        num_upscale_blocks=1,
        num_labels=5,
    )
    return EomtForUniversalSegmentation(config)


def small_mask_rcnn(classes: int = len(CLASSES)) -> nn.Module:
    """torchvision's Mask R-CNN on three convolutions."""
    layers = [nn.Conv2d(3, 16, 3, 2, 1), nn.BatchNorm2d(16), nn.ReLU(), nn.Conv2d(16, 16, 3, 2, 1), nn.ReLU()]
    backbone = nn.Sequential(*layers)
    backbone.out_channels = 16
    return TorchvisionMaskRCNN(
        backbone,
        num_classes=classes,
        rpn_anchor_generator=AnchorGenerator(sizes=((6, 14),), aspect_ratios=((1.0,),)),
        box_roi_pool=MultiScaleRoIAlign(["0"], 3, 2),
        mask_roi_pool=MultiScaleRoIAlign(["0"], 6, 2),
        box_head=nn.Sequential(nn.Flatten(), nn.Linear(16 * 9, 1024), nn.ReLU()),
        rpn_post_nms_top_n_train=40,
        rpn_post_nms_top_n_test=20,
        box_batch_size_per_image=32,
    )


TRANSFORMERS: dict[str, Callable[[], nn.Module]] = {
    "mask2former": mask2former,
    "maskformer": maskformer,
    "eomt": eomt,
}


def hub_folder(name: str, folder: Path) -> Path:
    """What the Hub would give for a tiny mask transformer."""
    torch.manual_seed(0)
    TRANSFORMERS[name]().save_pretrained(folder)
    return folder


def object_model(name: str, folder: Path) -> VisionModel:
    torch.manual_seed(0)
    if name == "mask-rcnn":
        return load_model(small_mask_rcnn(), CLASSES, SIDE, 0, "instances")
    model = load_model(str(hub_folder(name, folder / name)), CLASSES, None, 0, "instances")
    model.input_size = SIDE
    return model


ALL = [*TRANSFORMERS, "mask-rcnn"]


def test_what_is_drawn_is_read_back() -> None:
    for truth in pairs_of_squares(6).truth(slice(0, 6)).numpy():
        there = true_objects(truth)
        scored = Objects(there.masks, there.classes, np.array([0.9, 0.4], np.float32))
        found = objects_in(draw_objects(scored, 3, SIDE).numpy())
        np.testing.assert_array_equal(found.masks, there.masks)
        np.testing.assert_array_equal(found.classes, there.classes)
        np.testing.assert_allclose(found.scores, scored.scores, atol=0.01)
    nothing = objects_in(draw_objects(true_objects(np.zeros((2, SIDE, SIDE), np.int64)), 3, SIDE).numpy())
    assert not len(nothing)


@pytest.mark.parametrize("moved", range(6))
@pytest.mark.parametrize("scores", [(0.9, 0.15), (0.5, 0.45)])
def test_an_object_within_another_is_drawn_and_found(moved: int, scores: tuple[float, float]) -> None:
    masks = np.zeros((2, 64, 64), dtype=bool)
    masks[0, 12:52, 12:52] = True
    masks[1, 22 + moved : 42 + moved, 22 + moved : 42 + moved] = True
    masks[0] &= ~masks[1]
    drawn = Objects(masks, np.array([1, 2]), np.array(scores, np.float32))
    found = objects_in(draw_objects(drawn, 3, 64).numpy())
    np.testing.assert_array_equal(found.masks, masks)
    np.testing.assert_allclose(found.scores, scores, atol=0.01)


def test_more_objects_than_there_is_room_for_are_drawn_all_the_same() -> None:
    masks = np.eye(64, dtype=bool).reshape(64, 8, 8)
    maps = draw_objects(Objects(masks, np.ones(64, np.int64), np.full(64, 0.5, np.float32)), 2, 8)
    assert maps.isfinite().all() and (maps[2] > 0).sum() == 64


def test_each_pixel_has_one_owner_and_second_findings_are_left_out() -> None:
    masks = torch.zeros(4, 12, 12)
    masks[0, :6, :6], masks[1, :6, :5], masks[2, 4:12, 4:12], masks[3, 9:, :] = 0.9, 0.8, 0.7, 0.9
    kinds, scores = torch.tensor([1, 2, 2, 1]), torch.tensor([0.6, 0.5, 0.9, 0.05])
    found = without_overlap(masks, kinds, scores)
    assert found.classes.tolist() == [2, 1] and found.scores.tolist() == pytest.approx([0.9, 0.6])
    assert found.masks.sum(axis=0).max() == 1
    assert found.masks[0].sum() == 64 and found.masks[1].sum() == 36 - 4
    assert not len(without_overlap(masks, kinds, scores / 100))


def test_objects_of_a_truth_leave_out_what_nobody_knows() -> None:
    truth = pairs_of_squares(2).truth(slice(0, 2))
    truth[1, 0][truth[1, 1] == 2] = IGNORE
    (masks, kinds), (others, only) = objects_of(truth)
    assert masks.shape == (2, SIDE, SIDE) and kinds.tolist() == [1, 1]
    assert torch.equal(masks[1], truth[0, 1] == 2)
    assert others.shape == (1, SIDE, SIDE) and only.tolist() == [2]
    none, nothing = objects_of(without_objects(truth))[0]
    assert none.shape == (0, SIDE, SIDE) and nothing.shape == (0,)
    half = without_objects(truth, torch.tensor([True, False]))
    assert not half[0].any() and torch.equal(half[1], truth[1])


@pytest.mark.parametrize("name", ALL)
def test_learning_and_unlearning_lower_their_own_loss(name: str, tmp_path: Path) -> None:
    model, table = object_model(name, tmp_path), pairs_of_squares(4)
    assert isinstance(model, InstanceModel) and isinstance(model.network, ObjectNetwork)
    pixels, truth = model.preprocess(table.images[:]), table.truth(slice(None))
    for loss in (learning_loss, unlearning_loss):
        optimiser, gone = torch.optim.AdamW(model.network.parameters(), lr=1e-3), []
        model.network.train()
        for _ in range(12):
            torch.manual_seed(0)  # of the places that losses are sampled at
            value = loss(model.network, pixels, truth)
            optimiser.zero_grad()
            value.backward()
            optimiser.step()
            gone.append(value.item())
        assert gone[-1] < gone[0]


@pytest.mark.parametrize("name", ALL)
def test_a_loss_leaves_every_layer_in_its_mode(name: str, tmp_path: Path) -> None:
    """Norms that are to stay still have to stay so, whatever the network does to have a loss."""
    model, table = object_model(name, tmp_path), pairs_of_squares(2)
    for training in (False, True):
        model.network.train(training)
        norms = [one for one in model.network.modules() if isinstance(one, nn.BatchNorm2d)]
        for norm in norms:
            norm.eval()
        before = [one.training for one in model.network.modules()]
        value = learning_loss(model.network, model.preprocess(table.images[:]), table.truth(slice(None)))
        assert torch.isfinite(value) and value.requires_grad
        model.network(model.preprocess(table.images[:]))
        assert [one.training for one in model.network.modules()] == before


@pytest.mark.parametrize("name", ALL)
def test_answers_are_maps_and_do_not_depend_on_the_mode(name: str, tmp_path: Path) -> None:
    model, images = object_model(name, tmp_path), pairs_of_squares(3).images[:]
    maps = model.logits(images)
    assert maps.shape == (3, len(CLASSES) + 3, SIDE, SIDE) and maps.dtype == np.float32
    model.network.train()
    with torch.no_grad():
        trained = model.network(model.preprocess(images)).numpy()
    np.testing.assert_allclose(trained, maps, atol=1e-4)
    assert model.network.training
    assert model.segment(images).max() < 3 and len(model.objects(images)) == 3
    assert model.objects(images[:0]) == []


@pytest.mark.parametrize("name", [pytest.param("mask2former", marks=pytest.mark.slow), "mask-rcnn"])
def test_fit_learns_to_find_two_of_a_kind(name: str, tmp_path: Path) -> None:
    table, model = pairs_of_squares(48), object_model(name, tmp_path)
    settings = FitSettings(epochs=9, batch_size=8, learning_rate=2e-3, augment=())
    fit(model, PlainExamples(table), settings, folder=tmp_path / "fit")
    found = model.objects(table.images[:])
    kinds = [int(mask.max()) for mask in table.masks[:][:, 0]]
    right = [len(one) >= 1 and one.classes[0] == kind for one, kind in zip(found, kinds, strict=True)]
    assert np.mean(right) > 0.8


@pytest.mark.parametrize("name", list(TRANSFORMERS))
@pytest.mark.parametrize(("task", "kind"), [("segmentation", ClassQueries), ("instances", ObjectQueries)])
def test_mask_transformers_are_saved_as_their_own(name: str, task: str, kind: type, tmp_path: Path) -> None:
    folder = hub_folder(name, tmp_path / "hub")
    model = load_model(str(folder), CLASSES, None, 0, task)
    model.input_size = SIDE
    assert isinstance(model.network, kind) and model.task == task and model.classes == CLASSES
    assert model.head == "network.class_predictor"
    save_checkpoint(model, tmp_path / "model")
    again = load_checkpoint(tmp_path / "model")
    assert isinstance(again.network, kind) and again.input_size == SIDE
    assert state_digest(again.network) == state_digest(model.network)
    plain = AutoModelForUniversalSegmentation.from_pretrained(tmp_path / "model")
    assert tuple(plain.config.id2label.values()) == CLASSES
    assert plain.class_predictor.out_features == len(CLASSES) + 1


@pytest.mark.parametrize(("task", "subtask"), [("segmentation", "semantic"), ("instances", "instance")])
def test_a_pipeline_of_plain_transformers_runs_it(task: str, subtask: str, tmp_path: Path) -> None:
    model = load_model(str(hub_folder("mask2former", tmp_path / "hub")), CLASSES, SIDE, 0, task)
    save_checkpoint(model, tmp_path / "model")
    ready = pipeline("image-segmentation", model=str(tmp_path / "model"))
    found = ready(Image.new("RGB", (80, 60), (200, 30, 30)), subtask=subtask)
    assert all(one["label"] in CLASSES and one["mask"].size == (80, 60) for one in found)


@pytest.mark.parametrize(
    "change",
    [
        {"backbone": "resnet18", "use_timm_backbone": True, "use_pretrained_backbone": True},
        {"backbone": "hf-hub:somebody/else", "use_timm_backbone": True},
        {"backbone": "somebody/else"},
        {"decoder_config": {"backbone": "somebody/else"}},
        {"backbone_config": {"model_type": "timm_backbone", "backbone": "resnet18", "use_pretrained_backbone": True}},
    ],
)
def test_a_config_that_fetches_a_backbone_from_elsewhere_is_refused(change: dict[str, object], tmp_path: Path) -> None:
    path = hub_folder("mask2former", tmp_path / "hub") / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "backbone_config": None, **change}))
    with pytest.raises((ArtifactError, ModelError), match=r"config\.json (asks for weights|names)"):
        load_checkpoint(path.parent)


def test_queries_are_summed_to_probabilities_of_classes(tmp_path: Path) -> None:
    model = load_model(str(hub_folder("mask2former", tmp_path / "hub")), CLASSES, None, 0, "segmentation")
    model.input_size = SIDE
    pixels = model.preprocess(squares(2).images[:])
    with torch.no_grad():
        output = model.network.network(pixel_values=pixels)
        maps = model.network(pixels)
    kinds, places = output.class_queries_logits.softmax(-1), output.masks_queries_logits.sigmoid()
    for k in range(len(CLASSES)):
        expected = sum(kinds[1, q, k] * places[1, q] for q in range(places.shape[1]))
        torch.testing.assert_close(maps[1, k].exp(), expected + 1e-6, rtol=1e-4, atol=1e-6)


def test_a_mask_rcnn_in_memory_loads_again(tmp_path: Path) -> None:
    model = object_model("mask-rcnn", tmp_path)
    save_checkpoint(model, tmp_path / "model")
    images = pairs_of_squares(3).images[:]
    again = load_checkpoint(tmp_path / "model", module=small_mask_rcnn())
    np.testing.assert_array_equal(again.logits(images), model.logits(images))


def test_torchvisions_own_keeps_the_norms_it_was_saved_with(tmp_path: Path) -> None:
    """Pretrained, its norms are frozen, which the network that is built to load it is not."""
    model = load_model("torchvision/maskrcnn_resnet50_fpn?random", CLASSES, SIDE, 0, "instances")
    assert isinstance(model.network, MaskRCNN)
    fit_norms(model.network, ["backbone.bn1.weight"])
    names = list(model.network.state_dict())
    assert not any(name.endswith("num_batches_tracked") for name in names)
    save_checkpoint(model, tmp_path / "model")
    again = load_checkpoint(tmp_path / "model")
    assert list(again.network.state_dict()) == names
    images = pairs_of_squares(1).images[:]
    np.testing.assert_array_equal(again.logits(images), model.logits(images))


def test_lists_of_objects_need_data_that_tell_objects_apart() -> None:
    for spec in ("torchvision/maskrcnn_resnet50_fpn?random", small_mask_rcnn()):
        with pytest.raises(ModelError, match="tells objects apart"):
            load_model(spec, CLASSES, SIDE, 0, "segmentation")
