"""`spellward predict`: classes for image files and folders, with the key or without it."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from spellward.cli import key_files, options, printing
from spellward.cli.options import ModelArgument, QuietOption, examples
from spellward.cli.progress import stages

if TYPE_CHECKING:
    from spellward.locking.unlock import Segmentations

app = typer.Typer()
_BATCH = 64
_PICTURES = ("mask", "instances", "overlay")


class Format(StrEnum):
    """How predictions are printed."""

    text = "text"
    csv = "csv"
    json = "json"


@app.command(
    "predict",
    epilog=examples(
        "spellward predict locked/ cat.jpg --key locked.key",
        "spellward predict locked/ photos/ --key locked.key --top 3 --format csv > answers.csv",
        "spellward predict locked/ street/ --key locked.key --output masks/   # a model that gives masks",
    ),
)
def predict_command(
    locked: ModelArgument,
    images: Annotated[list[Path], typer.Argument(help="Image files, or folders of them.", show_default=False)],
    key: Annotated[
        Path | None, typer.Option("--key", "-k", help="Key file; without it you see what a stranger gets.")
    ] = None,
    top: Annotated[int, typer.Option("--top", min=1, help="So many classes an image, of a classifier.")] = 1,
    form: Annotated[Format, typer.Option("--format", help="How to print.")] = Format.text,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Folder for masks and overlays, if the model gives masks.")
    ] = Path("predicted-masks"),
    device: Annotated[str, typer.Option("--device", help="auto (a GPU if there is one), cpu, cuda, cuda:1.")] = "auto",
    as_json: options.JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Predict the classes of images, or the class of each pixel, edited with the key first."""
    from spellward.errors import DataError
    from spellward.locking.predict import image_files, is_own_picture, predict_files, segment_files
    from spellward.locking.unlock import unlock

    form = Format.json if as_json else form
    files = [path for path in image_files(images) if not is_own_picture(path, output)]
    if not files:
        raise DataError(f"All images are in {output}, where earlier masks and overlays are. Name others, or --output.")
    unlocked = unlock(locked, key_files.load_key(key) if key else None, device=device)
    masks = unlocked.model.task != "classification"
    figure = {"segmentation": "share", "instances": "score"}.get(unlocked.model.task, "probability")
    top = len(unlocked.model.classes) - 1 if masks else min(top, len(unlocked.model.classes))
    rows: list[dict[str, Any]] = []
    edit_seconds = model_seconds = 0.0
    with stages(quiet or form is Format.json) as report:
        for path, size, found, written in segment_files(unlocked, files, output) if masks else ():
            edit_seconds += found.edit_seconds
            model_seconds += found.model_seconds
            pictures = {what: _text(place) for what, place in written.items()}
            rows.append({"file": _text(path), "classes": list(_seen(found, size)), **pictures})
            report("Predicting", len(rows), len(files))
        for paths, predictions in () if masks else predict_files(unlocked, files, _BATCH):
            edit_seconds += predictions.edit_seconds
            model_seconds += predictions.model_seconds
            for path, best in zip(paths, predictions.top(top), strict=True):
                rows.append({"file": _text(path), "classes": [{"class": name, "probability": p} for name, p in best]})
            report("Predicting", len(rows), len(files))
    cost = {"edit_ms_per_image": 1e3 * edit_seconds / len(rows), "model_ms_per_image": 1e3 * model_seconds / len(rows)}
    top = max((len(row["classes"]) for row in rows), default=0) if figure == "score" else top
    _print(rows, form, top, figure, {"predictions": rows, **cost})
    printing.hint(
        f"{cost['edit_ms_per_image']:.2f} ms an image for editing, {cost['model_ms_per_image']:.2f} ms for the model.",
        quiet or form is Format.json,
    )
    if key is None:
        printing.hint(
            "Without a key these are the answers a stranger gets: worth nothing.", quiet or form is Format.json
        )
    if masks:
        printing.hint(f"Masks and overlays are in {output}/.", quiet or form is Format.json)


def _seen(found: Segmentations, size: tuple[int, int]) -> Iterator[dict[str, Any]]:
    """Yields what one image shows: each object with its box in the picture's pixels, or each class with its share."""
    for one in found.objects:
        across, down = (side / len(found.masks[0]) for side in size)
        for kind, score, box in zip(one.classes, one.scores, one.boxes(), strict=True):
            edges = [round(float(edge) * scale) for edge, scale in zip(box, (across, down) * 2, strict=True)]
            yield {"class": found.classes[kind], "score": float(score), "box": edges}
    if not found.objects:
        for name, share in sorted(next(found.shares()).items(), key=lambda one: -one[1]):
            yield {"class": name, "share": share}


def _print(rows: list[dict[str, Any]], form: Format, top: int, figure: str, document: dict[str, Any]) -> None:
    if form is Format.json:
        typer.echo(json.dumps(document, indent=2, ensure_ascii=False))
    elif form is Format.csv:
        told = ("class", figure, "box") if figure == "score" else ("class", figure)
        names = [what for what in _PICTURES if any(what in row for row in rows)]
        columns = ["file", *names, *(f"{what}_{rank}" for rank in range(1, top + 1) for what in told)]
        writer = csv.DictWriter(sys.stdout, columns, restval="")
        writer.writeheader()
        for row in rows:
            writer.writerow({"file": row["file"], **{name: row.get(name, "") for name in names}, **_flat(row, told)})
    else:
        for row in rows:
            answers = ", ".join(f"{one['class']} {one[figure]:.1%}{_at(one)}" for one in row["classes"])
            typer.echo(f"{row['file']}  {answers or 'nothing found'}")


def _text(path: Path) -> str:
    """A file's name as text; bytes that are no UTF-8 become hexadecimal escapes."""
    return str(path).encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _at(one: dict[str, Any]) -> str:
    return f" at {' '.join(map(str, one['box']))}" if "box" in one else ""


def _flat(row: dict[str, Any], told: tuple[str, ...]) -> dict[str, str]:
    """Cells by column; a box is left, top, right and bottom."""
    cells = {}
    for rank, one in enumerate(row["classes"], start=1):
        for what in told:
            value = one[what]
            text = f"{value:.6f}" if isinstance(value, float) else " ".join(map(str, value)) if what == "box" else value
            cells[f"{what}_{rank}"] = text
    return cells
