"""`spellward verify-outputs`: is a suspect taken from a victim, judged from recorded outputs alone?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from spellward.cli import printing, refusals
from spellward.cli.options import JsonOption, SeedOption, examples

app = typer.Typer()

_FILE = (
    "logits or probabilities, inputs by classes, as .npy, .npz or .csv (`0.91,0.09`: a row of numbers for each input; "
    "one line of names may stand above)."
)


@app.command(
    "verify-outputs",
    epilog=examples(
        "spellward verify-outputs --victim v.npy --reference a.npy --reference b.npy --reference c.npy --suspect s.npy",
        "spellward verify-outputs --victim v.csv --reference b.csv --suspect s.csv --poisoned p.csv --method holmes",
    ),
)
def verify_outputs_command(
    victim: Annotated[Path, typer.Option("--victim", help=f"Outputs of your own model: {_FILE}")],
    reference: Annotated[
        list[Path],
        typer.Option("--reference", help="Outputs of a model that is independent of the suspect; give several."),
    ],
    suspect: Annotated[
        Path, typer.Option("--suspect", help="Outputs of the model in question; class numbers will do.")
    ],
    peer: Annotated[
        list[Path] | None,
        typer.Option(
            "--peer",
            help="Outputs of a model that was trained independently on the very images of yours; two or more show what "
            "knowing as much has in common with it, which is otherwise bounded at the price of power.",
        ),
    ] = None,
    poisoned: Annotated[
        Path | None, typer.Option("--poisoned", help="Outputs of the poisoned shadow, for the method holmes.")
    ] = None,
    method: Annotated[
        str, typer.Option("--method", help="spellward, holmes, dataset-inference, akh or agreement.")
    ] = "spellward",
    alpha: Annotated[
        float, typer.Option("--alpha", min=1e-6, max=0.49, help="Rate of false accusations that is accepted.")
    ] = 0.01,
    match_classes: Annotated[
        bool, typer.Option("--match-classes", help="Try to put the suspect's classes in the order of yours.")
    ] = False,
    seed: SeedOption = 0,
    as_json: JsonOption = False,
) -> None:
    """Judge from recorded outputs on the same inputs whether a suspect was taken from your model.

    All files have inputs and classes in one order: here names tell neither. The exit code is 0 whatever the verdict is;
    a script reads it from `verdict` in --json.
    """
    from spellward.ownership import judge, load_outputs
    from spellward.ownership.judge import DEFAULT
    from spellward.ownership.statistics.default import ENOUGH

    refusals.refuse_unknown_method(method)
    verdict = judge(
        load_outputs(victim),
        [load_outputs(path) for path in reference],
        load_outputs(suspect),
        peers=[load_outputs(path) for path in peer or ()],
        poisoned=None if poisoned is None else load_outputs(poisoned),
        method=method,
        alpha=alpha,
        seed=seed,
        match_classes=match_classes,
    )
    record = verdict.to_record()
    if not as_json:
        del record["published"], record["options"]  # of claims
        record["controls"] = "; ".join(f"{control.name}: {control.verdict}" for control in verdict.controls) or None
    printing.print_record(record, as_json)
    if method == DEFAULT and len(reference) < ENOUGH:
        printing.hint("With fewer than three references only near copies are found. Give more, as good as your model.")
