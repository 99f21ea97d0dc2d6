"""The vocabulary: what measures understanding is never trained on."""

from __future__ import annotations

import pytest

from spellward.editors.mini import vocabulary
from spellward.editors.mini.vocabulary import OBJECTS, STYLES, Phrase

PHRASES = {**STYLES, **OBJECTS}


@pytest.mark.parametrize("name", PHRASES)
def test_every_phrase_has_wordings_that_are_trained_and_others_that_are_not(name: str) -> None:
    phrase = PHRASES[name]
    assert len(phrase.wordings) >= 4 and len(phrase.held_out) >= 1
    assert len(set(phrase.wordings)) == len(phrase.wordings)
    assert all(text.strip() == text and text for text in (*phrase.wordings, *phrase.held_out))


def test_no_held_out_wording_is_trained() -> None:
    def plain(phrases: dict[str, Phrase], which: str) -> set[str]:
        # With and without an article: the templates make no difference between the two.
        texts = {text.lower().replace("-", " ") for phrase in phrases.values() for text in getattr(phrase, which)}
        return {text.removeprefix("a ").removeprefix("an ").removeprefix("the ") for text in texts}

    assert not plain(PHRASES, "wordings") & plain(PHRASES, "held_out")


def test_no_wording_means_two_things() -> None:
    texts = [text for phrase in PHRASES.values() for text in (*phrase.wordings, *phrase.held_out)]
    assert len(set(texts)) == len(texts)


def test_held_out_pairs_are_pairs_of_a_style_and_a_scene() -> None:
    for style, scene in vocabulary.HELD_OUT_PAIRS:
        assert style in STYLES and style not in vocabulary.SCENES
        assert scene in vocabulary.SCENES


def test_templates_have_the_right_number_of_gaps() -> None:
    assert all(text.count("{}") == 1 for text in (*vocabulary.STYLE_TEMPLATES, *vocabulary.OBJECT_TEMPLATES))
    assert all(text.count("{}") == 2 for text in vocabulary.PAIR_TEMPLATES)


def test_there_are_as_many_looks_and_objects_as_promised() -> None:
    assert len(STYLES) >= 20 and len(OBJECTS) >= 8
