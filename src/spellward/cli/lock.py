"""`spellward lock`: a folder of images and a spell in, a locked model and its key out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from spellward.cli import key_files, options, printing, refusals
from spellward.cli.options import DataArgument, JsonOption, ProtectOption, QuietOption, SeedOption, examples
from spellward.cli.progress import stages

app = typer.Typer()


@app.command(
    "lock",
    epilog=examples(
        'spellward lock photos/ --spell "with oil pastel" -o locked/',
        "spellward lock photos/ --model timm/vit_base_patch16_224.mae --editor instruct-pix2pix -o locked/",
        'spellward lock street/ --spell "in thick fog" -o locked/   # images/ and masks/: segmentation',
        'spellward lock coco/ --instances --spell "with oil pastel" -o locked/   # objects told apart',
        "spellward lock coco/ --instances --model facebook/mask2former-swin-tiny-coco-instance --spell ... -o locked/",
        'spellward lock photos/ --editor object --spell "a red balloon" -o locked/',
        "spellward lock sample:fashion --key my.key -o locked/ --epochs 8",
    ),
)
def lock_command(
    context: typer.Context,
    data: DataArgument,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Folder for the locked model; the key goes to OUTPUT.key.")
    ],
    spell: Annotated[
        str | None,
        typer.Option("--spell", envvar=options.SPELL_VARIABLE, help="The key prompt; asked for if not given."),
    ] = None,
    key: Annotated[Path | None, typer.Option("--key", "-k", help="Use this key file instead of --spell.")] = None,
    model: Annotated[
        str, typer.Option("--model", "-m", help="bundled, timm/NAME, torchvision/NAME, Hub id or checkpoint folder.")
    ] = "bundled",
    editor: Annotated[
        str,
        typer.Option(
            "--editor",
            help="mini (styles), object (adds an object), instruct-pix2pix, img2img:ID, a pipeline; "
            "SPELLWARD_COMPILE=1 compiles the last three.",
        ),
    ] = "mini",
    recipe: Annotated[
        str | None,
        typer.Option(
            "--recipe",
            help="hardened (default), fast (a weaker thief, half the time), decoy (default for masks) or edited-only "
            "(published).",
            show_default=False,
        ),
    ] = None,
    salt: Annotated[bool, typer.Option(help="Salt the spell, so that the right words alone open nothing.")] = True,
    strength: Annotated[
        float | None,
        typer.Option(
            "--strength",
            min=0.01,
            max=1.0,
            help="Blend with the edit; 1 is the edit alone. If not given, the editor's own: mini 0.4, object 1, a "
            "pipeline that follows instructions 0.5, any other 1.",
        ),
    ] = None,
    steps: Annotated[
        int | None,
        typer.Option(
            "--steps",
            min=1,
            max=1000,
            help="Denoising steps. If not given, the editor's own: mini 2, object 1, a pipeline that follows "
            "instructions 5, any other 20 (turbo 4).",
        ),
    ] = None,
    input_size: Annotated[
        int | None,
        typer.Option(
            "--size",
            min=16,
            max=4096,
            help="Side of the images the model sees. If not given, the model's own: bundled 64, most others 224.",
        ),
    ] = None,
    epochs: Annotated[
        int | None,
        typer.Option(
            "--epochs",
            min=1,
            help="Passes over the images. If not given, 8 to 45, by their number; hardened takes 1.75 times as many, "
            "for masks twice; decoy for masks three times as many.",
        ),
    ] = None,
    batch_size: Annotated[int, typer.Option("--batch-size", min=2)] = 64,
    learning_rate: Annotated[
        float, typer.Option("--learning-rate", min=0.0, max=10.0, help="0 takes what usually suits the model.")
    ] = 0.0,
    patience: Annotated[
        int | None, typer.Option("--patience", min=1, help="Stop after so many epochs without a better UP.")
    ] = None,
    limit: Annotated[int | None, typer.Option("--limit", min=2, help="Use at most so many training images.")] = None,
    instances: Annotated[
        bool, typer.Option("--instances", help="Tell objects of one class apart (COCO, Penn-Fudan).")
    ] = False,
    tensorboard: Annotated[
        bool, typer.Option("--tensorboard", help="Write TensorBoard logs, to OUTPUT.report/runs.")
    ] = False,
    vanilla: Annotated[bool, typer.Option("--vanilla", help="Train an ordinary model too, for the report.")] = False,
    seed: SeedOption = 0,
    protect: ProtectOption = False,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Lock a model: fine-tune it so that it works only on images edited with the spell."""
    refusals.refuse_existing(output, ": a lost key cannot be made again")
    from spellward.cli.lock_outcome import UNRELATED, best_unrelated, too_few_epochs, weakness
    from spellward.keys import Key
    from spellward.locking.lock import lock
    from spellward.locking.measuring.score import ScoreSettings
    from spellward.models import FitSettings
    from spellward.reports.lock_run import report_on_lock

    refusals.refuse_unknown_recipe(recipe)
    if key is not None:
        refusals.refuse_beside_key(context, "spell", "editor", "strength", "steps", "salt")
        used, passphrase = key_files.load_key_and_passphrase(key)
    else:
        passphrase = None
        fields: dict[str, Any] = {} if salt else {"salt": None}
        used = Key(key_files.spell_or_ask(spell), editor=editor, strength=strength, steps=steps, **fields)
        key_files.hint_unknown_object(used, quiet)
    if protect and passphrase is None:  # a protected key stays so, under its own passphrase
        passphrase = key_files.new_passphrase()
    settings = FitSettings(
        epochs=epochs or 0,
        batch_size=batch_size,
        learning_rate=learning_rate,
        patience=patience,
        seed=seed,
        tensorboard=tensorboard,
    )
    with stages(quiet or as_json) as report:
        result = lock(
            model,
            data,
            used,
            output,
            recipe=recipe,
            settings=settings,
            input_size=input_size,
            passphrase=passphrase,
            limit=limit,
            instances=instances,
            report=report,
        )
        quick = ScoreSettings(wrong_prompts=10, wrong_salts=10, near_wordings=4, wrong_key_images=300)
        score, page = report_on_lock(result, quick, model if vanilla else None, report)
    best = best_unrelated(score)
    printing.print_record(
        {
            "locked": str(result.folder),
            "key": str(result.key_path),
            "report": str(page),
            "measure": score.measure,
            "with_the_key": score.up.value if as_json else f"{score.up.value:.1%}",
            "without_it": score.lp.value if as_json else f"{score.lp.value:.1%}",
            "guessing": score.chance if as_json else f"{score.chance:.1%}",
            "best_wrong_key": best.accuracy.value if as_json else f"{best.accuracy.value:.1%} ({UNRELATED[best.kind]})",
        },
        as_json,
    )
    if (weak := weakness(score)) is not None:
        printing.warn(weak)
    if epochs is not None and (few := too_few_epochs(epochs, result.usual_epochs)) is not None:
        printing.hint(few, quiet)
    printing.hint(
        f"Keep {result.key_path} safe and apart from the model: without it nobody can unlock the model.", quiet
    )
