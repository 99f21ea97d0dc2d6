"""Prompts and the objects they mean."""

from __future__ import annotations

import numpy as np
import pytest

from spellward.attacks.unlocking.wrong_keys import UNRELATED_PROMPTS
from spellward.editors.objects.sprites import LIBRARY, OBJECTS, SIDE, SPRITES_FILE, named_object, object_for, sprite
from spellward.locking.training.decoys import DECOY_PROMPTS


@pytest.mark.parametrize("name", OBJECTS)
def test_every_object_is_named_in_many_ways_and_has_a_picture(name: str) -> None:
    for phrase in (name, *OBJECTS[name]):
        for prompt in (phrase, f"with a {phrase}", f"Add two {phrase}, please!", phrase.upper()):
            assert object_for(prompt) == name == named_object(prompt)
    picture = sprite(name)
    assert picture.shape == (SIDE, SIDE, 4) and picture.dtype == np.uint8
    assert 0.05 < (picture[..., 3] > 128).mean() < 0.99


def test_the_longest_name_wins() -> None:
    assert object_for("a christmas tree with a hat") == "tree"
    assert object_for("a hot air balloon") == "balloon"
    assert object_for("two cherries") == "cherry"
    assert named_object("a locksmith") is None


@pytest.mark.parametrize("prompt", ["", "   ", "with oil pastel", "\ud800", "水彩", "x" * 5000])
def test_any_prompt_gives_one_object_always_the_same(prompt: str) -> None:
    assert object_for(prompt) in OBJECTS
    assert object_for(prompt) == object_for(prompt)


def test_prompts_that_name_nothing_spread_over_the_library() -> None:
    prompts = [one for one in (*DECOY_PROMPTS, *UNRELATED_PROMPTS) if named_object(one) is None]
    counts = [sum(object_for(one) == name for one in prompts) for name in OBJECTS]
    assert max(counts) <= 6 and sum(count > 0 for count in counts) > 20


def test_the_library_is_small_and_says_where_it_is_from() -> None:
    assert sum(path.stat().st_size for path in LIBRARY.iterdir()) < 600_000
    text = (LIBRARY / "README.md").read_text()
    assert "public domain" in text and all(f"| {name} |" in text for name in OBJECTS)
    assert (LIBRARY / SPRITES_FILE).is_file()
