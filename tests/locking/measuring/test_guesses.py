"""Wrong keys, and silence about the right one."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from tests.attacks.unlocking.conftest import coloured
from tests.locking.conftest import KEY, PROMPT, SALT, SEED

from spellward.attacks.unlocking.dictionary import dictionary
from spellward.attacks.unlocking.table import ATTACKS
from spellward.editors import load_editor
from spellward.editors.mini import MiniEditor
from spellward.errors import EditorError
from spellward.keys import Key
from spellward.locking.measuring.guesses import wrong_key_guesses


def test_a_stranger_edits_as_strongly_as_the_key(editor: MiniEditor) -> None:
    key = KEY.with_(strength=0.9)
    guess = wrong_key_guesses(key, editor)["wrong-prompts"][0]
    images, settings = coloured(2, 0).images[:], replace(editor.defaults, strength=0.9)
    expected = editor.edit(images, dictionary(PROMPT, 1)[0], 0, None, settings)
    assert torch.equal(guess.apply(images), expected)


def test_wrong_keys_are_wrong_and_their_names_say_nothing(editor: MiniEditor) -> None:
    found = wrong_key_guesses(KEY, editor, other_editors=[load_editor("object")])
    assert set(found) == {attack.guesses for attack in ATTACKS.values()} - {""}
    assert len(found["wrong-prompts"]) >= 200 and len(found["wrong-prompts-known-salt"]) >= 200
    names = " ".join(guess.name for some in found.values() for guess in some)
    assert not any(word in names for word in [*PROMPT.split(), SALT.hex(), str(SEED)])
    images = coloured(2, 0).images[:]
    right = editor.edit(images, PROMPT, SEED, SALT)
    for kind, some in found.items():
        edited = [guess.apply(images) for guess in some[:3]]
        assert all(picture.shape == images.shape and picture.dtype == torch.uint8 for picture in edited)
        if kind != "other-editor":
            assert not any(torch.equal(picture, right) for picture in edited)


def test_no_other_setting_is_the_right_key_where_the_editor_does_not_read_it() -> None:
    editor, images = load_editor("object"), torch.full((1, 3, 64, 64), 200, dtype=torch.uint8)
    images[:, 0, 24:40, 24:40] = 0
    key = Key("a red umbrella", salt=SALT, seed=SEED, editor="object")
    right = editor.edit(images, key.prompt, key.seed, key.salt)
    edited = [guess.apply(images) for guess in wrong_key_guesses(key, editor)["other-settings"]]
    assert edited and not any(torch.equal(picture, right) for picture in edited)


def test_without_guidance_there_is_no_more_or_less_of_it(editor: MiniEditor) -> None:
    some, none = (wrong_key_guesses(KEY.with_(guidance=one), editor)["other-settings"] for one in (1.0, 0.0))
    assert len(none) == len(some) - 2


def test_the_editor_of_the_lock_is_no_other_editor(editor: MiniEditor) -> None:
    with pytest.raises(EditorError, match="made with"):
        wrong_key_guesses(KEY, editor, other_editors=[MiniEditor(precision="fp32")])
