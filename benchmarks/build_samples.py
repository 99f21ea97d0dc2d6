"""Builds the two bundled samples, `fashion.parquet` and `clipart.parquet`, from Debian packages; seeded, no network.

    apt-get install dataset-fashion-mnist openclipart-png
    python benchmarks/build_samples.py [--output src/spellward/data/sample]

Sources and licences: src/spellward/data/sample/README.md.
"""

from __future__ import annotations

import argparse
import gzip
import io
import re
import warnings
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from datasets import ClassLabel, Features, Image, Value
from PIL import Image as Pillow

from spellward.data.sample import in_sample_half
from spellward.errors import DataError

FASHION = Path("/usr/share/datasets/fashion-mnist")
CLIPART = Path("/usr/share/openclipart/png")
OUTPUT = Path(__file__).parents[1] / "src/spellward/data/sample"

FASHION_CLASSES = ["t-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle-boot"]
CLIPART_CLASSES: dict[str, tuple[str, ...]] = {
    "animal": ("animals/",),
    "flag": ("signs_and_symbols/flags/",),
    "food": ("food/",),
    "game": ("recreation/games/",),
    "icon": ("computer/icons/",),
    "person": ("people/",),
    "sign": ("signs_and_symbols/map_symbols/", "transportation/aiga-symbols/", "transportation/roadsigns/"),
}
"""Class -> folders; a file belongs to the class with the longest folder that holds it."""

LEFT_OUT = re.compile(r"sexy|pantyhose|pacman|firefox|windows|pdf|msn|real[-_]?player")
"""Drawings that do not suit a sample: not for every audience, or somebody's trademark."""

CLIPART_CAP = 300
CLIPART_SIDE = 64
MAX_SOURCE_PIXELS = 4_000_000
NEAR = 3.0
"""Images whose 16 x 16 thumbnails differ by less than this (mean absolute difference of 255) share a split."""
LARGEST_GROUP = 12
"""A larger group is a series (playing cards, alphabets), not copies of one drawing."""

Row = tuple[bytes, int, str]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=OUTPUT)
    parser.add_argument("--fashion", type=Path, default=FASHION, help="folder of the *-ubyte.gz files")
    parser.add_argument("--clipart", type=Path, default=CLIPART, help="folder of Open Clip Art PNGs")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore", Pillow.DecompressionBombWarning)  # huge drawings are left out by their header
    arguments.output.mkdir(parents=True, exist_ok=True)
    write(arguments.output / "fashion.parquet", fashion_rows(arguments.fashion, arguments.seed), FASHION_CLASSES)
    write(
        arguments.output / "clipart.parquet", clipart_rows(arguments.clipart, arguments.seed), sorted(CLIPART_CLASSES)
    )


def write(path: Path, rows: Iterable[Row], classes: list[str]) -> None:
    """One file: encoded image, label, split; the class names stand in the schema, as `datasets` keeps them."""
    features = Features({"image": Image(), "label": ClassLabel(names=classes), "split": Value("string")})
    rows = list(rows)
    columns: dict[str, list[Any]] = {
        "image": [{"bytes": image, "path": None} for image, _, _ in rows],
        "label": [label for _, label, _ in rows],
        "split": [split for _, _, split in rows],
    }
    pq.write_table(pa.table(columns, schema=features.arrow_schema), path, compression="zstd")
    counts = {split: columns["split"].count(split) for split in ("train", "validation", "test")}
    print(f"{path}: {counts}, {path.stat().st_size / 1e6:.1f} MB")


def fashion_rows(folder: Path, seed: int) -> Iterable[Row]:
    """5,000 + 1,000 of the original training images, 2,000 of the original test images; classes in equal numbers."""
    for original, takes in (("train", {"train": 500, "validation": 100}), ("t10k", {"test": 200})):
        pixels = read_idx(folder / f"{original}-images-idx3-ubyte.gz")
        labels = read_idx(folder / f"{original}-labels-idx1-ubyte.gz")
        order = np.random.default_rng(seed).permutation(len(labels))
        start = dict.fromkeys(range(len(FASHION_CLASSES)), 0)
        for split, count in takes.items():
            rows = []
            for label in start:
                rows += [(row, label) for row in order[labels[order] == label][start[label] : start[label] + count]]
                start[label] += count
            for row, label in sorted(rows):
                buffer = io.BytesIO()
                Pillow.fromarray(pixels[row]).save(buffer, "PNG", optimize=True)
                yield buffer.getvalue(), label, split


def read_idx(path: Path) -> np.ndarray:
    """Reads the IDX format of MNIST (uint8 only)."""
    with gzip.open(path) as file:
        raw = file.read()
    shape = np.frombuffer(raw, ">i4", raw[3], 4)
    return np.frombuffer(raw, np.uint8, offset=4 + 4 * raw[3]).reshape(shape)


def clipart_rows(root: Path, seed: int) -> Iterable[Row]:
    """Subject folders of Open Clip Art, only files of the sample's half; copies of one drawing share a split."""
    drawings = unique_drawings(root)
    generator = np.random.default_rng(seed)
    for label, name in enumerate(sorted(CLIPART_CLASSES)):
        mine = [(stem, image) for of_class, stem, image in drawings if of_class == name]
        chosen = sorted(generator.permutation(len(mine))[:CLIPART_CAP])
        mine = [mine[row] for row in chosen]
        groups = groups_of_copies(mine)
        quota = {"test": 0.25 * len(mine), "validation": 0.15 * len(mine)}
        for row in generator.permutation(len(groups)):
            split = next((split for split in quota if quota[split] >= 1), "train")
            if split != "train":
                quota[split] -= len(groups[row])
            for member in groups[row]:
                yield webp(mine[member][1]), label, split
        print(f"{name}: {len(mine)} drawings in {len(groups)} groups")


def unique_drawings(root: Path) -> list[tuple[str, str, Pillow.Image]]:
    """(class, stem, square image) of every usable file, without drawings whose pixels occur in another."""
    found: dict[bytes, tuple[str, str, Pillow.Image]] = {}
    classes: dict[bytes, set[str]] = defaultdict(set)
    for path in sorted(root.rglob("*.png")):
        relative = path.relative_to(root).as_posix()
        name = class_of(relative)
        if name is None or LEFT_OUT.search(relative) or not in_sample_half(relative):
            continue
        image = square_on_white(path)
        if image is not None:
            pixels = image.tobytes()
            classes[pixels].add(name)
            found.setdefault(pixels, (name, re.split(r"\d", path.stem.lower())[0].strip("_-"), image))
    return [drawing for pixels, drawing in found.items() if len(classes[pixels]) == 1]


def class_of(relative: str) -> str | None:
    matches = [
        (len(folder), name)
        for name, folders in CLIPART_CLASSES.items()
        for folder in folders
        if relative.startswith(folder)
    ]
    return max(matches)[1] if matches else None


def square_on_white(path: Path) -> Pillow.Image | None:
    """The drawing without its empty border, at most 64 pixels long, centred on a white square; None if unusable."""
    with Pillow.open(path) as image:
        if image.width * image.height > MAX_SOURCE_PIXELS:
            return None
        drawing = image.convert("RGBA")
    box = drawing.getchannel("A").point(lambda alpha: 255 * (alpha > 16)).getbbox()
    if box is None or min(box[2] - box[0], box[3] - box[1]) < 8:
        return None
    drawing = drawing.crop(box)
    flat = Pillow.alpha_composite(Pillow.new("RGBA", drawing.size, "white"), drawing).convert("RGB")
    scale = CLIPART_SIDE / max(flat.size)
    flat = flat.resize([max(1, round(side * scale)) for side in flat.size], Pillow.Resampling.LANCZOS)
    square = Pillow.new("RGB", (CLIPART_SIDE, CLIPART_SIDE), "white")
    square.paste(flat, ((CLIPART_SIDE - flat.width) // 2, (CLIPART_SIDE - flat.height) // 2))
    return square if np.asarray(square).std() > 8 else None


def groups_of_copies(drawings: list[tuple[str, Pillow.Image]]) -> list[list[int]]:
    """Rows that are one drawing in variants: the same stem of the file name, or nearly the same thumbnail."""
    thumbnails = np.stack([np.asarray(image.resize((16, 16)), dtype=np.float32).ravel() for _, image in drawings])
    parent = list(range(len(drawings)))

    def root_of(row: int) -> int:
        while parent[row] != row:
            row = parent[row]
        return row

    for row, (stem, _) in enumerate(drawings):
        near = np.abs(thumbnails[:row] - thumbnails[row]).mean(axis=1) < NEAR
        for other in range(row):
            if near[other] or (stem and stem == drawings[other][0]):
                parent[root_of(row)] = root_of(other)
    groups: dict[int, list[int]] = defaultdict(list)
    for row in range(len(drawings)):
        groups[root_of(row)].append(row)
    parts: list[list[int]] = []
    for group in groups.values():
        parts += [group] if len(group) <= LARGEST_GROUP else [[row] for row in group]
    return parts


def webp(image: Pillow.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "WEBP", quality=90, method=6)
    return buffer.getvalue()


if __name__ == "__main__":
    try:
        main()
    except FileNotFoundError as error:
        raise DataError(f"{error.filename} is missing. Install dataset-fashion-mnist and openclipart-png.") from error
