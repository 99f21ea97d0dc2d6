"""`spellward steal`: take a model as a thief would, to see whether a claim finds it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from spellward.cli import printing, refusals
from spellward.cli.options import JsonOption, LabelledArgument, QuietOption, SeedOption, examples
from spellward.cli.progress import stages

app = typer.Typer()


@app.command(
    "steal",
    epilog=examples(
        "spellward steal model/ photos/ --how soft-label -o thief/ --queries 20000",
        "spellward steal model/ photos/ --how prune-50 -o thief/ --json",
    ),
)
def steal_command(
    context: typer.Context,
    victim: Annotated[str, typer.Argument(help="The model: a checkpoint folder or Hub id.", show_default=False)],
    data: LabelledArgument,
    how: Annotated[str, typer.Option("--how", help="The theft; an unknown one lists them all.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the thief's model.")],
    queries: Annotated[int, typer.Option("--queries", min=10, help="Questions to the model.")] = 5000,
    base: Annotated[str, typer.Option("--base", help="Model spec that students start from.")] = "bundled",
    other: Annotated[str, typer.Option("--other", help="Model spec of another architecture.")] = (
        "torchvision/squeezenet1_1?random"
    ),
    epochs: Annotated[int | None, typer.Option("--epochs", min=1, help="Passes over what the thief has.")] = None,
    seed: SeedOption = 0,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Steal a model with the images of a data source, and say how good the copy is."""
    from spellward.artifacts import check_outside, check_place, named_output, new_folder
    from spellward.attacks.stealing.means import Means
    from spellward.attacks.stealing.table import READ, STEALING
    from spellward.data import load_splits, prepare
    from spellward.errors import ModelError
    from spellward.hardware import find_device
    from spellward.models import FitSettings, logits_of, save_checkpoint
    from spellward.ownership.suspects import open_model

    output = named_output(output)
    refusals.refuse_existing(output)
    if how not in STEALING:
        raise typer.BadParameter(f"There is no theft {how!r}; there are {', '.join(STEALING)}.")
    for option in refusals.typed(context, *(name for name in READ if name not in STEALING[how].reads)):
        raise typer.BadParameter(f"The theft {how} makes no use of --{option}. Leave the option out.")
    check_place(output)
    check_outside(output, data)
    splits = load_splits(data, seed=seed)
    model = open_model(victim, splits.classes)
    if model.classes != splits.classes:
        raise ModelError("The data have other classes than the model. Give data of the same task.")
    model.network.to(find_device("auto"))
    train, test = (prepare(split, model.input_size) for split in (splits.train, splits.test))
    with stages(quiet or as_json) as report:
        means = Means(train, base, other, queries, FitSettings(epochs=epochs or 0), seed, report)
        thief = STEALING[how].run(model, means)
    with new_folder(output) as folder:
        save_checkpoint(thief, folder)
    own, theirs = logits_of(model, test).argmax(axis=1), logits_of(thief, test).argmax(axis=1)
    printing.print_record(
        {
            "thief": str(output),
            "how": how,
            "needs": STEALING[how].needs,
            "accuracy": float((theirs == test.labels).mean()),
            "victim_accuracy": float((own == test.labels).mean()),
            "agreement": float((own == theirs).mean()),
        },
        as_json,
    )
