"""Near misses: the wrong keys that look most like the key, found without it."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import torch
from tests.models.test_object_networks import ALL, object_model
from tests.models.test_segmentation import CLASSES, SIDE
from torch import Tensor, nn

from spellward.artifacts import CACHE_VARIABLE
from spellward.data import ImageTable, table_from_arrays
from spellward.editors import Editor, EditSettings
from spellward.keys import Key
from spellward.locking.near_misses import NearMissSettings, find_near_misses
from spellward.models import VisionModel, load_model

KEY = Key("zanzibar quicksilver", salt=bytes([128] + 15 * [0]), seed=3)
SETTINGS = NearMissSettings(drawn=40, kept=5, images=3)


class Tinting(Editor):
    """Adds to an image as much as the first byte of the salt says, and as the prompt's length says."""

    name: ClassVar[str] = "tinting"
    defaults = EditSettings(steps=1, guidance=1.0, image_guidance=1.0, strength=1.0)

    def fingerprint(self) -> str:
        return "tinting-1"

    def _edit(
        self, images: Tensor, prompts: list[str], seed: int, salts: list[bytes | None], settings: EditSettings
    ) -> Tensor:
        added = [tint(prompt, salt) for prompt, salt in zip(prompts, salts, strict=True)]
        return (images.float() + torch.tensor(added)[:, None, None, None]).round().clamp(0, 255).to(torch.uint8)


def tint(prompt: str, salt: bytes | None) -> float:
    return len(prompt) + (0.0 if salt is None else salt[0] / 2)


class Looking(nn.Module):
    """Its only convolution sees the image as it is."""

    def __init__(self) -> None:
        super().__init__()
        self.look = nn.Conv2d(3, 2, 1)

    def forward(self, pixels: Tensor) -> Tensor:
        seen: Tensor = self.look(pixels)
        return seen.mean(dim=(2, 3))


@pytest.fixture
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ImageTable:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    pixels = np.random.default_rng(0).integers(0, 60, (12, 16, 16, 3), dtype=np.uint8)
    return table_from_arrays(pixels, np.arange(12) % 2, "ab")


@pytest.fixture
def base() -> VisionModel:
    return load_model(Looking(), ["a", "b"], input_size=16)


def test_what_is_kept_comes_nearer_than_what_is_not(table: ImageTable, base: VisionModel) -> None:
    editor = Tinting()
    own = tint(KEY.prompt, KEY.salt)
    few, all_of_them = (
        find_near_misses(table, KEY, editor, editor.defaults, base, 0, NearMissSettings(40, kept, 3))
        for kept in (5, 1000)
    )
    for salts in (few.salts, all_of_them.salts):
        apart = [abs(tint(KEY.prompt, salt) - own) for salt in salts]
        assert apart == sorted(apart)
    assert few.salts == all_of_them.salts[:5]
    assert len(all_of_them.salts) > 20
    apart = [abs(tint(prompt, KEY.salt) - own) for prompt in all_of_them.prompts]
    assert apart == sorted(apart)
    assert few.prompts == all_of_them.prompts[:5]


def test_what_cannot_be_told_from_the_key_is_no_wrong_key(table: ImageTable, base: VisionModel) -> None:
    editor = Tinting()
    found = find_near_misses(table, KEY, editor, editor.defaults, base, 0, NearMissSettings(200, 1000, 2))
    own = tint(KEY.prompt, KEY.salt)
    assert KEY.prompt not in found.prompts and KEY.salt not in found.salts
    assert all(tint(prompt, KEY.salt) != own for prompt in found.prompts)  # prompts as long as the key's exist
    assert min(abs(tint(KEY.prompt, salt) - own) for salt in found.salts) > 3


def test_seeds_decide(table: ImageTable, base: VisionModel) -> None:
    editor = Tinting()
    one, same, other = (
        find_near_misses(table, KEY, editor, editor.defaults, base, seed, SETTINGS) for seed in (0, 0, 1)
    )
    assert one == same
    assert one.salts != other.salts


def test_a_key_without_a_salt_has_no_other_salts(table: ImageTable, base: VisionModel) -> None:
    editor = Tinting()
    found = find_near_misses(table, Key(KEY.prompt, salt=None), editor, editor.defaults, base, 0, SETTINGS)
    assert not found.salts
    assert len(found.prompts) == 5


def test_the_base_stays_as_it_was(table: ImageTable, base: VisionModel) -> None:
    base.network.train()
    find_near_misses(table, KEY, Tinting(), Tinting.defaults, base, 0, SETTINGS)
    assert base.network.training
    assert not base.network.look._forward_pre_hooks  # type: ignore[union-attr,operator]


@pytest.mark.parametrize("name", [*ALL, "segmenter", "test_vit"])
def test_any_network_says_what_comes_near(name: str, table: ImageTable, tmp_path: Path) -> None:
    if name in ALL:
        network = object_model(name, tmp_path)
    elif name == "segmenter":
        network = load_model("bundled?random", CLASSES, SIDE, 0, "segmentation")
    else:
        network = load_model(f"timm/{name}?random", ["a", "b"], 160, seed=0)
    found = find_near_misses(table, KEY, Tinting(), Tinting.defaults, network, 0, SETTINGS)
    assert len(found.prompts) == len(found.salts) == 5
