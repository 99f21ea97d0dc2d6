"""`spellward score`: what the key opens, and what stays shut without it."""

from __future__ import annotations

from typing import Annotated

import typer

from spellward.cli import key_files, printing
from spellward.cli.options import DataArgument, JsonOption, KeyOption, ModelArgument, QuietOption, SeedOption, examples
from spellward.cli.progress import stages

app = typer.Typer()


@app.command(
    "score",
    epilog=examples(
        "spellward score locked/ photos/ --key locked.key",
        "spellward score locked/ photos/ --key locked.key --no-vanilla --json",
    ),
)
def score_command(
    locked: ModelArgument,
    data: DataArgument,
    key: KeyOption,
    vanilla: Annotated[bool, typer.Option(help="Compare with an ordinary fine-tune of the same budget.")] = True,
    model: Annotated[
        str | None,
        typer.Option("--model", "-m", help="Model spec for the ordinary fine-tune, if the lock has no record."),
    ] = None,
    wrong_prompts: Annotated[int, typer.Option("--wrong-prompts", min=0, max=30)] = 20,
    wrong_salts: Annotated[int, typer.Option("--wrong-salts", min=0)] = 50,
    images: Annotated[int, typer.Option("--wrong-key-images", min=10, help="Test images for each wrong key.")] = 500,
    seed: SeedOption = 0,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Score a lock on test images: vanilla, UP, LP, leaks and wrong keys; writes the reports too."""
    from spellward.locking.measuring.score import ScoreSettings
    from spellward.reports.lock_run import score_and_report

    settings = ScoreSettings(wrong_prompts=wrong_prompts, wrong_salts=wrong_salts, wrong_key_images=images, seed=seed)
    with stages(quiet or as_json) as report:
        score, page = score_and_report(
            locked,
            data,
            key_files.load_key(key),
            settings,
            vanilla=(model or True) if vanilla else None,
            seed=seed,
            report=report,
        )
    figures = score.summary()
    about = {"measure": score.measure, "test_images": score.up.count}
    if as_json:
        printing.print_record({**figures, **about, "report": str(page)}, True)
        return
    shown = {name: f"{value:.1%}" for name, value in figures.items() if value is not None}
    for name in ("vanilla", "up", "lp", "argmin", "leak"):
        one = getattr(score, name)
        if one is not None:
            shown[name] += f" ({one.low:.1%} to {one.high:.1%})"
    printing.print_record({**shown, **about, "report": str(page)}, False)
