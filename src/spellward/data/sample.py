"""The small data sets that come with the package, for the demo and for tests without a network.

`fashion` is part of Fashion-MNIST; `clipart` is part of the Open Clip Art Library. `data/sample/README.md` gives their
sources and licences, `benchmarks/build_samples.py` makes them. `scenes`, images with masks, is composed when first
asked for (scenes.py).
"""

from __future__ import annotations

import functools
import hashlib
from importlib import resources

import pyarrow.compute as pc
import pyarrow.parquet as pq
from datasets import Dataset

from spellward.data.scenes import scenes
from spellward.errors import DataError

SAMPLES = ("fashion", "clipart", "scenes")
SAMPLE_SOURCES = ", ".join(f"sample:{name}" for name in SAMPLES)
"""The samples as `load_splits` takes them, for messages."""


def in_sample_half(relative_path: str) -> bool:
    """Whether a file of Open Clip Art may stand in the `clipart` sample; the bundled editor learns from the others.

    Args:
        relative_path: Posix path below the folder of PNGs, such as `animals/birds/duck_yellow_kurt_cagle_.png`.
    """
    return int(hashlib.sha256(relative_path.encode()).hexdigest(), 16) % 2 == 0


def load_sample(name: str) -> dict[str, Dataset]:
    """Reads a bundled sample: split name (train, validation, test) -> Dataset, in memory.

    The columns are `image` and `label`, and of `scenes` also `mask`.

    Raises:
        DataError: For a name that is not in `SAMPLES`.
    """
    if name not in SAMPLES:
        raise DataError(f"There is no sample {name!r}. Take one of: {SAMPLE_SOURCES}.")
    if name == "scenes":
        return dict(_scenes())
    with resources.as_file(resources.files("spellward.data") / "sample" / f"{name}.parquet") as path:
        table = pq.read_table(path)
    splits = {}
    for split in ("train", "validation", "test"):
        rows = table.filter(pc.equal(table["split"], split)).drop_columns(["split"])
        splits[split] = Dataset(rows)
    return splits


@functools.cache
def _scenes() -> dict[str, Dataset]:
    """Composed once in a process; Datasets do not change."""
    return scenes(load_sample("fashion"))
