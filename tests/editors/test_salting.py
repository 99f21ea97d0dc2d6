import math

import numpy as np
import pytest
import torch

from spellward.editors.salting import CODE_SIZE, apply_code, code_from_salt, codes_from_salts


def pictures() -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    rough = torch.rand((4, 3, 8, 8), generator=generator)
    return torch.nn.functional.interpolate(rough, size=(64, 64), mode="bilinear")


def test_code_of_a_salt_never_changes() -> None:
    code = code_from_salt(bytes(range(16)))
    assert code.shape == (CODE_SIZE,)
    assert code[0] == 1
    assert code[1:].abs().max() <= 1
    # Another value would mean that keys of earlier versions open nothing any more.
    assert code[1:4].tolist() == pytest.approx([0.656603, 0.865053, -0.096527], abs=1e-6)


def test_no_salt_changes_nothing() -> None:
    images = pictures()
    assert torch.equal(apply_code(images, codes_from_salts([None] * 4)), images)


def test_salts_differ_visibly_and_keep_the_content() -> None:
    images = pictures()
    rng = np.random.default_rng(0)
    varied = torch.stack([apply_code(images, codes_from_salts([rng.bytes(16)] * 4)) for _ in range(8)])
    for first in range(8):
        for second in range(first):
            assert (varied[first] - varied[second]).square().mean().sqrt() > 0.08
    for one in varied:
        correlation = np.corrcoef(one.mean(1).flatten(), images.mean(1).flatten())[0, 1]
        assert correlation > 0.35


def test_a_row_depends_on_its_own_code_alone() -> None:
    images, codes = pictures(), codes_from_salts([bytes([n] * 16) for n in range(4)])
    assert torch.allclose(apply_code(images, codes)[2:3], apply_code(images[2:3], codes[2:3]), atol=1e-6)


def test_hue_rotation_agrees_with_a_rotation_matrix_about_grey() -> None:
    from spellward.editors.salting import _rotate_hue

    images = 0.4 + 0.2 * pictures()
    codes = torch.zeros(4, CODE_SIZE)
    codes[:, 0], codes[:, 7] = 1.0, 1 / 3
    angle = math.pi / 3
    axis = np.ones(3) / math.sqrt(3)
    cross = np.array([[0, -axis[2], axis[1]], [axis[2], 0, -axis[0]], [-axis[1], axis[0], 0]])
    # Around luma instead of the mean, chroma has a part along grey, which this rotation only scales.
    luma = (images * torch.tensor([0.299, 0.587, 0.114])[None, :, None, None]).sum(1, keepdim=True)
    chroma = (images - luma).permute(0, 2, 3, 1).numpy()
    expected = luma.permute(0, 2, 3, 1).numpy() + chroma * math.cos(angle) + chroma @ cross.T * math.sin(angle)
    assert np.abs(_rotate_hue(images, codes).permute(0, 2, 3, 1).numpy() - expected).max() < 1e-5
