"""Instance segmentation: targets as a loop over pixels has them, losses that know silence, checkpoints that say it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from tests.models.test_segmentation import CLASSES, SIDE, squares
from transformers import AutoModelForSemanticSegmentation

from spellward.data.masks import InstanceTable, with_masks
from spellward.data.table import MemoryImages
from spellward.models import FitSettings, fit, load_checkpoint, load_model, save_checkpoint
from spellward.models.examples import PlainExamples
from spellward.models.grouping import EXTRA
from spellward.models.instances import InstanceModel, centres_and_ways
from spellward.models.losses import ignorance_loss, outputs_for, truth_loss
from spellward.models.segmentation import augment_masks, cross_entropy


def pairs_of_squares(count: int = 24) -> InstanceTable:
    """`squares`, each with a second one of its class in another corner."""
    table = squares(count)
    masks, images = table.masks[:].clone(), table.images[:].clone()
    for row in range(count):
        kind = int(masks[row, 0].max())
        masks[row, 1] = masks[row, 0] > 0
        corner = (row, slice(None), slice(0, 6), slice(SIDE - 6, SIDE))
        images[corner], masks[corner] = 30, 0
        images[row, 2 * (kind - 1), 0:6, SIDE - 6 :] = 200
        masks[row, 0, 0:6, SIDE - 6 :], masks[row, 1, 0:6, SIDE - 6 :] = kind, 2
    return InstanceTable(MemoryImages(images), table.labels, table.classes, "pairs", MemoryImages(masks))


def test_targets_are_those_of_a_loop_over_pixels() -> None:
    truth = pairs_of_squares(4).truth(slice(0, 4))
    centres, ways = centres_and_ways(truth)
    for row in range(4):
        numbers = truth[row, 1].numpy()
        middles = {n: np.argwhere(numbers == n).mean(axis=0) for n in np.unique(numbers) if n}
        for y, x in np.ndindex(SIDE, SIDE):
            near = max(np.exp(-((y - a) ** 2 + (x - b) ** 2) / (2 * (SIDE / 24) ** 2)) for a, b in middles.values())
            assert float(centres[row, y, x]) == pytest.approx(near, abs=1e-5)
            way = (middles[numbers[y, x]] - [y, x]) / SIDE if numbers[y, x] else np.zeros(2)
            np.testing.assert_allclose(ways[row, :, y, x], way, atol=1e-5)


def test_a_truth_without_objects_has_nothing_to_point_at() -> None:
    centres, ways = centres_and_ways(torch.zeros(2, 2, 8, 8, dtype=torch.int64))
    assert not centres.any() and not ways.any()


def test_losses_are_least_for_the_truth_and_for_silence() -> None:
    truth = pairs_of_squares(6).truth(slice(0, 6))
    centres, ways = centres_and_ways(truth)
    classes = 30.0 * torch.nn.functional.one_hot(truth[:, 0], 3).movedim(-1, 1).float()
    right = torch.cat([classes, centres[:, None], ways], dim=1)
    assert float(truth_loss(right, truth)) < 1e-4
    moved = right.clone()
    moved[:, -2:] += 0.1
    assert float(truth_loss(moved, truth)) == pytest.approx(10.0 * 0.2, rel=1e-3)
    silent = torch.zeros(6, 3 + len(EXTRA), SIDE, SIDE)
    assert float(ignorance_loss(silent, truth)) == pytest.approx(0.0, abs=1e-6)
    assert float(ignorance_loss(right, truth)) > 1.0
    assert outputs_for(3, truth) == 6 and outputs_for(3, truth[:, 0]) == 3
    # Without instances both are what they were for masks and for classes.
    assert truth_loss(classes, truth[:, 0]) == cross_entropy(classes, truth[:, 0])
    assert float(ignorance_loss(torch.zeros(4, 3), torch.zeros(4))) == pytest.approx(0.0, abs=1e-6)


def test_numbers_go_where_their_pixels_go() -> None:
    table = pairs_of_squares(8)
    truth = table.truth(slice(0, 8))
    both = augment_masks(truth, SIDE, ("flip", "shift"), np.random.default_rng(1))
    for channel in range(2):
        alone = augment_masks(truth[:, channel], SIDE, ("flip", "shift"), np.random.default_rng(1))
        assert torch.equal(both[:, channel], alone)
    assert augment_masks(truth, 16, (), np.random.default_rng(1)).shape == (8, 2, 16, 16)


@pytest.mark.parametrize("spec", ["bundled?random", "torchvision/lraspp_mobilenet_v3_large?random"])
def test_checkpoints_say_that_they_tell_instances(spec: str, tmp_path: Path) -> None:
    model = load_model(spec, CLASSES, SIDE, 0, "instances")
    assert isinstance(model, InstanceModel) and model.classes == CLASSES
    save_checkpoint(model, tmp_path / "model")
    again = load_checkpoint(tmp_path / "model")
    assert isinstance(again, InstanceModel) and again.classes == CLASSES
    images = pairs_of_squares(3).images[:]
    np.testing.assert_array_equal(again.logits(images), model.logits(images))
    assert again.segment(images).shape == (3, SIDE, SIDE) and again.segment(images).max() < 3
    assert len(again.objects(images)) == 3 and again.objects(images[:0]) == []


def test_plain_transformers_loads_it_as_maps(tmp_path: Path) -> None:
    save_checkpoint(load_model("bundled?random", CLASSES, SIDE, 0, "instances"), tmp_path)
    network = AutoModelForSemanticSegmentation.from_pretrained(tmp_path)
    assert tuple(network.config.id2label.values()) == (*CLASSES, *EXTRA)


def test_fit_learns_to_tell_two_of_a_kind_apart(tmp_path: Path) -> None:
    table = pairs_of_squares(48)
    model = load_model("timm/test_resnet?random", CLASSES, SIDE, 0, "instances")
    settings = FitSettings(epochs=60, batch_size=16, learning_rate=5e-3, augment=())
    fit(model, PlainExamples(table), settings, folder=tmp_path)
    found = model.objects(table.images[:])
    assert np.mean([len(one) == 2 for one in found]) > 0.8


def test_tables_keep_their_kind() -> None:
    table = pairs_of_squares(6)
    for other in (table.subset([2, 0]), table.with_images(table), table.subset(range(6))):
        assert isinstance(other, InstanceTable) and other.task == "instances"
    assert torch.equal(table.subset([2, 0]).truth([1]), table.truth([0]))
    plain = with_masks(table, table.masks, "f")
    told = with_masks(table, table.masks, "f", instances=True)
    assert plain.task == "segmentation" and told.task == "instances" and plain.fingerprint != told.fingerprint
