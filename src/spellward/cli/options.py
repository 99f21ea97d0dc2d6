"""Options that several commands share, named once, and how a command prints what it found.

A passphrase is never an option itself: other users can read command lines. It comes from a file (`--passphrase-file`),
from the environment, or is asked for.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from spellward.errors import ArtifactError

if TYPE_CHECKING:
    from spellward.keys import Key
    from spellward.locking.unlock import UnlockedModel

PASSPHRASE_VARIABLE = "SPELLWARD_PASSPHRASE"
NEW_PASSPHRASE_VARIABLE = "SPELLWARD_NEW_PASSPHRASE"
SPELL_VARIABLE = "SPELLWARD_SPELL"
_MAX_PASSPHRASE = 10_000

JsonOption = Annotated[bool, typer.Option("--json", help="Print a single JSON object.")]
KeyOption = Annotated[
    Path,
    typer.Option("--key", "-k", help=f"Key file; the passphrase comes from {PASSPHRASE_VARIABLE} or is asked for."),
]
OwnKeyOption = Annotated[
    Path | None,
    typer.Option(
        "--key", "-k", help=f"Key file of a locked model; passphrase from {PASSPHRASE_VARIABLE} or asked for."
    ),
]
KeyArgument = Annotated[Path, typer.Argument(help="Key file.", show_default=False)]
ModelArgument = Annotated[Path, typer.Argument(help="Locked folder.", show_default=False)]
PassphraseFileOption = Annotated[
    Path | None,
    typer.Option("--passphrase-file", help=f"File with the key's passphrase, instead of {PASSPHRASE_VARIABLE}."),
]
SeedOption = Annotated[
    int, typer.Option("--seed", min=0, max=2**31 - 1, help="Seed of everything that is drawn at random.")
]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="No progress and no hints on stderr; warnings stay.")]
ProtectOption = Annotated[
    bool, typer.Option("--protect", help=f"Encrypt the key; passphrase from {PASSPHRASE_VARIABLE} or asked for.")
]


def examples(*lines: str) -> str:
    """The block that ends the help of every command."""
    return "\n\n".join(["Examples:", *(f"  $ {line}" for line in lines)])


def check_method(method: str) -> None:
    """Ends with exit code 2 for a method of verification that there is none of.

    Raises:
        typer.BadParameter: Naming those that there are.
    """
    from spellward.ownership import METHODS

    if method not in METHODS:
        raise typer.BadParameter(f"There is no method {method!r}; there are {', '.join(METHODS)}.")


def refuse_unknown_recipe(name: str | None) -> None:
    """Ends with exit code 2 for a recipe that there is none of.

    Raises:
        typer.BadParameter: Naming those that there are.
    """
    from spellward.errors import ModelError
    from spellward.locking.training.recipe import check_recipe

    try:
        check_recipe(name)
    except ModelError as error:
        raise typer.BadParameter(str(error)) from error


def refuse_beside_key(context: typer.Context, *names: str) -> None:
    """Ends with exit code 2 if options were typed that the key settles already.

    Raises:
        typer.BadParameter: Naming the first such option.
    """
    for name in typed(context, *names):
        raise typer.BadParameter(f"The key settles the {name}. Leave the option out, or leave --key out.")


def typed(context: typer.Context, *names: str) -> Iterator[str]:
    """Those options that the user typed; what stands in the environment is a default and does not count."""
    for name in names:
        source = context.get_parameter_source(name)
        if source is not None and source.name == "COMMANDLINE":
            yield name


def print_record(record: dict[str, Any], as_json: bool) -> None:
    """Prints a flat record on stdout: one JSON object, or a line for each field that is not `None`, rounded."""
    if as_json:
        typer.echo(json.dumps(record, indent=2, ensure_ascii=False, allow_nan=False))
        return
    width = max(map(len, record), default=0)
    for name, value in record.items():
        if value is not None:
            typer.echo(f"{name.replace('_', ' '):<{width}}  {_text(value)}")


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def warn(text: str) -> None:
    """Says on stderr what is wrong with a result, also where hints are not wanted."""
    typer.echo(f"Warning: {text}", err=True)


def refuse_existing(output: Path, why: str = "") -> None:
    """Refuses a place that is taken before anything is imported, read or made that takes long.

    Raises:
        ArtifactError: Naming it.
    """
    taken = False
    with contextlib.suppress(OSError):  # a name that is too long, say, is refused where the folder is made
        taken = bool(output.name) and output.exists()
    if taken:
        raise ArtifactError(f"{output} exists. Name another output, or move it{why}.")


def hint(text: str, quiet: bool = False) -> None:
    """Says on stderr what to do next."""
    if not quiet:
        typer.echo(text, err=True)


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


def load_key(path: Path, passphrase_file: Path | None = None) -> Key:
    """Loads a key, with the passphrase from a file, the environment or, on a terminal, from the user.

    Raises:
        KeyRefusedError: If the file is no key, or the passphrase is missing or wrong.
    """
    return load_key_and_passphrase(path, passphrase_file)[0]


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


def load_key_and_passphrase(path: Path, passphrase_file: Path | None = None) -> tuple[Key, str | None]:
    """Like `load_key`, with the passphrase that opened the file, so that it can be saved as it was."""
    from spellward.keys import Key

    if not Key.is_protected(path):
        return Key.load(path), None
    passphrase = given_passphrase(PASSPHRASE_VARIABLE, passphrase_file)
    if passphrase is None and sys.stdin.isatty():
        passphrase = _ask(f"Passphrase of {path}")
    return Key.load(path, passphrase), passphrase


def given_passphrase(variable: str, file: Path | None) -> str | None:
    """The first line of a file or else what an environment variable holds; `None` if there is neither.

    Raises:
        KeyRefusedError: If the file cannot be read or its first line is empty.
    """
    from spellward.errors import KeyRefusedError

    if file is None:
        return os.environ.get(variable) or None
    try:
        with file.open(encoding="utf-8") as lines:
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
