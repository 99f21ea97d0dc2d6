"""Composes drawings onto photographs: a semantic and an instance segmentation set with exact masks; seeded, no network.

    apt-get install openclipart-png tuxpaint-stamps-default gnome-backgrounds
    python benchmarks/compose.py OUTPUT [--train 240] [--test 80] [--size 128] [--seed 0] [--classes bird fruit ...]

`load_splits("OUTPUT/semantic")` reads class ids (`images/`, `masks/`, `classes.txt`), `load_splits("OUTPUT/instances")`
the same scenes with every object by itself (COCO JSON). Train and test share no drawing and no photograph.
"""

from __future__ import annotations

import argparse
import io
import json
import re
import warnings
from collections import defaultdict
from collections.abc import Iterator
from importlib.util import find_spec
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from spellward.data import decode_image
from spellward.data.masks import BACKGROUND
from spellward.data.scenes import crop_of, paste
from spellward.errors import DataError

CLIPART = Path("/usr/share/openclipart/png")
STAMPS = Path("/usr/share/tuxpaint/stamps")
BACKGROUNDS = Path("/usr/share/backgrounds/gnome")
CLASSES: dict[str, tuple[Path, ...]] = {
    "bird": (CLIPART / "animals/birds", STAMPS / "animals/birds"),
    "building": (CLIPART / "buildings/homes", STAMPS / "town/houses", STAMPS / "town/monuments"),
    "fruit": (CLIPART / "food/fruit", STAMPS / "food/fruit"),
    "plant": (CLIPART / "plants", STAMPS / "plants"),
    "tool": (CLIPART / "tools", STAMPS / "household/tools"),
    "vehicle": (CLIPART / "transportation/vehicles", CLIPART / "transportation/boating", STAMPS / "vehicles"),
}
LEFT_OUT = ("tools/weapons", "tools/toys")
PHOTOGRAPHS = {
    "skimage": "brick.png camera.png chelsea.png coffee.png grass.png gravel.png motorcycle_left.png rocket.jpg",
    "sklearn": "china.jpg flower.jpg",
}
TEST_SHARE = 0.3
MAX_SOURCE_PIXELS = 4_000_000
MOST_SOLID = 0.95
"""A drawing that fills more of its box than this has an opaque background."""


class Drawing(NamedTuple):
    """A usable drawing; drawings of one group are variants of one another and stay in one split."""

    group: str
    item: Image.Image


class Scene(NamedTuple):
    """RGB, and uint8 [H, W] class ids and instance numbers; `labels` are the classes of instances 1, 2, ..."""

    image: Image.Image
    ids: np.ndarray
    instances: np.ndarray
    labels: list[int]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output", type=Path, help="a folder that does not exist yet")
    parser.add_argument("--train", type=int, default=240, help="number of training scenes")
    parser.add_argument("--test", type=int, default=80, help="number of test scenes")
    parser.add_argument("--size", type=int, default=128, help="side of the scenes in pixels")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--classes", nargs="+", choices=CLASSES, default=list(CLASSES))
    arguments = parser.parse_args()
    if arguments.output.exists():
        parser.error(f"{arguments.output} exists; name another folder")
    counts = {"train": arguments.train, "test": arguments.test}
    if min(counts.values()) < 1 or not 32 <= arguments.size <= 1024:
        parser.error("there is at least one scene of each split, and sizes go from 32 to 1024")
    compose(arguments.output, counts, arguments.size, arguments.seed, arguments.classes)


def compose(output: Path, counts: dict[str, int], size: int, seed: int, classes: list[str]) -> None:
    """Writes both sets; `counts` has the number of scenes for train and test."""
    warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # huge drawings are left out by their header
    pools: dict[str, list[list[Image.Image]]] = {split: [] for split in counts}
    for number, name in enumerate(classes):
        parts = by_split(sorted(drawings(name, size), key=lambda one: one.group), seed, number)
        for split, part in parts.items():
            pools[split].append(part)
        print(f"{name}: {len(parts['train'])} drawings to train, {len(parts['test'])} to test")
    backgrounds = photographs(seed)
    for number, (split, count) in enumerate(counts.items()):
        rng = np.random.default_rng([seed, number])
        scenes = (scene(backgrounds[split], pools[split], 1 + row % len(classes), size, rng) for row in range(count))
        write(output, split, scenes, classes)
    (output / "semantic/classes.txt").write_text("\n".join([BACKGROUND, *classes]) + "\n")
    print(f"{output}: {counts}")


def drawings(name: str, size: int) -> Iterator[Drawing]:
    """Drawings of a class with a transparent background, cut to their box, no pixels twice."""
    folders = [folder for folder in CLASSES[name] if folder.is_dir()]
    if not folders:
        raise DataError(f"There is none of {', '.join(map(str, CLASSES[name]))}. Install openclipart-png.")
    seen: set[bytes] = set()
    for path in sorted(path for folder in folders for path in folder.rglob("*.png")):
        if any(part in path.as_posix() for part in LEFT_OUT):
            continue
        item = cut_out(path, size)
        if item is not None and item.tobytes() not in seen:
            seen.add(item.tobytes())
            yield Drawing(re.split(r"[\d_]", path.stem.lower())[0] or path.stem, item)


def cut_out(path: Path, size: int) -> Image.Image | None:
    """The drawing without its empty border, its longer side at most `size`: RGBA; `None` if unusable."""
    with Image.open(path) as image:
        if image.width * image.height > MAX_SOURCE_PIXELS:
            return None
        item = image.convert("RGBA")
    solid = np.asarray(item.getchannel("A")) >= 128
    if not solid.any():
        return None
    rows, columns = np.flatnonzero(solid.any(axis=1)), np.flatnonzero(solid.any(axis=0))
    item = item.crop((int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1))
    share = solid[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].mean()
    if min(item.size) < 16 or max(item.size) > 6 * min(item.size) or not 0.1 < share <= MOST_SOLID:
        return None
    item.thumbnail((size, size), Image.Resampling.LANCZOS)
    return item


def by_split(found: list[Drawing], seed: int, number: int) -> dict[str, list[Image.Image]]:
    """Deals whole groups to test until it has its share; the rest is for training."""
    groups = [[one.item for one in members] for _, members in groupby(found, key=lambda one: one.group)]
    parts: dict[str, list[Image.Image]] = {"train": [], "test": []}
    for row in np.random.default_rng([seed, 7, number]).permutation(len(groups)):
        parts["test" if len(parts["test"]) < TEST_SHARE * len(found) else "train"] += groups[row]
    return parts


def photographs(seed: int) -> dict[str, list[Image.Image]]:
    """Split -> photographs, of the light and dark versions of a wallpaper always both in one split."""
    paths = [path for path in sorted(BACKGROUNDS.glob("*.webp")) if not path.stem.startswith(("vnc", "symbolic"))]
    for package, names in PHOTOGRAPHS.items():
        spec = find_spec(package)
        if spec is not None and spec.origin is not None:
            folder = Path(spec.origin).parent / ("data" if package == "skimage" else "datasets/images")
            paths += [folder / name for name in names.split() if (folder / name).is_file()]
    groups = defaultdict(list)
    for path in paths:
        image = decode_image(path)
        image.thumbnail((1024, 1024))
        groups[re.sub(r"-[dl]$", "", path.stem)].append(image)
    order = np.random.default_rng([seed, 8]).permutation(len(groups))
    cut = max(1, round(TEST_SHARE * len(groups)))
    members = list(groups.values())
    return {
        "test": [image for row in order[:cut] for image in members[row]],
        "train": [image for row in order[cut:] for image in members[row]],
    }


def scene(
    backgrounds: list[Image.Image], pools: list[list[Image.Image]], label: int, size: int, rng: np.random.Generator
) -> Scene:
    """A photograph with one to three drawings, the last and largest of class `label`."""
    image = crop_of(backgrounds[int(rng.integers(len(backgrounds)))], (0.0, 1.0), size, rng)
    ids, instances = np.zeros((size, size), dtype=np.uint8), np.zeros((size, size), dtype=np.uint8)
    labels = [int(other) for other in rng.integers(1, len(pools) + 1, rng.integers(0, 3))] + [label]
    for place, of_class in enumerate(labels):
        pool = pools[of_class - 1]
        item = pool[int(rng.integers(len(pool)))]
        share = rng.uniform(0.4, 0.65) if place == len(labels) - 1 else rng.uniform(0.25, 0.4)
        scale = share * size / max(item.size)
        item = item.resize([max(1, round(side * scale)) for side in item.size], Image.Resampling.LANCZOS)
        if rng.random() < 0.5:
            item = item.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        corner = int(rng.integers(0, size - item.width + 1)), int(rng.integers(0, size - item.height + 1))
        paste(image, ids, instances, item, corner, of_class, place + 1)
    return Scene(image, ids, instances, labels)


def write(output: Path, split: str, scenes: Iterator[Scene], classes: list[str]) -> None:
    """Writes the scenes of a split into both sets."""
    images, masks = output / "semantic" / split / "images", output / "semantic" / split / "masks"
    beside, annotations = output / "instances" / split, output / "instances/annotations"
    for folder in (images, masks, beside, annotations):
        folder.mkdir(parents=True, exist_ok=True)
    content: dict[str, list[dict[str, Any]]] = {
        "images": [],
        "annotations": [],
        "categories": [{"id": number, "name": name} for number, name in enumerate(classes, start=1)],
    }
    for number, (image, ids, instances, labels) in enumerate(scenes):
        name = f"{number:05}.png"
        buffer = io.BytesIO()
        image.save(buffer, "PNG")
        for folder in (images, beside):
            (folder / name).write_bytes(buffer.getvalue())
        Image.fromarray(ids).save(masks / name)
        height, width = ids.shape
        content["images"].append({"id": number, "file_name": name, "width": width, "height": height})
        for instance, label in enumerate(labels, start=1):
            pixels = instances == instance
            if pixels.any():
                content["annotations"].append(annotation(pixels, len(content["annotations"]) + 1, number, label))
    (annotations / f"instances_{split}.json").write_text(json.dumps(content) + "\n")


def annotation(pixels: np.ndarray, number: int, image: int, label: int) -> dict[str, Any]:
    """One object in COCO's form: its visible pixels, bool [H, W], as run lengths down the columns."""
    line = pixels.T.ravel()
    ends = np.flatnonzero(np.diff(line)) + 1
    runs = np.diff(np.concatenate([[0], ends, [line.size]])).tolist()
    rows, columns = np.flatnonzero(pixels.any(axis=1)), np.flatnonzero(pixels.any(axis=0))
    x, y = int(columns[0]), int(rows[0])
    return {
        "id": number,
        "image_id": image,
        "category_id": label,
        "iscrowd": 0,
        "area": int(pixels.sum()),
        "bbox": [x, y, int(columns[-1]) + 1 - x, int(rows[-1]) + 1 - y],
        "segmentation": {"size": list(pixels.shape), "counts": [0, *runs] if line[0] else runs},
    }


if __name__ == "__main__":
    main()
