"""Salted variation: known codes, an identity without a salt, visible differences with the content kept."""

from __future__ import annotations

import hashlib
import math

import numpy as np
import pytest
import torch
from torch import Tensor

from spellward.editors import salting
from spellward.editors.salting import CODE_SIZE, apply_code, code_from_salt, code_maps, codes_from_salts

SALT = bytes(range(16))
# What version 1 made of SALT; locks depend on it for ever.
GOLDEN = (
    1.0, 0.6566030979156494, 0.8650527596473694, -0.09652683883905411, -0.8743621706962585, 0.8538480401039124,
    -0.2960191071033478, 0.49359655380249023, 0.7054051160812378, 0.9175505042076111, -0.042026713490486145,
    0.07243543863296509, 0.3727371394634247, -0.21604321897029877, -0.937406063079834, -0.16463688015937805,
    0.38522475957870483, 0.6754443049430847, 0.399649441242218, 0.7962328195571899, -0.7410792708396912,
    0.8701890110969543, 0.12455105036497116, -0.4582352042198181,
)  # fmt: skip


def salts(count: int) -> list[bytes | None]:
    return [hashlib.md5(bytes([number])).digest() for number in range(count)]


def pictures(count: int, height: int = 64, width: int = 64) -> Tensor:
    """Shapes with edges on a slope: something with content to keep; float32 in [0, 1]."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j]
    made = []
    for _ in range(count):
        colours = rng.uniform(0, 1, (3, 3))
        picture = (colours[0] * (x + y)[..., None] / 2).astype(np.float32)
        for colour in colours[1:]:
            centre, radius = rng.uniform(0.2, 0.8, 2), rng.uniform(0.15, 0.3)
            picture[np.hypot(y - centre[0], x - centre[1]) < radius] = colour
        made.append(picture)
    return torch.from_numpy(np.stack(made)).permute(0, 3, 1, 2).contiguous()


def luma(images: Tensor) -> Tensor:
    return (images * torch.tensor(salting.LUMA)[:, None, None]).sum(1)


def test_a_salt_always_makes_the_same_code() -> None:
    assert code_from_salt(SALT).tolist() == list(GOLDEN)
    assert torch.equal(code_from_salt(SALT), code_from_salt(bytes(SALT)))
    assert code_from_salt(SALT).dtype == torch.float32


def test_codes_fill_their_range() -> None:
    codes = codes_from_salts(salts(200))
    assert codes.shape == (200, CODE_SIZE)
    assert bool((codes[:, 0] == 1).all())
    free = codes[:, 1:]
    assert free.min() >= -1 and free.max() <= 1
    # Uniform in [-1, 1]: mean 0 and deviation 0.577, and no number follows from another.
    assert free.mean(0).abs().max() < 0.2
    assert (free.std(0) - 1 / math.sqrt(3)).abs().max() < 0.1
    assert (torch.corrcoef(free.T) - torch.eye(CODE_SIZE - 1)).abs().max() < 0.35


def test_no_salt_is_a_zero_code() -> None:
    assert torch.equal(code_from_salt(None), torch.zeros(CODE_SIZE))
    assert torch.equal(codes_from_salts([None, SALT, None])[[0, 2]], torch.zeros(2, CODE_SIZE))
    assert codes_from_salts([]).shape == (0, CODE_SIZE)


def test_a_zero_code_changes_nothing() -> None:
    images = pictures(3)
    assert torch.equal(apply_code(images, torch.zeros(3, CODE_SIZE)), images)
    assert not code_maps(torch.zeros(2, CODE_SIZE), 8, 8).any()


@pytest.mark.parametrize("size", [(64, 64), (17, 23), (1, 1), (100, 75)])
def test_every_image_is_varied_by_itself(size: tuple[int, int]) -> None:
    images, codes = pictures(5, *size), codes_from_salts([*salts(4), None])
    together = apply_code(images, codes)
    assert together.shape == images.shape
    assert together.min() >= 0 and together.max() <= 1 and bool(together.isfinite().all())
    alone = torch.cat([apply_code(images[i : i + 1], codes[i : i + 1]) for i in range(5)])
    assert (together - alone).abs().max() < 1e-5
    order = torch.tensor([3, 0, 4, 2, 1])
    assert (apply_code(images[order], codes[order]) - together[order]).abs().max() < 1e-5
    assert torch.equal(together[4], images[4])


def test_salts_look_different_from_each_other_and_from_none() -> None:
    images = pictures(8)
    seen = [images, *(apply_code(images, code_from_salt(salt).expand(8, -1)) for salt in salts(12))]
    apart = [float((one - other).square().mean().sqrt()) for i, one in enumerate(seen) for other in seen[:i]]
    assert min(apart) > 0.1


def test_the_content_is_kept() -> None:
    images = pictures(16)
    correlations = []
    for salt in salts(40):
        varied = apply_code(images, code_from_salt(salt).expand(16, -1))
        for before, after in zip(luma(images), luma(varied), strict=True):
            correlations.append(np.corrcoef(before.flatten(), after.flatten())[0, 1])
    assert np.mean(correlations) > 0.6
    assert np.quantile(correlations, 0.05) > 0.2


def hue_code(value: float) -> Tensor:
    code = torch.zeros(CODE_SIZE)
    code[7] = value
    return code[None]


@pytest.mark.parametrize("value", [-1.0, -0.4, 0.0, 0.3, 0.77])
def test_the_hue_turns_as_a_rotation_matrix_says(value: float) -> None:
    # Greyish colours, so that no channel is cut off. The axis is (1, 1, 1); luma, not the mean, is what stays.
    images = 0.5 + 0.1 * (torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(1)) - 0.5)
    axis = np.ones(3) / math.sqrt(3)
    cross = np.array([[0, -axis[2], axis[1]], [axis[2], 0, -axis[0]], [-axis[1], axis[0], 0]])
    angle = math.pi * value
    turn = np.cos(angle) * np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * np.outer(axis, axis)
    # The axis term of Rodrigues' formula acts on the grey part of the chroma alone, which a luma of its own leaves in.
    pixels = images.numpy().transpose(0, 2, 3, 1).astype(np.float64)
    grey = (pixels @ np.array(salting.LUMA))[..., None]
    chroma = pixels - grey
    along = (chroma @ axis)[..., None] * axis
    wanted = grey + (chroma - along) @ turn.T + along * np.cos(angle)
    turned = salting._rotate_hue(images, hue_code(value)).numpy().transpose(0, 2, 3, 1)
    assert np.abs(turned - wanted).max() < 1e-5


def test_grey_has_no_hue_to_turn() -> None:
    grey = torch.rand(1, 1, 8, 8).expand(1, 3, 8, 8)
    assert (salting._rotate_hue(grey, hue_code(0.9)) - grey).abs().max() < 1e-6


def test_the_warp_is_gentle() -> None:
    ramp = torch.linspace(0, 1, 64).expand(1, 3, 64, 64)
    code = torch.zeros(1, CODE_SIZE)
    code[0, 20:24] = torch.tensor([1.0, 1.0, 0.3, -0.6])
    assert (salting._warp(ramp, code) - ramp).abs().max() <= 0.025 + 1e-4
    assert (salting._warp(ramp, torch.zeros(1, CODE_SIZE)) - ramp).abs().max() < 1e-5
