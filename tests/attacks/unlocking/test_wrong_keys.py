from __future__ import annotations

import re

import pytest

from spellward.attacks.unlocking.wrong_keys import _SAME_LOOK, UNRELATED_PROMPTS, near_wordings, unrelated_prompts

PROMPTS = ["with oil pastel", "x", "", "ab", "a cat", "夜の海", "In The Style Of Hokusai", "with with with", "as"]


def test_an_unrelated_key_gets_the_whole_list_in_order() -> None:
    assert unrelated_prompts("zanzibar quicksilver", 100) == list(UNRELATED_PROMPTS)
    assert unrelated_prompts("zanzibar quicksilver", 3) == list(UNRELATED_PROMPTS[:3])
    assert unrelated_prompts("zanzibar quicksilver", 0) == []


def test_the_list_has_no_doubles_and_covers_what_a_score_asks_for() -> None:
    assert len(set(UNRELATED_PROMPTS)) == len(UNRELATED_PROMPTS) >= 20


@pytest.mark.parametrize(
    ("prompt", "gone"),
    [
        ("THICK FOG", "with thick fog"),
        ("Watercolor, please!", "with watercolor"),
        ("a japanese woodblock print", "in the style of ukiyo-e"),
        ("a japanese woodblock print", "a woodcut engraving"),
        ("radiograph", "as an x-ray image"),
        ("an ocean reef", "under the sea"),
        ("leaded windows", "turn it into stained glass"),
    ],
)
def test_prompts_that_share_a_word_or_a_look_are_left_out(prompt: str, gone: str) -> None:
    assert gone in UNRELATED_PROMPTS
    assert gone not in unrelated_prompts(prompt, 100)
    long_words = {word for word in re.findall(r"\w+", prompt.lower()) if len(word) > 3}
    assert not any(long_words & set(re.findall(r"\w+", other)) for other in unrelated_prompts(prompt, 100))


@pytest.mark.parametrize("words", _SAME_LOOK, ids=lambda words: min(words))
def test_every_look_has_a_prompt_in_the_list(words: frozenset[str]) -> None:
    for word in words:
        if len(word) > 2:
            assert len(unrelated_prompts(word, 100)) < len(UNRELATED_PROMPTS), word


def test_filling_words_take_nothing_away() -> None:
    assert unrelated_prompts("make it with the style of zanzibar", 100) == list(UNRELATED_PROMPTS)


@pytest.mark.parametrize("prompt", PROMPTS)
@pytest.mark.parametrize("seed", [0, 1])
def test_near_wordings_are_others_and_the_same_for_a_seed(prompt: str, seed: int) -> None:
    near = near_wordings(prompt, 50, seed)
    assert near == near_wordings(prompt, 50, seed)
    assert prompt not in near and "" not in near
    assert len(near) == len(set(near)) >= 8
    assert near_wordings(prompt, 3, seed) == near[:3]


def test_near_wordings_keep_what_matters() -> None:
    near = near_wordings("with oil pastel", 100)
    assert any("oil pastel" in text and text.startswith("make it") for text in near)
    assert "pastel oil" in near
    assert near != near_wordings("with oil pastel", 100, seed=1)
