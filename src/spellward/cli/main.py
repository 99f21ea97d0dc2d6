"""The command `spellward`: the list of commands, and how errors end.

A new command is a file in this folder with an `app` of its own (named for a group such as `key`, nameless for a single
command such as `lock`) and one entry in `APPS`. It imports torch and the like inside its functions, so that `--help`
stays quick.
"""

from __future__ import annotations

import os
import sys
import traceback
import warnings
from collections.abc import Sequence
from typing import Annotated, Any, NoReturn

import typer

from spellward.cli import (
    attack,
    cache,
    claim,
    demo,
    edit,
    key,
    lock,
    predict,
    score,
    steal,
    suggest,
    verify,
    verify_outputs,
)
from spellward.errors import SpellwardError

# OpenMP's threads wait for one another in a loop, milliseconds at a time, and on a busy machine keep each other from
# running: editing took fourteen times as long beside one other process, now twice. Read when torch is loaded.
if "OMP_WAIT_POLICY" not in os.environ:
    os.environ.setdefault("GOMP_SPINCOUNT", "2000")

APPS = (
    lock.app,
    predict.app,
    score.app,
    attack.app,
    suggest.app,
    claim.app,
    verify.app,
    verify_outputs.app,
    steal.app,
    edit.app,
    key.app,
    cache.app,
    demo.app,
)

_INTERRUPTED = 130
_INTERRUPTED_TEXT = "Interrupted. What was finished before is kept; run again."
_DEBUG = "--debug"
_EPILOG = "\n\n".join(
    [
        "Exit codes: 0 done, 1 unexpected error, 2 wrong usage, 3 data, 4 key refused, 5 folder or file altered, "
        "6 model, 7 editor, 8 missing extra, 9 storage, 130 interrupted.",
        "Examples:",
        '  $ spellward lock photos/ --spell "with oil pastel" -o locked/',
        "  $ spellward predict locked/ cat.jpg --key locked.key",
        "  $ spellward score locked/ photos/ --key locked.key",
    ]
)

app = typer.Typer(
    name="spellward",
    epilog=_EPILOG,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["--help", "-h"]},
)
for part in APPS:
    app.add_typer(part)


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"spellward {version('spellward')}")
        raise typer.Exit


@app.callback()
def spellward(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and end.")
    ] = False,
    debug: Annotated[bool, typer.Option(_DEBUG, help="Show the traceback of an error; may stand anywhere.")] = False,
) -> None:
    """Lock fine-tuned vision models behind a secret spell."""


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Runs the command and ends the process.

    Args:
        arguments: What stands after `spellward`; the process's own if not given.

    Raises:
        SystemExit: Always, with one of the exit codes that `--help` lists.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    debug = _DEBUG in given
    with warnings.catch_warnings():
        if not debug:
            warnings.showwarning = _print_warning
        try:
            app([word for word in given if word != _DEBUG], prog_name="spellward")
        except KeyboardInterrupt:
            _end(_INTERRUPTED, _INTERRUPTED_TEXT)
        except SystemExit as end:
            if end.code == _INTERRUPTED:  # typer's own answer to an interruption says nothing
                typer.echo(_INTERRUPTED_TEXT, err=True)
            raise
        except SpellwardError as error:
            _end(error.exit_code, str(error), error if debug else None)
        except Exception as error:
            # Only the first line: some libraries put whole tables into their messages.
            first = (str(error).splitlines() or [""])[0]
            advice = "" if debug else f" Run again with {_DEBUG} for the traceback, and please report it."
            _end(1, f"Unexpected {type(error).__name__}: {first}{advice}", error if debug else None)
    sys.exit(0)


def _end(code: int, message: str, error: BaseException | None = None) -> NoReturn:
    if error is not None:
        traceback.print_exception(error)
    typer.echo(message, err=True)
    sys.exit(code)


def _print_warning(message: Warning | str, category: type[Warning], *_: Any, **__: Any) -> None:
    # Deprecations and the like in other libraries are nothing that a user of the command can mend.
    if category is UserWarning:
        typer.echo(f"Warning: {message}", err=True)


if __name__ == "__main__":
    main()
