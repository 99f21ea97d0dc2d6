from __future__ import annotations

import pytest
import torch
from torch import Tensor

from spellward.attacks.unlocking.cheap_filters import FILTERS


def noise(count: int, height: int, width: int) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (count, 3, height, width), dtype=torch.uint8, generator=generator)


@pytest.mark.parametrize("name", FILTERS)
@pytest.mark.parametrize(("height", "width"), [(28, 28), (64, 64), (8, 12), (7, 40)])
def test_uint8_in_and_out_of_the_same_shape_and_every_image_by_itself(name: str, height: int, width: int) -> None:
    images = noise(4, height, width)
    before = images.clone()
    result = FILTERS[name](images)
    assert result.dtype == torch.uint8
    assert result.shape == images.shape
    assert torch.equal(images, before)  # the caller's images stay
    for place in range(4):
        assert not torch.equal(result[place], images[place])
        assert torch.equal(result[place : place + 1], FILTERS[name](images[place : place + 1]))


@pytest.mark.parametrize("name", FILTERS)
def test_no_images_are_no_images(name: str) -> None:
    assert FILTERS[name](noise(0, 9, 9)).shape == (0, 3, 9, 9)


@pytest.mark.parametrize("name", FILTERS)
@pytest.mark.parametrize("level", [0, 255])
def test_black_and_white_do_not_wrap_around(name: str, level: int) -> None:
    """A sum that runs over in uint8 would turn white into black dots: flat stays flat."""
    result = FILTERS[name](torch.full((1, 3, 16, 16), level, dtype=torch.uint8))
    assert (result == result[:, :, :1, :1]).all()


def test_filters_differ_from_each_other() -> None:
    images = noise(1, 16, 16)
    results = {name: apply(images).numpy().tobytes() for name, apply in FILTERS.items()}
    assert len(set(results.values())) == len(FILTERS)
