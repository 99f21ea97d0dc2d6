"""`spellward verify`: ask a suspect about a claim's probes, and say what the answers show."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from spellward.cli import key_files, printing, refusals
from spellward.cli.options import JsonOption, OwnKeyOption, examples

app = typer.Typer()


@app.command(
    "verify",
    epilog=examples(
        "spellward verify claim/ --suspect thief/",
        "spellward verify claim/ --suspect model.onnx --json",
        "spellward verify claim/ --export-probes to-ask/   # then fill in to-ask/answers-template.csv",
        "spellward verify claim/ --suspect to-ask/answers-template.csv",
        "spellward verify claim/ --suspect answers.npy   # scores, probes by classes, or class numbers",
        "spellward verify claim/ --suspect thief/ --key locked.key   # a copy that is still locked",
    ),
)
def verify_command(
    claim: Annotated[Path, typer.Argument(help="Folder of the claim.", show_default=False)],
    suspect: Annotated[
        str | None,
        typer.Option(
            "--suspect",
            "-s",
            help="Checkpoint folder, .onnx file, or recorded answers: .npy, .npz, or a .csv with the header "
            "`file,CLASS,CLASS,...` above scores (`probe-0001.png,0.91,0.09`) or `file,label`.",
        ),
    ] = None,
    key: OwnKeyOption = None,
    method: Annotated[
        str, typer.Option("--method", help="spellward, or a baseline: holmes, dataset-inference, akh, agreement.")
    ] = "spellward",
    published: Annotated[
        str | None, typer.Option("--commitment", help="Published sha256 of commitment.json, to hold the claim against.")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Folder for report and verdict; CLAIM.verdicts/SUSPECT-... else."),
    ] = None,
    match_classes: Annotated[
        bool, typer.Option("--match-classes", help="Try to put the suspect's classes in the order of yours.")
    ] = False,
    export: Annotated[
        Path | None,
        typer.Option(
            "--export-probes", help="Write the probes there as PNG files, with a table to fill in for answers, and end."
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Verify a suspect: stolen, not shown or inconclusive; writes a report and verdict.json.

    A checkpoint is judged by its answers and, where the claim has them, by its weights; anything else by its answers.
    The exit code is 0 whatever the verdict is; a script reads it from `verdict` in --json.

    A .csv of answers has a row for each probe: `probe-0001.png,0.91,0.09` (probabilities or logits) below
    `file,cat,dog`, or `probe-0001.png,cat` below `file,label`. Names tell rows and columns, in any order; numbers
    alone stand in the order of --export-probes. What `predict --format csv` prints is taken as it is.
    """
    from spellward.ownership.answers.exported import TEMPLATE_FILE
    from spellward.ownership.claim import load_claim
    from spellward.ownership.verify import export_probes, verify
    from spellward.reports.claim_report import verdict_folder, write_claim_report

    if (suspect is None) == (export is None):
        raise typer.BadParameter("Give either --suspect or --export-probes.")
    refusals.refuse_unknown_method(method)
    opened = load_claim(claim, published)
    if export is not None:
        folder = export_probes(opened, export)
        template = folder / TEMPLATE_FILE
        record = {"probes": str(folder), "count": len(opened.probes), "template": str(template)}
        printing.print_record(record, as_json)
        printing.hint(
            f"Ask the suspect about the images and fill in {template} (README.txt beside it says how), "
            f"then run: {shlex.join(['spellward', 'verify', str(claim), '--suspect', str(template)])}",
            as_json,
        )
        return
    assert suspect is not None
    asked = suspect if key is None else key_files.behind_key(suspect, key)
    verdict = verify(opened, asked, method=method, match_classes=match_classes)
    page = write_claim_report(opened, verdict, suspect, output or verdict_folder(opened.folder, suspect, verdict))
    record = verdict.to_record()
    if as_json:
        printing.print_record({**record, "report": str(page)}, True)
        return
    shown = ("verdict", "reason", "p_value", "effect", "threshold", "queries", "queries_needed", "method")
    printing.print_record({**{name: record[name] for name in shown}, "report": str(page)}, False)
