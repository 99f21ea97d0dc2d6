"""Wrong keys, and silence about the right one."""

from __future__ import annotations

from dataclasses import replace

import torch
from tests.attacks.unlocking.conftest import coloured
from tests.locking.conftest import KEY, PROMPT, SALT, SEED

from spellward.attacks.unlocking.dictionary import dictionary
from spellward.attacks.unlocking.table import ATTACKS
from spellward.editors.mini import MiniEditor
from spellward.locking.guesses import wrong_key_guesses


def test_a_stranger_edits_as_strongly_as_the_key(editor: MiniEditor) -> None:
    key = KEY.with_(strength=0.9)
    guess = wrong_key_guesses(key, editor)["wrong-prompts"][0]
    images, settings = coloured(2, 0).images[:], replace(editor.defaults, strength=0.9)
    expected = editor.edit(images, dictionary(PROMPT, 1)[0], 0, None, settings)
    assert torch.equal(guess.apply(images), expected)


def test_wrong_keys_are_wrong_and_their_names_say_nothing(editor: MiniEditor) -> None:
    found = wrong_key_guesses(KEY, editor, other_editors=[MiniEditor(precision="fp32")])
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
