"""`spellward cache`: the private folder of edited and prepared images and of trainings."""

from __future__ import annotations

import typer

from spellward.cli import printing
from spellward.cli.options import JsonOption, examples

app = typer.Typer(
    name="cache", help="Look at and clear the cache of edited images and trainings.", no_args_is_help=True
)


@app.command("show", epilog=examples("spellward cache show", "SPELLWARD_CACHE=/data/cache spellward cache show --json"))
def show(as_json: JsonOption = False) -> None:
    """Show where the cache stands and how large it is."""
    from spellward.artifacts import cache_root
    from spellward.editors.cache import cache_size

    _print("bytes", cache_size(), str(cache_root()), as_json)


@app.command("clear", epilog=examples("spellward cache clear"))
def clear(as_json: JsonOption = False) -> None:
    """Delete what can be made again: edited and prepared images, attacks' results, ordinary fine-tunes.

    Locks and claims that were killed cannot go on afterwards. What another run is at stays.
    """
    from spellward.artifacts import cache_root
    from spellward.editors.cache import cache_clear

    _print("freed_bytes", cache_clear(), str(cache_root()), as_json)


def _print(what: str, count: int, folder: str, as_json: bool) -> None:
    size: int | str = count if as_json else f"{count / 1e6:,.1f} MB"
    printing.print_record({"folder": folder, what if as_json else what.replace("bytes", "size"): size}, as_json)
