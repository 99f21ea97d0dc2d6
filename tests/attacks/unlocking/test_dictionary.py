"""The dictionary of prompts: long, and never trained on."""

from __future__ import annotations

import pytest

from spellward.attacks.unlocking.dictionary import DICTIONARY, dictionary
from spellward.locking.training.decoys import DECOY_PROMPTS


@pytest.mark.parametrize("prompt", ["zanzibar", "with oil pastel", "a japanese woodblock print", "made of glass"])
def test_the_dictionary_is_long_without_near_prompts(prompt: str) -> None:
    assert len(dictionary(prompt, 1000)) >= 200
    assert prompt not in dictionary(prompt, 1000)


def test_training_never_sees_the_dictionary() -> None:
    assert len(set(DICTIONARY)) == len(DICTIONARY)
    assert not set(DICTIONARY) & set(DECOY_PROMPTS)
