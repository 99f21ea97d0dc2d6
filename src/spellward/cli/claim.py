"""`spellward claim`: fix, before release, what a theft will be proven with."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from spellward.cli import key_files, printing, refusals
from spellward.cli.options import JsonOption, LabelledArgument, OwnKeyOption, QuietOption, SeedOption, examples
from spellward.cli.progress import stages

app = typer.Typer()

_POOR, _BETTER = 0.6, 0.1


@app.command(
    "claim",
    epilog=examples(
        "spellward claim victim/ photos/ --base timm/resnet50.a1_in1k -o claim/   # what it was fine-tuned from",
        "spellward claim victim/ photos/ --base 'timm/resnet50?random' -o claim/   # if it was trained from nothing",
        "spellward claim victim/ photos/ -o claim/ --references 12   # fine-tuned from the bundled model",
        "spellward claim locked/ photos/ --key locked.key -o claim/   # what a locked model does with its key",
    ),
)
def claim_command(
    victim: Annotated[str, typer.Argument(help="Your model: a checkpoint folder or Hub id.", show_default=False)],
    data: LabelledArgument,
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the claim; keep it private.")],
    key: OwnKeyOption = None,
    references: Annotated[
        int, typer.Option("--references", min=1, help="Independent models to train; more give more power.")
    ] = 8,
    peers: Annotated[
        int,
        typer.Option(
            "--peers",
            min=0,
            help="Independent models of all images, trained beside the references where these learn from fewer than "
            "2,000 or come short of your model, with --private-images, or where your model is locked: they show what "
            "knowing as much has in common with it.",
        ),
    ] = 4,
    probes: Annotated[int, typer.Option("--probes", min=10, help="Images to ask a suspect about.")] = 150,
    mixtures_only: Annotated[
        bool,
        typer.Option(
            "--mixtures-only/--private-images", help="Ask about mixtures of two private images, or about these too."
        ),
    ] = True,
    base: Annotated[
        list[str] | None,
        typer.Option(
            "--base",
            help="Model spec references start from: the public model that yours was fine-tuned from, or its "
            "architecture with random weights (timm/NAME?random) if it was trained from nothing. May stand several "
            "times, and they take turns.",
        ),
    ] = None,
    shadows: Annotated[bool, typer.Option("--shadows", help="Make the shadows of Holmes too.")] = False,
    alpha: Annotated[
        float, typer.Option("--alpha", min=1e-6, max=0.49, help="Rate of false accusations that is accepted.")
    ] = 0.01,
    epochs: Annotated[
        int | None, typer.Option("--epochs", min=1, help="Passes over the images for each reference.")
    ] = None,
    signing_key: Annotated[
        Path | None, typer.Option("--signing-key", help="Ed25519 key in PEM; one is made if not given.")
    ] = None,
    seed: SeedOption = 0,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Claim a model: train references, choose probes, and sign what a verdict will rest on."""
    refusals.refuse_existing(output)
    from spellward.locking.folder import LOCK_FILE
    from spellward.models import FitSettings
    from spellward.ownership.claim import ClaimSettings, create_claim
    from spellward.ownership.evidence.references import BASES
    from spellward.ownership.suspects import open_model

    if key is None and (Path(victim) / LOCK_FILE).is_file():
        open_model(victim, ())  # one that gives masks is refused for that: no key would help
        raise typer.BadParameter("This model is locked and says nothing about clean images. Give its key with --key.")
    if peers == 1:
        raise typer.BadParameter("One peer cannot show what peers have in common. Take two or more, or 0.")
    settings = ClaimSettings(
        references=references,
        peers=peers,
        probes=probes,
        private_images=not mixtures_only,
        bases=tuple(base or BASES),
        shadows=shadows,
        alpha=alpha,
        seed=seed,
        fit=FitSettings(epochs=epochs or 0),
    )
    with stages(quiet or as_json) as report:
        model = victim if key is None else key_files.behind_key(victim, key)
        claim = create_claim(model, data, output, settings=settings, signing_key=signing_key, report=report)
    made = claim.commitment
    printing.print_record(
        {
            "claim": str(claim.folder),
            "probes": made.probes,
            "references": made.references,
            "peers": made.peers,
            "threshold": made.threshold,
            "base": made.base,
            "victim_accuracy": round(made.victim_accuracy, 4),
            "references_accuracy": round(made.references_accuracy, 4),
            "weights": "no" if claim.weights is None else f"compared with {len(claim.weights.references)} references",
            "commitment": made.digest(),
        },
        as_json,
    )
    if made.probes < probes:
        printing.hint(
            f"{made.probes} probes and not {probes}: a quarter of the private images is kept for them, and each goes "
            "into one. Give more images, or --private-images.",
            quiet,
        )
    if made.references_accuracy < _POOR * made.victim_accuracy:
        printing.warn(
            f"The references tell only {made.references_accuracy:.0%} of images that they have not learnt, where your "
            f"model tells {made.victim_accuracy:.0%}, so the claim will find little. Train them longer (--epochs)."
        )
    if made.references_accuracy > made.victim_accuracy + _BETTER:
        printing.warn(
            f"The references tell {made.references_accuracy:.0%} of images that they have not learnt, and your model "
            f"{made.victim_accuracy:.0%}. Is it asked as it was trained, and are these its images?"
        )
    if claim.weights is None:
        printing.hint(
            f"Suspects are judged by answers alone: fewer than three references started from {made.base} as your model "
            "did. Give more --references; or, if it was fine-tuned from another base, name that with --base: innocent "
            "models of it may look stolen.",
            quiet,
        )
    printing.hint(
        f"Publish {claim.folder / 'commitment.json'}, or its digest above, when you release the model.", quiet
    )
