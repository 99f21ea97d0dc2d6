from __future__ import annotations

import numpy as np
import pytest
import torch
from tests.models.tiny import pictures

from spellward.data import MaskTable, mask_table_from_arrays, table_from_arrays
from spellward.models.augment import AUGMENTATIONS, augment, varied


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


def test_variants_are_the_image_itself_and_then_others() -> None:
    table = table_from_arrays(pictures(20, side=24), np.arange(20) % 4, "abcd")
    several = varied(table, 3, AUGMENTATIONS, seed=5)
    assert len(several) == 60
    assert several.labels.tolist() == table.labels.tolist() * 3
    assert torch.equal(several.images[:20], table.images[:])
    one, other = several.images[20:40], several.images[40:]
    assert not torch.equal(one, other)
    assert sum(torch.equal(new, old) for new, old in zip(one, table.images[:], strict=True)) < 10


def test_a_variant_does_not_depend_on_what_is_read_with_it() -> None:
    table = table_from_arrays(pictures(20, side=24), np.arange(20) % 4, "abcd")
    several = varied(table, 3, AUGMENTATIONS, seed=5)
    whole = several.images[:]
    rows = np.array([59, 3, 21, 21, 40])
    assert torch.equal(several.images[rows], whole[rows])
    assert torch.equal(several.subset(rows).images[[1, 2]], whole[[3, 21]])


def test_variants_leave_the_table_as_it_is() -> None:
    table = table_from_arrays(pictures(8, side=24), np.arange(8) % 4, "abcd")
    before = table.images[:].clone()
    varied(table, 4, AUGMENTATIONS, seed=0).images[:]
    assert torch.equal(table.images[:], before)
    assert varied(table, 1, AUGMENTATIONS, seed=0) is varied(table, 3, (), seed=0) is table


def test_what_makes_variants_differ_names_them() -> None:
    table = table_from_arrays(pictures(8, side=24), np.arange(8) % 4, "abcd")
    tables = [
        varied(table, *rest) for rest in ((2, ("flip",), 0), (2, ("flip",), 1), (2, ("shift",), 0), (3, ("flip",), 0))
    ]
    assert len({one.fingerprint for one in (table, *tables)}) == 5


def test_masks_move_with_their_images() -> None:
    ids = np.random.default_rng(0).integers(1, 4, (20, 24, 24), dtype=np.uint8)
    instances = np.random.default_rng(1).integers(0, 9, (20, 24, 24), dtype=np.uint8)
    masks = np.stack([ids, instances, np.zeros_like(ids)], axis=1)
    # The pictures are the masks themselves, so wherever a pixel goes, both must show the same.
    table = mask_table_from_arrays(masks, masks)
    several = varied(table, 3, AUGMENTATIONS, seed=5)
    assert isinstance(several, MaskTable) and len(several) == 60
    assert several.labels.tolist() == table.labels.tolist() * 3
    assert torch.equal(several.images[:], several.masks[:])
    assert not torch.equal(several.masks[:20], several.masks[20:40])
    view = several.subset([41, 7])
    assert torch.equal(view.truth([0, 1]), several.images[[41, 7]][:, 0].long())
    assert varied(table, 1, AUGMENTATIONS, seed=5) is table
