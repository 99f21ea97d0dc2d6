"""Sides up to a multiple, and full batches: nothing that was there changes."""

from __future__ import annotations

import pytest
import torch

from spellward.editors.padding import fill_batch, pad_to_multiple


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
@pytest.mark.parametrize(("height", "width", "least"), [(8, 16, 1), (9, 3, 1), (9, 3, 16), (1, 1, 24), (32, 20, 16)])
def test_sides_are_filled_with_the_last_row_and_column(height: int, width: int, least: int, dtype: torch.dtype) -> None:
    images = (255 * torch.rand(2, 3, height, width)).to(dtype)
    wide = pad_to_multiple(images, 8, least)
    assert wide.dtype == dtype and all(side % 8 == 0 and side >= least for side in wide.shape[2:])
    assert torch.equal(wide[:, :, :height, :width], images)
    assert torch.equal(wide[:, :, height:, :width], images[:, :, -1:].expand(-1, -1, wide.shape[2] - height, -1))
    assert torch.equal(
        wide[:, :, :, width:], wide[:, :, :, width - 1 : width].expand(-1, -1, -1, wide.shape[3] - width)
    )


def test_what_fits_is_left_as_it_is() -> None:
    images = torch.zeros(2, 3, 16, 24)
    assert pad_to_multiple(images, 8) is images and fill_batch(images, 2) is images


def test_a_batch_is_filled_with_its_first_row() -> None:
    rows = torch.arange(6.0).reshape(3, 2)
    assert fill_batch(rows, 5).tolist() == [[0, 1], [2, 3], [4, 5], [0, 1], [0, 1]]
