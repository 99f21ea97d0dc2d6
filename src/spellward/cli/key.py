"""`spellward key`: what to do with a key file besides unlocking."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from spellward.cli import key_files, options, printing
from spellward.cli.options import (
    JsonOption,
    KeyArgument,
    ModelArgument,
    PassphraseFileOption,
    ProtectOption,
    QuietOption,
    examples,
)

if TYPE_CHECKING:
    from spellward.keys import Key

app = typer.Typer(name="key", help="Make, look at, protect and pair keys.", no_args_is_help=True)

HIDDEN = "(hidden; --reveal shows it)"
_SECRETS = ("prompt", "salt", "seed")


@app.command(
    "show",
    epilog=examples("spellward key show locked.key", "spellward key show locked.key --reveal --json"),
)
def show(
    key: KeyArgument,
    reveal: Annotated[bool, typer.Option("--reveal", help="Show the spell, the salt and the seed too.")] = False,
    passphrase_file: PassphraseFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show what a key file says; the secrets only if asked to."""
    from spellward.keys import Key

    loaded = key_files.load_key(key, passphrase_file)
    printing.print_record(_record(loaded, reveal) | {"protected": Key.is_protected(key)}, as_json)


@app.command(
    "new",
    epilog=examples(
        'spellward key new my.key --spell "with oil pastel"',
        "SPELLWARD_SPELL='with oil pastel' SPELLWARD_PASSPHRASE=... spellward key new my.key --protect",
    ),
)
def new(
    key: Annotated[Path, typer.Argument(help="File to write; an existing one is never replaced.", show_default=False)],
    spell: Annotated[
        str | None,
        typer.Option("--spell", envvar=options.SPELL_VARIABLE, help="The key prompt; asked for if left out."),
    ] = None,
    editor: Annotated[str, typer.Option("--editor", help="Editor that the key is for.")] = "mini",
    seed: Annotated[
        int | None,
        typer.Option("--seed", min=0, max=2**63 - 1, help="Seed of the edit; random if left out.", show_default=False),
    ] = None,
    salted: Annotated[
        bool, typer.Option("--salt/--no-salt", help="128 secret random bits beside the spell, or the published scheme.")
    ] = True,
    protect: ProtectOption = False,
    passphrase_file: PassphraseFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write a fresh key that no model is locked with yet."""
    from spellward.keys import Key

    fields: dict[str, Any] = {} if salted else {"salt": None}
    if seed is not None:
        fields["seed"] = seed
    made = Key(key_files.spell_or_ask(spell), editor=editor, **fields)
    made.save(key, key_files.new_passphrase(file=passphrase_file) if protect else None)
    key_files.hint_unknown_object(made, as_json)
    printing.print_record({"key": str(key), "lock_id": made.lock_id, "protected": protect}, as_json)


@app.command(
    "protect",
    epilog=examples("spellward key protect locked.key", "spellward key protect locked.key --remove"),
)
def protect(
    key: KeyArgument,
    remove: Annotated[bool, typer.Option("--remove", help="Take the passphrase away.")] = False,
    passphrase_file: PassphraseFileOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Put a passphrase on a key file, change it, or take it away.

    The passphrase comes from --passphrase-file, SPELLWARD_PASSPHRASE or is asked for. When one is changed, these give
    the old one, and SPELLWARD_NEW_PASSPHRASE the new one.
    """
    loaded, old = key_files.load_key_and_passphrase(key, passphrase_file)
    fresh = old is None
    variable = options.PASSPHRASE_VARIABLE if fresh else options.NEW_PASSPHRASE_VARIABLE
    passphrase = None if remove else key_files.new_passphrase(variable, passphrase_file if fresh else None)
    loaded.save(key, passphrase, overwrite=True)
    printing.print_record({"key": str(key), "lock_id": loaded.lock_id, "protected": passphrase is not None}, as_json)
    if passphrase is not None:
        printing.hint("Without the passphrase this key is lost; nobody can recover it.", quiet)


@app.command(
    "pair",
    epilog=examples(
        "spellward key pair locked/ locked.key",
        "spellward key pair pruned/ locked.key -o pruned.key",
        "spellward key pair locked/ locked.key --editor /new/place/of/the/pipeline",
    ),
)
def pair(
    model: ModelArgument,
    key: KeyArgument,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write the key here, not over itself.", show_default=False)
    ] = None,
    editor: Annotated[
        str | None, typer.Option("--editor", help="Where the key's editor is now, if its folder was moved.")
    ] = None,
    passphrase_file: PassphraseFileOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Take a locked folder as it is now for the one that a key opens, after you changed its weights yourself."""
    from spellward.editors import lasting_spec
    from spellward.locking.pairing import pair as pair_with

    loaded, passphrase = key_files.load_key_and_passphrase(key, passphrase_file)
    paired = pair_with(model, loaded if editor is None else loaded.with_(editor=lasting_spec(editor)))
    paired.save(output or key, passphrase, overwrite=output is None)
    record = {"key": str(output or key), "lock_id": paired.lock_id, "weights_digest": paired.weights_digest}
    printing.print_record(record, as_json)
    printing.hint("Nothing tested that this key still opens the model; `spellward score` does.", quiet)


def _record(key: Key, reveal: bool) -> dict[str, Any]:
    record = {name: getattr(key, name) for name in type(key).model_fields}
    record["salt"] = None if key.salt is None else key.salt.hex()
    if not reveal:
        record |= {name: HIDDEN for name in _SECRETS if record[name] is not None}
    return record
