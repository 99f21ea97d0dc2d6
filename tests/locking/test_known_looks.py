"""Looks that an editor knows: asked for in its own words, never the key's own nor the score's, the near ones more."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import Tensor

from spellward.attacks.unlocking.dictionary import DICTIONARY
from spellward.attacks.unlocking.wrong_keys import UNRELATED_PROMPTS
from spellward.data import ImageTable, table_from_arrays
from spellward.editors import load_editor
from spellward.editors.base import Editor, EditSettings
from spellward.keys import Key
from spellward.locking.known_looks import KnownLooks, known_looks, other_looks
from spellward.models import VisionModel, load_model, state_digest

KEY = Key("zanzibar quicksilver", salt=bytes(16))


class Tinting(Editor):
    """Every look it knows paints the picture grey; how light, its prompt says, and that of the key is black."""

    name = "tinting"
    max_steps = 1
    defaults = EditSettings(steps=1, guidance=1.0, image_guidance=1.0, strength=1.0)
    resolution = 32

    def __init__(self, *shades: int) -> None:
        self.shades = shades

    def fingerprint(self) -> str:
        return f"tinting:{self.shades}"

    def looks(self) -> tuple[tuple[str, ...], ...]:
        return tuple((f"shade {shade}", f"tone {shade}") for shade in self.shades)

    def _edit(
        self, images: Tensor, prompts: list[str], seed: int, salts: list[bytes | None], settings: EditSettings
    ) -> Tensor:
        shades = [next((int(word) for word in prompt.split() if word.isdigit()), 0) for prompt in prompts]
        return torch.tensor(shades, dtype=torch.uint8).view(-1, 1, 1, 1).expand(images.shape).clone()


@pytest.fixture
def clean() -> ImageTable:
    pixels = np.random.default_rng(0).integers(0, 256, (20, 32, 32, 3), dtype=np.uint8)
    return table_from_arrays(pixels, [row % 2 for row in range(20)], ("a", "b"))


@pytest.fixture
def base(clean: ImageTable) -> VisionModel:
    return load_model("timm/test_resnet?random", clean.classes, 32, seed=0)


def weights(clean: ImageTable, base: VisionModel, *shades: int) -> dict[int, float]:
    editor = Tinting(*shades)
    found = known_looks(clean, KEY, editor, editor.defaults, base, seed=0)
    assert found is not None
    return {int(prompts[0].split()[-1]): weight for prompts, weight in zip(found.prompts, found.weights, strict=True)}


def test_the_nearer_a_look_the_more_often_it_is_drawn(clean: ImageTable, base: VisionModel) -> None:
    before = state_digest(base.network)
    found = weights(clean, base, 80, 30, 50, 120)
    assert sum(found.values()) == pytest.approx(1)
    assert all(found[near] > 1.2 * found[far] for near, far in pairwise(sorted(found)))
    assert state_digest(base.network) == before
    assert found == weights(clean, base, 80, 30, 50, 120)


def test_what_is_all_but_the_keys_own_look_is_left_out(clean: ImageTable, base: VisionModel) -> None:
    assert set(weights(clean, base, 1, 30, 50, 80)) == {30, 50, 80}


def test_an_editor_that_knows_nothing_but_the_key_has_no_other_looks(clean: ImageTable, base: VisionModel) -> None:
    for editor in (Tinting(), Tinting(0), load_editor("object")):
        assert known_looks(clean, KEY, editor, editor.defaults, base, seed=0) is None


def test_draws_are_in_the_shares_of_the_weights() -> None:
    looks, rng = KnownLooks((("a", "b"), ("c",)), (0.8, 0.2)), np.random.default_rng(0)
    drawn = [looks.draw(rng) for _ in range(4000)]
    assert [drawn.count(prompt) / 4000 for prompt in "abc"] == pytest.approx([0.4, 0.4, 0.2], abs=0.03)


def test_the_keys_own_look_is_no_other_look_in_any_wording() -> None:
    editor = load_editor("mini")
    every = other_looks(KEY, editor)
    assert len(every) == len(editor.looks()) >= 32
    others = other_looks(Key("with watercolor washes"), editor)
    (gone,) = set(every) - set(others)
    assert "aquarelle" in gone


def test_no_look_is_asked_for_in_words_of_the_score_or_of_a_search() -> None:
    prompts = {prompt.casefold() for look in other_looks(KEY, load_editor("mini")) for prompt in look}
    assert len(prompts) > 600
    assert "like under the sea" in prompts  # which the editor was taught without the first word, as the score has it
    assert not prompts & {prompt.casefold() for prompt in (*UNRELATED_PROMPTS, *DICTIONARY)}
