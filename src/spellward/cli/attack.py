"""`spellward attack`: what a thief with some labelled images gets out of a locked model, beside the public base."""

from __future__ import annotations

from typing import Annotated

import typer

from spellward.cli import key_files, printing
from spellward.cli.options import DataArgument, JsonOption, KeyOption, ModelArgument, QuietOption, SeedOption, examples
from spellward.cli.progress import stages

app = typer.Typer()


@app.command(
    "attack",
    epilog=examples(
        "spellward attack locked/ photos/ --key locked.key",
        "spellward attack locked/ photos/ --key locked.key --only fine-tuning --only stitching --budget 0.01 --json",
    ),
)
def attack_command(
    locked: ModelArgument,
    data: DataArgument,
    key: KeyOption,
    only: Annotated[
        list[str] | None, typer.Option("--only", help="Run this attack; may stand several times. All if not given.")
    ] = None,
    budget: Annotated[
        list[float] | None,
        typer.Option(
            "--budget", help="Share of the training images the thief has labels for. If not given, 0.01, 0.05 and 0.1."
        ),
    ] = None,
    effort: Annotated[str, typer.Option("--effort", help="How long the thief searches: quick, default, full.")] = (
        "default"
    ),
    base: Annotated[
        str | None, typer.Option("--base", help="Model spec of the public base, if the lock has no record of it.")
    ] = None,
    other_editor: Annotated[
        list[str] | None, typer.Option("--other-editor", help="Try the right prompt with this editor as well.")
    ] = None,
    images: Annotated[int, typer.Option("--images", min=10, help="Test images to measure on at most.")] = 1000,
    seed: SeedOption = 0,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Attack a lock as a thief would, and measure each attack beside the public base model; writes a report."""
    from dataclasses import asdict

    from spellward.editors import load_editor
    from spellward.locking.attacking import BUDGETS, attack, check_search
    from spellward.reports.attack_report import write_attack_report

    budgets = tuple(budget or BUDGETS)
    try:
        check_search(only, effort, budgets)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    opened = key_files.load_key(key)
    with stages(quiet or as_json) as report:
        result = attack(
            locked,
            data,
            opened,
            budgets=budgets,
            only=only,
            effort=effort,
            base=base,
            seed=seed,
            images=images,
            other_editors=[load_editor(spec) for spec in other_editor or ()],
            report=report,
        )
    page = write_attack_report(result, locked)
    largest = result.largest
    if as_json:
        document = {
            "attacks": [asdict(row) for row in result.rows],
            "largest_gain": largest.gain if largest else None,
            "up": result.up,
            "honest_use": [asdict(row) for row in result.honest],
            "near_wordings": dict(zip(("worst", "mean", "best"), result.wordings, strict=False)),
            "skipped": result.skipped,
            "report": str(page),
        }
        printing.print_record(document, True)
        return
    for row in result.rows:
        typer.echo(
            f"{row.name:<26}{100 * row.labelled:>5g} % labelled {row.accuracy:>7.1%}   base {row.base:>6.1%}   "
            f"gain {100 * row.gain:+6.1f} points"
        )
    typer.echo(f"report  {page}")
