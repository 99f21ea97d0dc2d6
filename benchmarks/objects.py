"""How well the object editor keeps off the foreground, and how fast it is; writes results/objects.json.

    python benchmarks/objects.py [--images 300]

PSNR over the pixels of the true foreground: the masks of sample:scenes, for sample:fashion what is brighter than 30 of
255, and for sample:clipart what is not white, which takes the cream faces of its playing cards and coloured backgrounds
for foreground. "masked" is over the foreground that the editor was told to keep. Saliency has to find it by itself;
"given" is told the masks. Three objects, each with a salt of its own.

A foreground is also kept by adding nothing. So "seen" counts images that show the object: at least a quarter (or half)
of as many pixels change as do where nothing is foreground; "hidden" are those where less than a tenth do. Objects that
were made smaller for lack of room have half the pixels at most.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from spellward.artifacts import versions
from spellward.data import ImageTable, MaskTable, load_splits, prepare
from spellward.editors.objects import Foreground, GivenForeground, ObjectEditor, SaliencyForeground

RESULTS = Path(__file__).parent / "results" / "objects.json"
SPELLS = ("a red balloon", "with a padlock", "some mushrooms")
DARK, WHITE = 30, 235


class NoForeground:
    """Lets the object cover everything."""

    name = "none"

    def __call__(self, images: Tensor) -> Tensor:
        return torch.zeros((len(images), *images.shape[2:]), dtype=torch.bool)


def psnr(before: Tensor, after: Tensor, where: Tensor) -> float:
    """Decibels over the pixels bool [N, H, W] of all images together; infinite if none of them changed."""
    error = (before.float() - after.float()).square().mean(dim=1)[where].mean().item()
    return 10 * np.log10(255**2 / error) if error else float("inf")


def decibels(before: Tensor, edits: list[Tensor], where: Tensor) -> float | str:
    """The worst PSNR of several edits, as it stands in the results."""
    worst = min(psnr(before, one, where) for one in edits)
    return "unchanged" if worst == float("inf") else round(float(worst), 1)


def true_foreground(data: str, table: ImageTable, images: Tensor) -> Tensor:
    """bool [N, H, W]."""
    if isinstance(table, MaskTable):
        return table.truth(slice(None)) > 0
    return images.amax(dim=1) > DARK if data == "sample:fashion" else images.amin(dim=1) < WHITE


def edits_of(foreground: Foreground, images: Tensor) -> list[Tensor]:
    editor = ObjectEditor(foreground)
    return [editor.edit(images, spell, 0, bytes([number]) * 16) for number, spell in enumerate(SPELLS)]


def changed(before: Tensor, edits: list[Tensor]) -> Tensor:
    """How many pixels of each image each edit changed, float32 [edits, N]."""
    return torch.stack([(one != before).any(dim=1).flatten(1).float().sum(dim=1) for one in edits])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=300)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    saliency = SaliencyForeground()
    rows: dict[str, dict[str, float | str]] = {}
    for data in ("sample:scenes", "sample:fashion", "sample:clipart"):
        table = prepare(load_splits(data).test, 64)
        table = table.subset(range(min(options.images, len(table))))
        images = table.images[:]
        masks = true_foreground(data, table, images)
        whole = changed(images, edits_of(NoForeground(), images)).clamp(min=1)
        foregrounds: dict[str, Foreground] = {"saliency": saliency}
        if isinstance(table, MaskTable):
            foregrounds["given"] = GivenForeground.of(table, saliency)
        for name, foreground in foregrounds.items():
            begun = time.perf_counter()
            edits = edits_of(foreground, images)
            seconds = time.perf_counter() - begun
            kept = foreground(images)
            pixels = changed(images, edits)
            rows[f"{data}, {name}"] = {
                "psnr": decibels(images, edits, masks),
                "psnr_masked": decibels(images, edits, kept),
                "found": kept[masks].float().mean().item(),
                "seen_quarter": (pixels >= 0.25 * whole).float().mean().item(),
                "seen_half": (pixels >= 0.5 * whole).float().mean().item(),
                "hidden": (pixels < 0.1 * whole).float().mean().item(),
                "pixels_changed": pixels.sum().item() / (len(SPELLS) * masks.numel()),
                "images_a_second": len(SPELLS) * len(images) / seconds,
            }
            print(data, name, rows[f"{data}, {name}"], flush=True)
    document = {"rows": rows, "images": options.images, "threads": options.threads, "versions": versions()}
    RESULTS.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
