"""Peak resident memory of a lock, by the number of images; writes results/memory.json.

    python benchmarks/memory.py [--images 6000 60000] [--side 32]

Each size runs in a process of its own: noise pictures go into the store as any data source would, are edited under a
key and as decoys (one variant of each), and a small network (timm/test_resnet) is locked on them for one epoch, since
the network's own size is not what is measured. Decoding files is left out: a source decodes a chunk at a time. What
must not happen is that memory grows with the images.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from spellward.artifacts import CACHE_VARIABLE, versions
from spellward.data import ImageTable
from spellward.data.store import ImageStore
from spellward.editors import load_editor
from spellward.keys import Key
from spellward.locking.keying import complete_key
from spellward.locking.training.fitting import fit_lock, lock_examples
from spellward.locking.training.recipe import RECIPES
from spellward.models import FitSettings, load_model

RESULTS = Path(__file__).parent / "results" / "memory.json"
CLASSES = tuple("abcdefghij")
MODEL = "timm/test_resnet?random"
_CHUNK = 1000


def peak_megabytes() -> float:
    """The largest resident size of this process so far."""
    (line,) = [one for one in Path("/proc/self/status").read_text().splitlines() if one.startswith("VmHWM")]
    return int(line.split()[1]) / 1024


def noise(count: int, side: int) -> Iterator[torch.Tensor]:
    """Yields uint8 [C, 3, side, side], in all `count` images."""
    generator = torch.Generator().manual_seed(0)
    for start in range(0, count, _CHUNK):
        size = min(_CHUNK, count - start)
        yield torch.randint(0, 256, (size, 3, side, side), dtype=torch.uint8, generator=generator)


def one_lock(count: int, side: int, folder: Path) -> dict[str, float]:
    """Locks `count` images, and returns the peak after each part in megabytes."""
    peaks = {"start": peak_megabytes()}
    with ImageStore.create(folder / "noise.images", count, side) as writer:
        for images in noise(count, side):
            writer.append(images)
        table = ImageTable(writer.finish(), np.arange(count) % len(CLASSES), CLASSES, f"noise {count} {side}")
    peaks["stored"] = peak_megabytes()
    editor, settings = load_editor("mini"), FitSettings(epochs=1)
    recipe = replace(RECIPES["decoy"], variants=1, fewest_edits=0)
    model = load_model(MODEL, CLASSES, side)
    key = complete_key(Key("with oil pastel", salt=bytes(16), seed=0), editor, model)
    examples = lock_examples(table, key, editor, recipe, settings, model)
    peaks["edited"] = peak_megabytes()
    fit_lock(model, examples, table, recipe, settings, folder / "fit")
    peaks["locked"] = peak_megabytes()
    return peaks


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", nargs="+", type=int, default=[6000, 60000])
    parser.add_argument("--side", type=int, default=32)
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        begun = time.monotonic()
        peaks = one_lock(options.one, options.side, Path(os.environ[CACHE_VARIABLE]))
        print(json.dumps({**peaks, "seconds": time.monotonic() - begun}))
        return
    results = {}
    for count in options.images:
        with tempfile.TemporaryDirectory() as folder:
            words = [sys.executable, __file__, "--one", str(count), "--side", str(options.side)]
            environment = {**os.environ, CACHE_VARIABLE: folder}
            done = subprocess.run(words, env=environment, check=True, capture_output=True, text=True)
        results[str(count)] = json.loads(done.stdout.splitlines()[-1])
        print(count, results[str(count)], flush=True)
    document = {"side": options.side, "model": MODEL, "unit": "MiB", "versions": versions(), "peaks": results}
    RESULTS.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
