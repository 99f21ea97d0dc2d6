"""Wrong keys as a thief's guesses: edits by name, for a thief who knows the editor and more or less of the key.

The names give nothing away: wordings, settings and prompts are numbered.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np

from spellward.attacks.unlocking.dictionary import dictionary
from spellward.attacks.unlocking.thief import Guess
from spellward.editors.base import Editor
from spellward.errors import EditorError
from spellward.keys import Key
from spellward.locking.keying import edit_with_key, settings_of
from spellward.locking.measuring.score import ScoreSettings, wrong_keys

_PROMPTS = 1000
_SALTS = 50
_WORDINGS = 16
_GUIDANCE = (1.5, 3.0)
_OTHER = ("strength", "seed", "steps", "no salt")


def wrong_key_guesses(
    key: Key, editor: Editor, seed: int = 0, other_editors: Sequence[Editor] = ()
) -> dict[str, list[Guess]]:
    """All wrong keys to try, by kind.

    Args:
        key: The right key.
        editor: Its editor.
        seed: Of fresh salts and wordings.
        other_editors: Editors to try the right prompt with.

    Returns:
        "wrong-prompts": other prompts, by a thief who knows editor and settings alone; "wrong-prompts-known-salt": the
        same, by one who knows all but the words; "near-wordings": all but the exact words; "other-settings": all but
        seed, strength, steps, guidance or salt; "other-salts": all but the salt; "other-editor": all but the editor. A
        kind without any guess is left out.

    Raises:
        EditorError: If one of the other editors is the key's own.
    """

    def guesses(kind: str, keys: Sequence[Key], by: Editor = editor) -> list[Guess]:
        return [
            Guess(f"{kind} {number}", partial(edit_with_key, by, key=wrong)) for number, wrong in enumerate(keys, 1)
        ]

    if any(other.identity() == editor.identity() for other in other_editors):
        raise EditorError("The other editor is the one that this lock was made with. Name another.")
    rng = np.random.default_rng([seed, 0x6E55])
    prompts = dictionary(key.prompt, _PROMPTS)
    # Strength, steps and guidance are a few numbers, which a stranger could try one after the other.
    stranger = key.with_(salt=None, seed=seed)
    tried = list(wrong_keys(key, editor, ScoreSettings(0, _SALTS, _WORDINGS, seed=seed), rng))
    settings = [wrong for kind, _, wrong in tried if kind in _OTHER]
    guidance = settings_of(key, editor).guidance
    if editor.guided and guidance:  # or else these would be the right key
        settings += [key.with_(guidance=guidance * factor) for factor in _GUIDANCE]
    found = {
        "wrong-prompts": guesses("prompt", [stranger.with_(prompt=prompt) for prompt in prompts]),
        "wrong-prompts-known-salt": guesses(
            "prompt", [key.with_(prompt=prompt) for prompt in prompts if not editor.same_edit(key.prompt, prompt)]
        ),
        "near-wordings": guesses("wording", [wrong for kind, _, wrong in tried if kind == "wording"]),
        "other-settings": guesses("setting", settings),
        "other-salts": guesses("salt", [wrong for kind, _, wrong in tried if kind == "salt"]),
        "other-editor": [
            guess
            for number, other in enumerate(other_editors, 1)
            for guess in guesses(f"editor {number}, key", _for_another_editor(key), other)
        ],
    }
    return {kind: some for kind, some in found.items() if some}


def _for_another_editor(key: Key) -> list[Key]:
    """The key for another editor: with that editor's own settings, and with the key's strength among them."""
    own = key.with_(steps=None, guidance=None, image_guidance=None, strength=None)
    blended = own.with_(strength=key.strength)
    return [own, blended]
