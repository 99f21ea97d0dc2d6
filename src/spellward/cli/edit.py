"""`spellward edit`: look at what a spell does, before locking anything with it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from spellward.cli import key_files, options, printing, refusals
from spellward.cli.options import JsonOption, QuietOption, examples

app = typer.Typer()


@app.command(
    "edit",
    epilog=examples(
        'spellward edit cat.jpg --spell "with oil pastel" -o cat-edited.png',
        "spellward edit cat.jpg --key locked.key -o cat-edited.png",
    ),
)
def edit_command(
    context: typer.Context,
    image: Annotated[Path, typer.Argument(help="Image file.", show_default=False)],
    output: Annotated[Path, typer.Option("--output", "-o", help="PNG file for the edited image.")],
    spell: Annotated[str | None, typer.Option("--spell", envvar=options.SPELL_VARIABLE, help="Prompt.")] = None,
    key: Annotated[Path | None, typer.Option("--key", "-k", help="Edit as this key does, instead of --spell.")] = None,
    editor: Annotated[
        str, typer.Option("--editor", help="mini, object, instruct-pix2pix, img2img:ID, or a pipeline.")
    ] = "mini",
    size: Annotated[
        int | None,
        typer.Option("--size", min=16, max=2048, help="Side of the square it edits; if not given, the editor's."),
    ] = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Edit one image with a spell (unsalted) or with a key."""
    from spellward.keys import Key
    from spellward.locking.predict import edit_file

    if key is not None:
        refusals.refuse_beside_key(context, "spell", "editor")
    used = key_files.load_key(key) if key else Key(key_files.spell_or_ask(spell), salt=None, seed=0, editor=editor)
    if key is None:
        key_files.hint_unknown_object(used, quiet)
    if size is not None:
        used = used.with_(resolution=size)
    edit_file(image, used, output)
    if as_json:
        printing.print_record({"image": str(image), "edited": str(output)}, as_json)
    printing.hint(f"Wrote {output}.", quiet or as_json)
