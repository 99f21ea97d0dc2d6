"""A key and the editor it names: which it is, what it is asked for, and what it makes of images."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor

from spellward.editors import EDITORS, lasting_spec, load_editor
from spellward.editors.base import Editor, EditSettings
from spellward.errors import KeyRefusedError
from spellward.keys import Key, is_blank, key_from
from spellward.models import VisionModel


def given_key(key: Key | Path | str, editor: Editor | None) -> Key:
    """The key that was meant by a key, a key file or a prompt."""
    if isinstance(key, str):
        if Path(key).suffix == ".key" and Path(key).is_file():
            raise KeyRefusedError(f"{key} is a key file, and would become the spell. Give Path({key!r}).")
        key = Key(key)
    key = key_from(key)
    if is_blank(key.prompt):
        raise KeyRefusedError("The spell of the key is blank, so anybody would find it. Give a spell of some words.")
    named = key.editor
    if editor is not None and "editor" not in key.model_fields_set and editor.name in EDITORS:
        named = editor.name  # or else the key would name one that it does not open with
    # A copy still knows what was given and what is open, which decides whether a killed run goes on.
    return key.model_copy(update={"editor": lasting_spec(named)})


def settings_of(key: Key, editor: Editor) -> EditSettings:
    """The key's edit settings, with the editor's defaults where the key leaves them open."""
    defaults = editor.defaults
    return EditSettings(
        steps=defaults.steps if key.steps is None else key.steps,
        guidance=defaults.guidance if key.guidance is None else key.guidance,
        image_guidance=defaults.image_guidance if key.image_guidance is None else key.image_guidance,
        strength=defaults.strength if key.strength is None else key.strength,
    )


def edit_with_key(editor: Editor, images: Tensor, key: Key) -> Tensor:
    """Edits uint8 [N, 3, H, W] as the key says."""
    return editor.edit(images, key.prompt, key.seed, key.salt, settings_of(key, editor))


def editor_for(key: Key, editor: Editor | None = None) -> Editor:
    """Loads the key's editor and holds it against the one that the key names.

    Raises:
        KeyRefusedError: If the editor is not the one the model was locked with.
    """
    editor = editor or load_editor(key.editor)
    if key.editor_fingerprint and key.editor_fingerprint not in editor.names():
        raise KeyRefusedError(
            "This key was made with another editor or another version of it, which would edit differently. "
            "Install the Spellward version that made the key, or lock the model anew."
        )
    return editor


def complete_key(key: Key, editor: Editor, model: VisionModel) -> Key:
    """Fills in what the key left to the editor, and the editor's identity."""
    used = settings_of(key, editor)
    return key.with_(
        editor_fingerprint=editor.identity(),
        steps=used.steps,
        guidance=float(used.guidance),
        image_guidance=float(used.image_guidance),
        strength=float(used.strength),
        resolution=key.resolution or int(max(model.input_size, editor.resolution)),
    )
