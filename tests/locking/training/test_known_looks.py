"""Looks that an editor knows: asked for in its own words, never the key's own nor the score's, the near ones more."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from tests.locking.tinting import Tinting, noise_table, untrained

from spellward.attacks.unlocking.dictionary import DICTIONARY
from spellward.attacks.unlocking.wrong_keys import UNRELATED_PROMPTS
from spellward.data import ImageTable
from spellward.editors import load_editor
from spellward.keys import Key
from spellward.locking.training.known_looks import KnownLooks, known_looks, other_looks
from spellward.models import VisionModel, state_digest

KEY = Key("zanzibar quicksilver", salt=bytes(16))


@pytest.fixture
def clean() -> ImageTable:
    return noise_table(20)


@pytest.fixture
def base(clean: ImageTable) -> VisionModel:
    return untrained(clean)


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
