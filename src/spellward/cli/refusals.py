"""What a command refuses before anything is imported, read or made that takes long."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import typer

from spellward.errors import ArtifactError


def refuse_unknown_method(method: str) -> None:
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
