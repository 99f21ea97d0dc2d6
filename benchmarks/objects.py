"""How well the object editor keeps off the foreground, and how fast it is; writes results/objects.json.

    python benchmarks/objects.py [--images 300]

PSNR over the pixels of the true foreground: the masks of sample:scenes, and for sample:fashion what is brighter than 30
of 255. Saliency has to find it by itself; "given" is told the masks. Three objects, each with a salt of its own.
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
from spellward.data import MaskTable, load_splits, prepare
from spellward.editors.objects import GivenForeground, ObjectEditor, SaliencyForeground

RESULTS = Path(__file__).parent / "results" / "objects.json"
SPELLS = ("a red balloon", "with a padlock", "some mushrooms")
DARK = 30


def psnr(before: Tensor, after: Tensor, where: Tensor) -> float:
    """Decibels over the pixels bool [N, H, W] of all images together; infinite if none of them changed."""
    error = (before.float() - after.float()).square().mean(dim=1)[where].mean().item()
    return 10 * np.log10(255**2 / error) if error else float("inf")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=300)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    saliency = SaliencyForeground()
    rows: dict[str, dict[str, float | str]] = {}
    for data in ("sample:scenes", "sample:fashion"):
        table = prepare(load_splits(data).test, 64).subset(range(options.images))
        images = table.images[:]
        masks = table.truth(slice(None)) > 0 if isinstance(table, MaskTable) else images.amax(dim=1) > DARK
        foregrounds = {"saliency": saliency}
        if isinstance(table, MaskTable):
            foregrounds["given"] = GivenForeground.of(table, saliency)
        for name, foreground in foregrounds.items():
            editor = ObjectEditor(foreground)
            begun = time.perf_counter()
            edited = [editor.edit(images, spell, 0, bytes([number]) * 16) for number, spell in enumerate(SPELLS)]
            seconds = time.perf_counter() - begun
            found = [psnr(images, one, masks) for one in edited]
            changed = torch.stack([(one != images).any(dim=1) for one in edited]).float().mean().item()
            rows[f"{data}, {name}"] = {
                "psnr": "unchanged" if min(found) == float("inf") else round(float(min(found)), 1),
                "found": foreground(images)[masks].float().mean().item(),
                "pixels_changed": changed,
                "images_a_second": len(SPELLS) * len(images) / seconds,
            }
            print(data, name, rows[f"{data}, {name}"], flush=True)
    document = {"rows": rows, "images": options.images, "threads": options.threads, "versions": versions()}
    RESULTS.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
