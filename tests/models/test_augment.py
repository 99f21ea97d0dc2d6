from __future__ import annotations

import numpy as np
import pytest
import torch
from tests.models.tiny import pictures

from spellward.models.augment import AUGMENTATIONS, augment


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_the_same_generator_gives_the_same_images() -> None:
    images = pictures(16, side=24)
    assert torch.equal(augment(images, AUGMENTATIONS, rng()), augment(images, AUGMENTATIONS, rng()))
    assert not torch.equal(augment(images, AUGMENTATIONS, rng()), augment(images, AUGMENTATIONS, rng(1)))


def test_a_flip_mirrors_about_half_of_the_images_and_nothing_else() -> None:
    images = pictures(200, side=9)
    flipped = augment(images, ("flip",), rng())
    mirrored = [bool(torch.equal(new, old.flip(2))) for new, old in zip(flipped, images, strict=True)]
    same = [bool(torch.equal(new, old)) for new, old in zip(flipped, images, strict=True)]
    assert all(one or other for one, other in zip(mirrored, same, strict=True))
    assert 70 < sum(mirrored) < 130


def test_a_shift_moves_by_at_most_a_twelfth_and_repeats_the_border() -> None:
    side = 24
    columns = torch.arange(side, dtype=torch.uint8).expand(100, 3, side, side)
    shifted = augment(columns, ("shift",), rng())
    moves = {int(image[0, 0, side // 2]) - side // 2 for image in shifted}
    assert moves == {-2, -1, 0, 1, 2}
    for image in shifted:
        move = int(image[0, 0, side // 2]) - side // 2
        assert image[0, 0].tolist() == (np.arange(side) + move).clip(0, side - 1).tolist()


def test_no_names_change_nothing_and_unknown_names_are_refused() -> None:
    images = pictures(3)
    assert torch.equal(augment(images, (), rng()), images)
    with pytest.raises(ValueError, match="swirl"):
        augment(images, ("swirl",), rng())
