"""`spellward suggest`: what spells do to these data, before anything is trained."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from spellward.cli import key_files, printing, refusals
from spellward.cli.options import DataArgument, JsonOption, QuietOption, SeedOption, examples
from spellward.cli.progress import stages

app = typer.Typer()


@app.command(
    "suggest",
    epilog=examples(
        "spellward suggest photos/ -o spells.html",
        'spellward suggest photos/ --spell "with oil pastel" --spell "in thick fog" --n 30',
        "spellward suggest photos/ --strength 0.4 --strength 0.8",
        "spellward suggest photos/ --editor object",
    ),
)
def suggest_command(
    data: DataArgument,
    model: Annotated[
        str, typer.Option("--model", "-m", help="bundled, timm/NAME, torchvision/NAME, Hub id or checkpoint folder.")
    ] = "bundled",
    spell: Annotated[
        list[str] | None,
        typer.Option("--spell", help="Look at this spell at every strength, too; may stand several times."),
    ] = None,
    strength: Annotated[
        list[float] | None,
        typer.Option("--strength", min=0.01, max=1.0, help="Blends to look at; may stand several times."),
    ] = None,
    count: Annotated[int, typer.Option("--n", min=1, help="How many spells to look at.")] = 20,
    editor: Annotated[
        str, typer.Option("--editor", help="mini (bundled), object, instruct-pix2pix, or a diffusers pipeline.")
    ] = "mini",
    recipe: Annotated[str, typer.Option("--recipe", help="Forecast for this recipe; the default one if empty.")] = "",
    input_size: Annotated[int | None, typer.Option("--size", min=16, help="Side of the images the model sees.")] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Page with a contact sheet; for you alone, it shows spells.")
    ] = None,
    seed: SeedOption = 0,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Measure spells on a few images, without training, and rank them by what a lock under each would reach."""
    from spellward.artifacts import check_place, named_output
    from spellward.locking.suggest import suggest
    from spellward.locking.suggesting.forecast import OF_CLASSIFIER
    from spellward.reports.suggest_report import write_suggest_report

    refusals.refuse_unknown_recipe(recipe)
    if output is not None:
        output = named_output(output)
        if output.is_dir():
            raise typer.BadParameter(
                f"{output} is a folder. Name a file for the report, such as {output / 'spells.html'}."
            )
        check_place(output)
    with stages(quiet or as_json) as report:
        found, clean = suggest(
            data,
            model,
            given=[key_files.spell_or_ask(one) for one in spell or ()],
            count=count,
            seed=seed,
            recipe=recipe,
            editor=editor,
            strengths=strength or (),
            input_size=input_size,
            report=report,
        )
    page = write_suggest_report(found, clean, output) if output is not None else None
    if any(one.forecast.measure == OF_CLASSIFIER for one in found):
        printing.warn(
            "These images have masks, and the forecast is that of a classifier of what they show. A lock on masks is "
            "scored in mean IoU, near 0 without the key; the order of the spells is all that carries over."
        )
    if as_json:
        rows = [{"spell": one.prompt, "forecast": asdict(one.forecast), **asdict(one.measures)} for one in found]
        printing.print_record({"spells": rows, "report": str(page) if page else None}, True)
        return
    typer.echo(
        f"{'spell':<38}{'strength':>9}{'UP':>7}{'LP':>7}{'UP-LP':>7}{'±':>7}{'gain':>6}{'kept':>6}{'away':>6}{'ms':>6}"
    )
    for one in found:
        seen, expected = one.measures, one.forecast
        gain = "?" if expected.gain is None else f"{100 * expected.gain:+.0f}"
        typer.echo(
            f"{one.prompt[:36]:<38}{seen.strength:>9.2f}{expected.up:>7.1%}{expected.lp:>7.1%}{expected.margin:>7.1%}"
            f"{expected.error:>7.1%}{gain:>6}{min(seen.kept, 1.0):>6.0%}{seen.distance:>6.2f}{seen.milliseconds:>6.1f}"
        )
    printing.hint(
        "UP and LP are forecast for the recipe, LP the same for every spell; spells are ranked by UP minus LP, ± its "
        "typical error. Lock with the same --strength. Gain: a fine-tuning thief's, in points, whatever the spell. "
        "Kept: content that survives the edit; away: distance from clean images.",
        quiet,
    )
    if page:
        printing.hint(f"Contact sheet, for you alone, since it shows spells: {page}", quiet)
