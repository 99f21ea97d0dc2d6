"""Keys as commands take them: from files, with passphrases and spells that other users cannot read.

A passphrase is never an option itself: other users can read command lines. It comes from a file (`--passphrase-file`),
from the environment, or is asked for.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from spellward.cli.options import PASSPHRASE_VARIABLE, SPELL_VARIABLE
from spellward.cli.printing import hint

if TYPE_CHECKING:
    from spellward.keys import Key
    from spellward.locking.unlock import UnlockedModel

_MAX_PASSPHRASE = 10_000


def load_key(path: Path, passphrase_file: Path | None = None) -> Key:
    """Loads a key, with the passphrase from a file, the environment or, on a terminal, from the user.

    Raises:
        KeyRefusedError: If the file is no key, or the passphrase is missing or wrong.
    """
    return load_key_and_passphrase(path, passphrase_file)[0]


def load_key_and_passphrase(path: Path, passphrase_file: Path | None = None) -> tuple[Key, str | None]:
    """Like `load_key`, with the passphrase that opened the file, so that it can be saved as it was."""
    from spellward.keys import Key

    if not Key.is_protected(path):
        return Key.load(path), None
    passphrase = given_passphrase(PASSPHRASE_VARIABLE, passphrase_file)
    if passphrase is None and sys.stdin.isatty():
        passphrase = _ask(f"Passphrase of {path}")
    return Key.load(path, passphrase), passphrase


def behind_key(model: str, key: Path) -> UnlockedModel:
    """A checkpoint with a key in front, whether or not it still is the folder that `lock` wrote: a thief's is not.

    Raises:
        KeyRefusedError, ArtifactError, ModelError: If key or checkpoint cannot be used, or do not belong together.
    """
    from spellward.locking.folder import LOCK_FILE
    from spellward.locking.unlock import unlock
    from spellward.models import load_checkpoint

    folder = Path(model)
    return unlock(folder if (folder / LOCK_FILE).is_file() else load_checkpoint(model), load_key(key))


def given_passphrase(variable: str, file: Path | None) -> str | None:
    """The first line of a file or else what an environment variable holds; `None` if there is neither.

    Raises:
        KeyRefusedError: If the file cannot be read or its first line is empty.
    """
    from spellward.errors import KeyRefusedError

    if file is None:
        return os.environ.get(variable) or None
    try:
        with file.open(encoding="utf-8-sig") as lines:  # editors on Windows put a mark in front
            passphrase = lines.readline(_MAX_PASSPHRASE).rstrip("\r\n")
    except (OSError, ValueError) as error:
        raise KeyRefusedError(f"The passphrase file {file} cannot be read as text. Name another.") from error
    if not passphrase:
        raise KeyRefusedError(f"The first line of {file} is empty. Write the passphrase there.")
    return passphrase


def new_passphrase(variable: str = PASSPHRASE_VARIABLE, file: Path | None = None) -> str:
    """A passphrase for a key that is about to be written, from a file, the environment or asked for twice.

    Raises:
        KeyRefusedError: If there is neither a variable nor a terminal.
    """
    from spellward.errors import KeyRefusedError

    if given := given_passphrase(variable, file):
        return given
    if not sys.stdin.isatty():
        raise KeyRefusedError(f"There is no terminal to ask for a passphrase. Set {variable}.")
    return _ask("New passphrase", twice=True)


def spell_or_ask(spell: str | None) -> str:
    """The spell that was given, or what the user types unseen.

    Raises:
        KeyRefusedError: If there is neither a spell nor a terminal.
        typer.BadParameter: If the spell is blank.
    """
    from spellward.errors import KeyRefusedError
    from spellward.keys import is_blank

    if spell is None:
        if not sys.stdin.isatty():
            raise KeyRefusedError(f"There is no terminal to ask for a spell. Give --spell or set {SPELL_VARIABLE}.")
        spell = _ask("Spell")
    if is_blank(spell):
        raise typer.BadParameter("The spell is blank. Give some words; a shell variable in their place may be unset.")
    return spell


def _ask(text: str, twice: bool = False) -> str:
    try:
        return str(typer.prompt(text, hide_input=True, confirmation_prompt=twice, err=True))
    except typer.Abort:
        # Ctrl-C at a prompt ends with 130 like anywhere else; typer alone would end with 1.
        raise KeyboardInterrupt from None


def hint_unknown_object(key: Key, quiet: bool) -> None:
    """Says so where the object editor's library has nothing of the name: it draws another object then."""
    if not key.editor.startswith("object"):  # what follows takes seconds to import
        return
    from spellward.editors import KEEP

    if key.editor == "object" or key.editor.startswith(KEEP):
        from spellward.editors.objects.sprites import OBJECTS, named_object

        if named_object(key.prompt) is None:  # which one is drawn is for the owner's eyes, and this may be logged
            names = ", ".join(OBJECTS)
            hint(f"The spell names no object of the library; another one is drawn for it. There are: {names}.", quiet)
