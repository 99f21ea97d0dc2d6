"""What the base class of all editors owns: validation, broadcasting, batching and the blend."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from torch import Tensor

from spellward.editors.base import Editor, EditSettings, blend
from spellward.errors import EditorError
from spellward.keys import MAX_PROMPT_CHARACTERS

SALT = bytes(range(16))


class Recorder(Editor):
    """Inverts images and remembers what it was asked for."""

    name: ClassVar[str] = "recorder"
    max_steps: ClassVar[int] = 5
    defaults = EditSettings(steps=1, guidance=1.0, image_guidance=1.0, strength=1.0)
    batch_size = 3

    def __init__(self) -> None:
        self.calls: list[tuple[list[str], int, list[bytes | None], EditSettings]] = []

    def fingerprint(self) -> str:
        return "recorder"

    def _edit(
        self, images: Tensor, prompts: list[str], seed: int, salts: list[bytes | None], settings: EditSettings
    ) -> Tensor:
        self.calls.append((prompts, seed, salts, settings))
        return 255 - images


def pictures(count: int = 4) -> Tensor:
    return torch.randint(0, 256, (count, 3, 5, 7), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def test_batches_get_their_own_prompts_and_salts() -> None:
    editor = Recorder()
    edited = editor.edit(pictures(), ["a", "b", "c", "d"], 7, [None, SALT, None, SALT])
    assert torch.equal(edited, 255 - pictures())
    assert editor.calls == [
        (["a", "b", "c"], 7, [None, SALT, None], editor.defaults),
        (["d"], 7, [SALT], editor.defaults),
    ]


def test_one_prompt_and_one_salt_stand_for_all() -> None:
    editor = Recorder()
    editor.edit(pictures(2), "p", salts=SALT)
    assert editor.calls == [(["p", "p"], 0, [SALT, SALT], editor.defaults)]


def test_no_images_ask_for_nothing() -> None:
    editor = Recorder()
    assert editor.edit(pictures(0), "p").shape == (0, 3, 5, 7)
    assert editor.calls == []


def test_the_source_is_left_alone_and_may_be_any_view() -> None:
    images = pictures()
    before = images.clone()
    assert torch.equal(Recorder().edit(images[::2].transpose(2, 3), "p"), 255 - before[::2].transpose(2, 3))
    one = images[:1].expand(4, -1, -1, -1)
    assert torch.equal(Recorder().edit(one, "p"), 255 - before[:1].repeat(4, 1, 1, 1))
    assert torch.equal(images, before)


def test_an_array_of_numpy_is_edited_as_its_tensor_is() -> None:
    images = pictures()
    frozen = images.numpy().copy()
    frozen.flags.writeable = False
    for given in (images.numpy(), frozen):
        assert torch.equal(Recorder().edit(given, "p"), 255 - images)
    assert torch.equal(Recorder().edit(frozen[:, :, ::-1], "p"), 255 - images.flip(2))


@pytest.mark.parametrize("strength", [0.01, 0.25, 0.5, 0.6, 0.999, 1.0])
def test_the_blend_is_numpys(strength: float) -> None:
    rng = np.random.default_rng(0)
    source, edited = (rng.integers(0, 256, (2, 3, 16, 16), dtype=np.uint8) for _ in range(2))
    wanted = (1 - strength) * source.astype(np.float64) + strength * edited.astype(np.float64)
    mixed = blend(torch.from_numpy(source), torch.from_numpy(edited), strength)
    assert mixed.dtype == torch.uint8
    assert np.abs(mixed.numpy() - wanted).max() <= 0.5 + 1e-3


def test_the_blend_is_a_part_of_every_edit() -> None:
    settings = dataclasses.replace(Recorder.defaults, strength=0.25)
    edited = Recorder().edit(pictures(), "p", settings=settings)
    assert torch.equal(edited, blend(pictures(), 255 - pictures(), 0.25))


ARGUMENTS: list[tuple[dict[str, Any], str]] = [
    ({"images": pictures().float()}, "uint8 images"),
    ({"images": pictures()[0]}, "uint8 images"),
    ({"images": pictures().numpy()[0]}, r"uint8 images .* got torch\.uint8 \[3, 5, 7\]"),
    ({"images": pictures().numpy().astype(np.float32)}, "uint8 images .* got an array of float32"),
    ({"images": [1, 2, 3]}, "uint8 images .* got list"),
    ({"images": pictures()[:, :1]}, "uint8 images"),
    ({"images": pictures().permute(0, 2, 3, 1)}, "uint8 images"),
    ({"images": pictures()[..., :0]}, "at least one pixel"),
    ({"prompts": ["a"] * 3}, "4 images but 3 prompts"),
    ({"prompts": []}, "0 prompts"),
    ({"prompts": "x" * (MAX_PROMPT_CHARACTERS + 1)}, "at most 10000 characters"),
    ({"prompts": ["a", "b", "c", "x" * (MAX_PROMPT_CHARACTERS + 1)]}, "this one has 10001"),
    ({"salts": [SALT]}, "1 salts"),
    ({"salts": b"short"}, "16 bytes"),
    ({"salts": [None, None, None, SALT + b"x"]}, "16 bytes"),
    ({"seed": -1}, "seed"),
    ({"seed": 2**63}, "seed"),
    ({"settings": EditSettings(0, 1.0, 1.0, 1.0)}, "1 to 5 steps; got 0"),
    ({"settings": EditSettings(6, 1.0, 1.0, 1.0)}, "1 to 5 steps; got 6"),
    ({"settings": EditSettings(1, float("nan"), 1.0, 1.0)}, "Guidance"),
    ({"settings": EditSettings(1, 1.0, float("inf"), 1.0)}, "Guidance"),
    ({"settings": EditSettings(1, 1.0, 1.0, 0.0)}, "strength"),
    ({"settings": EditSettings(1, 1.0, 1.0, 1.01)}, "strength"),
    ({"settings": EditSettings(1, 1.0, 1.0, float("nan"))}, "strength"),
]


@pytest.mark.parametrize(("arguments", "message"), ARGUMENTS)
def test_arguments_that_make_no_sense_are_refused(arguments: dict[str, Any], message: str) -> None:
    editor = Recorder()
    with pytest.raises(EditorError, match=message) as caught:
        editor.edit(**{"images": pictures(), "prompts": "p", **arguments})
    assert "\n" not in str(caught.value)
    assert editor.calls == []


def test_the_longest_prompt_and_the_largest_seed_are_taken() -> None:
    assert len(Recorder().edit(pictures(), "x" * MAX_PROMPT_CHARACTERS, 2**63 - 1)) == 4
