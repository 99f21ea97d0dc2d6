"""Options that several commands share, named once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

PASSPHRASE_VARIABLE = "SPELLWARD_PASSPHRASE"
NEW_PASSPHRASE_VARIABLE = "SPELLWARD_NEW_PASSPHRASE"
SPELL_VARIABLE = "SPELLWARD_SPELL"

DataArgument = Annotated[
    str,
    typer.Argument(
        help="Class folders, images/ with masks/, COCO, saved dataset, Parquet, Hub id, sample:fashion|clipart|scenes.",
        show_default=False,
    ),
]
LabelledArgument = Annotated[
    str,
    typer.Argument(
        help="Class folders, saved dataset, Parquet, Hub id, sample:fashion|clipart.",
        show_default=False,
    ),
]
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
