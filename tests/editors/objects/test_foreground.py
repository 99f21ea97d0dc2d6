"""What is foreground: planted objects are found, given masks are used, and no image depends on its neighbours."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tests.models.test_segmentation import CLASSES, SIDE, squares
from torch import Tensor

from spellward.data import load_splits, prepare
from spellward.data.masks import InstanceTable
from spellward.editors.objects.foreground import GivenForeground, SaliencyForeground, SegmenterForeground
from spellward.models import load_model


@pytest.fixture(scope="module")
def saliency() -> SaliencyForeground:
    return SaliencyForeground()


def discs(count: int = 12, side: int = 64) -> tuple[Tensor, Tensor]:
    """Bright discs on dark noise: uint8 [N, 3, side, side] and bool [N, side, side]."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 40, (count, side, side, 3), dtype=np.uint8)
    y, x = np.mgrid[:side, :side]
    masks = np.stack([(y - side / 2) ** 2 + (x - side / 2 - row + 6) ** 2 < (side / 5) ** 2 for row in range(count)])
    images[masks] = (210, 160, 90)
    return torch.from_numpy(images).permute(0, 3, 1, 2), torch.from_numpy(masks)


@pytest.mark.parametrize("side", [48, 64, 100])
def test_saliency_covers_a_planted_object_and_leaves_background(saliency: SaliencyForeground, side: int) -> None:
    images, masks = discs(side=side)
    found = saliency(images)
    assert found.shape == masks.shape and found.dtype == torch.bool
    assert found[masks].float().mean() > 0.97
    assert found[~masks].float().mean() < 0.35


def test_saliency_covers_clothes(saliency: SaliencyForeground) -> None:
    images = prepare(load_splits("sample:fashion").test, 64, progress=False).images[:64]
    true = images.amax(dim=1) > 60
    found = saliency(images)
    assert found[true].float().mean() > 0.95
    assert found.float().mean() < 0.7


def test_no_image_depends_on_its_neighbours(saliency: SaliencyForeground) -> None:
    images, _ = discs(40)
    together = saliency(images)
    assert torch.equal(saliency(images.flip(0)).flip(0), together)
    assert torch.equal(torch.cat([saliency(images[row : row + 1]) for row in range(5)]), together[:5])
    assert saliency(images[:0]).shape == (0, 64, 64)


def test_given_masks_are_used_and_others_are_guessed(saliency: SaliencyForeground) -> None:
    table = squares(6)
    given = GivenForeground.of(table, saliency)
    images, truth = table.images[:], table.truth(slice(None)) > 0
    assert torch.equal(given(images), truth)
    numbered = InstanceTable(table.images, table.labels, table.classes, "", masks=table.masks)
    assert torch.equal(GivenForeground.of(numbered, saliency)(images), truth)
    strangers, _ = discs(3, SIDE)
    mixed = given(torch.cat([images[:2], strangers, images[2:3]]))
    assert torch.equal(mixed[[0, 1, 5]], truth[:3])
    assert torch.equal(mixed[2:5], saliency(strangers))
    assert given.name != GivenForeground.of(table.subset([0]), saliency).name


def test_a_segmentation_network_says_what_is_foreground() -> None:
    model = load_model("bundled", CLASSES, SIDE, 0, "segmentation")
    images = squares(4).images[:]
    ids = torch.from_numpy(model.segment(images))
    assert torch.equal(SegmenterForeground(model)(images), ids != 0)
    assert torch.equal(SegmenterForeground(model, (0, 2))(images), ids == 1)
    assert SegmenterForeground(model).name != SegmenterForeground(model, (1,)).name
