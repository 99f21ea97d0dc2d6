"""`spellward demo`: locks and a claim on the bundled images, offline; the first lock is told here."""

from __future__ import annotations

import secrets
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from spellward.cli import printing
from spellward.cli.options import JsonOption, QuietOption, examples
from spellward.cli.progress import stages

app = typer.Typer()

SPELL = "with oil pastel"
_WRONG = "with watercolor"
_IMAGES, _EPOCHS, _BATCH, _SHOWN = 1000, 8, 32, 100


@app.command("demo", epilog=examples("spellward demo", "spellward demo -o my-demo/"))
def demo_command(
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Folder for the results; a fresh one if not given.")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", min=100, help="Training images.")] = _IMAGES,
    epochs: Annotated[int, typer.Option("--epochs", min=1)] = _EPOCHS,
    masks: Annotated[bool, typer.Option(help="Lock a segmentation network, too.")] = True,
    claim: Annotated[bool, typer.Option(help="Claim a model, too, and verify two thieves and an innocent.")] = True,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Lock two models on bundled images and show what they are worth; claim another, steal it, verify the thieves."""
    from spellward.cli.demo_claim import claim_story
    from spellward.cli.demo_masks import masks_story
    from spellward.data import prepare
    from spellward.keys import SALT_BYTES, Key
    from spellward.locking.lock import lock
    from spellward.locking.measuring.score import ScoreSettings
    from spellward.locking.unlock import unlock
    from spellward.models import FitSettings
    from spellward.reports.lock_run import report_on_lock

    say = _silence if as_json else typer.echo
    folder = output or Path(tempfile.mkdtemp(prefix="spellward-demo-"))
    folder.mkdir(parents=True, exist_ok=True)
    locked = folder / "locked"
    say(f'1. Locking: {limit} fashion photographs, spell "{SPELL}", a fresh salt.')
    with stages(quiet or as_json) as report:
        result = lock(
            "bundled",
            "sample:fashion",
            Key(SPELL),
            locked,
            recipe="decoy",  # without the simulated thief, which takes most of the time
            settings=FitSettings(epochs=epochs, batch_size=_BATCH),
            limit=limit,
            report=report,
        )
        say(f"   {result.folder}/ can be given away; {result.key_path} stays with you.")
        say("2. Scoring on images that no training has seen, beside an ordinary fine-tune.")
        quick = ScoreSettings(wrong_prompts=8, wrong_salts=8, near_wordings=4, wrong_key_images=200)
        score, page = report_on_lock(result, quick, "bundled", report)
    figures = score.summary()
    for name, text in (
        ("vanilla", "ordinary fine-tune, no lock"),
        ("up", "locked model, right key (UP)"),
        ("lp", "locked model, no key (LP)"),
        ("argmin", "its least likely class"),
        ("leak", "a probe on its outputs"),
        ("wrong_best", "best of 8 wrong prompts, salt known"),
        ("salts_best", "right words, best of 8 other salts"),
        ("chance", "guessing"),
    ):
        say(f"   {100 * (figures[name] or 0.0):5.1f} %  {text}")
    say(f"3. A test image, and how many of {_SHOWN} are told:")
    test = prepare(result.splits.test, result.key.resolution or 64)
    clean, truth = test.images[:_SHOWN], [test.classes[int(label)] for label in test.labels[:_SHOWN]]
    label = truth[0]
    attempts = (
        ("without a key", None),
        (
            f'with a wrong key ("{_WRONG}", a salt of its own)',
            result.key.with_(prompt=_WRONG, salt=secrets.token_bytes(SALT_BYTES)),
        ),
        ("with the key", result.key),
    )
    answers = {}
    for name, key in attempts:
        seen = unlock(locked, key, editor=result.editor if key else None).predict(clean)
        answers[name], likely = next(seen.top(1))[0]
        told = sum(one == other for one, other in zip(seen.labels, truth, strict=True))
        say(f"   {name}: {answers[name]} ({likely:.0%}), {told} of {len(truth)} right; it is: {label}")
    say(f"   Report: {page}")
    if masks:
        with stages(quiet or as_json) as report:
            figures |= masks_story(folder, say, report, limit, epochs)
    verdicts: dict[str, str] = {}
    if claim:
        with stages(quiet or as_json) as report:
            verdicts = claim_story(folder, say, report)
    if as_json:
        printing.print_record({**figures, "label": label, **answers, "report": str(page), **verdicts}, True)


def _silence(_: str) -> None:
    """Says nothing: with --json stdout holds one JSON object."""
