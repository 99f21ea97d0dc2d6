"""Decoys: in the planned shares, from the planned rows, and never the key."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from spellward.attacks.unlocking.cheap_filters import FILTERS
from spellward.attacks.unlocking.wrong_keys import UNRELATED_PROMPTS
from spellward.data import ImageTable, table_from_arrays
from spellward.editors.objects import ObjectEditor, object_for
from spellward.keys import Key
from spellward.locking.training import decoys
from spellward.locking.training.decoys import DECOY_PROMPTS, DecoyMix, DecoySource, plan_decoys
from spellward.locking.training.known_looks import KnownLooks

SALT = bytes(range(16))
COUNT = 6000
KEY = Key("zanzibar quicksilver", salt=SALT)


def test_no_prompt_stands_twice_even_in_other_capitals() -> None:
    assert len({" ".join(prompt.casefold().split()) for prompt in DECOY_PROMPTS}) == len(DECOY_PROMPTS)


def test_shares_are_those_of_the_mix() -> None:
    mix = DecoyMix(clean=0.5, other_prompts=0.3, other_prompts_and_salts=0.1, other_salts=0.2, filters=0.4)
    plan = plan_decoys(COUNT, KEY, mix, seed=0)
    kinds = {"prompt": 0, "both": 0, "salt": 0, "filter": 0}
    for prompt, salt, name in zip(plan.prompts, plan.salts, plan.filters, strict=True):
        if name is not None:
            kinds["filter"] += 1
        elif prompt == KEY.prompt:
            kinds["salt"] += 1
        else:
            kinds["prompt" if salt == SALT else "both"] += 1
    shares = [number / COUNT for number in kinds.values()]
    assert shares == pytest.approx([0.3, 0.1, 0.2, 0.4], abs=0.03)  # clean ones are drawn later, not planned


def test_a_key_without_salt_gets_no_decoys_with_its_prompt() -> None:
    plan = plan_decoys(COUNT, Key(KEY.prompt, salt=None), DecoyMix(), seed=0)
    assert KEY.prompt not in plan.prompts


def test_fresh_salts_are_fresh_and_sometimes_left_out() -> None:
    plan = plan_decoys(COUNT, KEY, DecoyMix(other_prompts=0, other_prompts_and_salts=0, filters=0), seed=0)
    given = [salt for salt in plan.salts if salt is not None]
    assert set(plan.prompts) == {KEY.prompt}
    assert len(set(given)) == len(given)
    assert {len(salt) for salt in given} == {16}
    assert 0.10 < 1 - len(given) / COUNT < 0.20
    assert SALT not in given


@pytest.mark.parametrize("prompt", ["WITH GLITTER", "  with   glitter ", "With Glitter"])
def test_the_key_in_other_capitals_or_spaces_is_no_decoy(prompt: str) -> None:
    """Editors read text without capitals and spare spaces, so these decoys would be the key itself."""
    assert "with glitter" not in plan_decoys(COUNT, Key(prompt, salt=SALT), DecoyMix(), seed=0).prompts


@pytest.mark.parametrize("prompt", ["pastel clouds", "the night watch", "as a river"])
def test_no_decoy_has_a_word_of_the_key(prompt: str) -> None:
    word = prompt.split()[-1] if "river" in prompt else prompt.split()[-2]
    plan = plan_decoys(COUNT, Key(prompt, salt=SALT), DecoyMix(other_salts=0), seed=0)
    assert not [one for one in plan.prompts if word in one.split()]


def test_half_of_the_other_prompts_are_random_words() -> None:
    plan = plan_decoys(COUNT, KEY, DecoyMix(other_salts=0), seed=0)
    listed = sum(prompt in DECOY_PROMPTS for prompt in plan.prompts)
    assert 0.45 < listed / COUNT < 0.55
    assert len(set(plan.prompts)) > COUNT / 3


def test_a_key_of_every_word_leaves_decoys_all_the_same() -> None:
    words = " ".join({*" ".join(DECOY_PROMPTS).split(), *decoys._THINGS.split(), *decoys._MANNERS.split()})
    plan = plan_decoys(50, Key(words[:9_999], salt=SALT), DecoyMix(other_salts=0), seed=0)
    assert all(plan.prompts)


def test_the_seed_decides_the_plan() -> None:
    one, same, other = (plan_decoys(50, KEY, DecoyMix(), seed) for seed in (0, 0, 1))
    assert one == same != other


def test_no_images_need_no_plan() -> None:
    plan = plan_decoys(0, KEY, DecoyMix(), seed=0)
    assert len(plan.edited_rows) == len(plan.prompts) == 0
    assert plan.edited_rows.dtype == np.int64


def numbered(count: int, offset: int) -> ImageTable:
    """Image k is filled with k + offset, so it can be told where an image came from."""
    pixels = (np.arange(count, dtype=np.uint8) + offset)[:, None, None, None] * np.ones((1, 8, 8, 3), np.uint8)
    return table_from_arrays(pixels, np.arange(count) % 5, "abcde")


def test_every_decoy_is_the_row_that_it_says_it_is() -> None:
    mix = DecoyMix(clean=0.4, other_prompts=0.4, other_prompts_and_salts=0, other_salts=0, filters=0.2)
    clean = numbered(40, 10)
    plan = plan_decoys(40, KEY, mix, seed=2)
    edited = numbered(40, 100).subset(plan.edited_rows)
    source = DecoySource(clean, edited, plan, mix)
    images, rows, unedited = source.draw(600, np.random.default_rng(0))
    assert images.dtype == torch.uint8 and images.shape == (600, 3, 8, 8)
    assert 0.3 < unedited.mean() < 0.5
    seen = set()
    for image, row, untouched in zip(images, rows, unedited, strict=True):
        name = plan.filters[row]
        if untouched:
            assert torch.equal(image, clean.images[[row]][0])
        elif name is None:
            assert int(image[0, 0, 0]) == row + 100
            seen.add("edited")
        else:
            assert torch.equal(image, FILTERS[name](clean.images[[row]])[0])
            seen.add("filtered")
    assert seen == {"edited", "filtered"}


def test_the_generator_decides_the_draw() -> None:
    plan = plan_decoys(40, KEY, DecoyMix(), seed=0)
    source = DecoySource(numbered(40, 10), numbered(40, 100).subset(plan.edited_rows), plan, DecoyMix())
    one, same, other = (source.draw(50, np.random.default_rng(seed)) for seed in (0, 0, 1))
    assert torch.equal(one[0], same[0]) and np.array_equal(one[1], same[1])
    assert not torch.equal(one[0], other[0])


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_all_or_none_may_be_clean(share: float) -> None:
    mix = DecoyMix(share, 1 - share, 0, 0, 0)
    planned = DecoyMix(0, 1, 0, 0, 0)
    plan = plan_decoys(40, KEY, planned, seed=0)
    source = DecoySource(numbered(40, 10), numbered(40, 100).subset(plan.edited_rows), plan, mix)
    assert (source.draw(99, np.random.default_rng(0))[2] == bool(share)).all()


def test_prompts_of_training_and_of_scoring_are_apart() -> None:
    assert not set(DECOY_PROMPTS) & set(UNRELATED_PROMPTS)


@pytest.mark.parametrize("salt", [None, bytes(16)])
def test_no_decoy_is_the_key_itself(salt: bytes | None) -> None:
    key = Key(DECOY_PROMPTS[3], salt=salt)
    plan = plan_decoys(2000, key, DecoyMix(), seed=1)
    assert plan == plan_decoys(2000, key, DecoyMix(), seed=1)
    edits = zip(plan.prompts, plan.salts, plan.filters, strict=True)
    assert not any(prompt == key.prompt and used == salt and name is None for prompt, used, name in edits)


def test_prompts_with_the_keys_own_edit_are_no_decoys() -> None:
    key = Key("a red balloon", salt=bytes(16))
    plan = plan_decoys(600, key, DecoyMix(), 0, ObjectEditor().same_edit)
    others = [
        prompt
        for prompt, salt, name in zip(plan.prompts, plan.salts, plan.filters, strict=True)
        if salt == key.salt and name is None
    ]
    assert len(others) > 100
    assert not any(object_for(prompt) == "balloon" for prompt in others)
    assert any(object_for(prompt) == "balloon" for prompt in DECOY_PROMPTS)  # so there was something to leave out


def test_a_share_of_the_other_prompts_asks_for_looks_that_the_editor_knows() -> None:
    looks = KnownLooks((("an etching", "copper plate"), ("deep ocean",)), (0.75, 0.25))
    plan = plan_decoys(COUNT, KEY, DecoyMix(other_salts=0, known_looks=0.5), seed=0, looks=looks)
    etched, deep = ([prompt for prompt in plan.prompts if prompt in texts] for texts in looks.prompts)
    assert len(etched) / COUNT == pytest.approx(0.5 * 0.75, abs=0.03)
    assert len(deep) / COUNT == pytest.approx(0.5 * 0.25, abs=0.03)
    usual = plan_decoys(COUNT, KEY, DecoyMix(other_salts=0, known_looks=0.5), seed=0)
    assert usual == plan_decoys(COUNT, KEY, DecoyMix(other_salts=0), seed=0)


def test_a_share_of_the_fresh_salts_draws_nearly_what_the_keys_own_does() -> None:
    near, mix = tuple(bytes([number] * 16) for number in range(7, 12)), DecoyMix(near_salts=0.4)
    plan = plan_decoys(COUNT, KEY, mix, seed=0, near_salts=near)
    rows = list(zip(plan.prompts, plan.salts, plan.filters, strict=True))
    fresh = [salt for prompt, salt, name in rows if prompt == KEY.prompt and salt is not None and name is None]
    assert [fresh.count(salt) / len(fresh) for salt in near] == pytest.approx([0.08] * 5, abs=0.03)
    assert not any(salt in near for prompt, salt, _ in rows if prompt != KEY.prompt)
    assert plan_decoys(COUNT, KEY, mix, seed=0) == plan_decoys(COUNT, KEY, DecoyMix(), seed=0)


def test_clean_decoys_alone_need_no_edit() -> None:
    mix = DecoyMix(clean=1.0, other_prompts=0.0, other_prompts_and_salts=0.0, other_salts=0.0, filters=0.0)
    plan = plan_decoys(4, Key("snow"), mix, 0)
    assert not len(plan.edited_rows)
    images = torch.randint(0, 256, (4, 32, 32, 3), dtype=torch.uint8).numpy()
    clean = table_from_arrays(images, np.arange(4) % 2, "ab")
    pixels, rows, unedited = DecoySource(clean, clean.subset(plan.edited_rows), plan, mix).draw(
        6, np.random.default_rng(0)
    )
    assert unedited.all() and torch.equal(pixels, clean.images[rows])
