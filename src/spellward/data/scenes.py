"""The sample `scenes`: clothes cut out of the bundled sample and pasted onto photographs, with exact masks.

Everything is drawn from fixed seeds, so the scenes are the same on every machine with the same Pillow. Clothes of a
split are those of the same split of `fashion`; backgrounds of train, validation and test come from three separate parts
of each of scikit-learn's two photographs.
"""

from __future__ import annotations

import colorsys
import io
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from datasets import ClassLabel, Dataset, Features
from datasets import Image as ImageColumn
from PIL import Image, ImageFilter

from spellward.data.images import decode_image
from spellward.data.mask_images import encode_mask
from spellward.data.masks import BACKGROUND, main_class

SIDE = 96
COUNTS = {"train": 1200, "validation": 150, "test": 300}
CLASSES: dict[str, tuple[str, ...]] = {
    "trouser": ("trouser",),
    "dress": ("dress",),
    "bag": ("bag",),
    "shoe": ("sneaker", "ankle-boot", "sandal"),
    "top": ("t-shirt", "pullover", "coat", "shirt"),
}
"""Foreground class -> classes of `fashion`."""

_SEED = 20
_ENLARGED = 4
_CLOTH = 10
"""Grey value above which a pixel belongs to the piece of clothing: the background of `fashion` is 0."""
_CUT = [255 * (value > _CLOTH) for value in range(256)]
_HALF = [255 * (value > 127) for value in range(256)]
_PARTS = {"train": (0.0, 0.6), "validation": (0.62, 0.74), "test": (0.76, 1.0)}
"""The part of a photograph's width from which a split takes its backgrounds."""


def scenes(fashion: Mapping[str, Dataset], counts: Mapping[str, int] = COUNTS) -> dict[str, Dataset]:
    """Composes the sample.

    Args:
        fashion: The sample `fashion`.
        counts: Number of scenes of each split; with fewer, they are the first of more.

    Returns:
        Split name -> Dataset of `image` (96 x 96 PNG), `label` and `mask`, in memory.
    """
    names = [BACKGROUND, *CLASSES]
    features = Features({"image": ImageColumn(), "label": ClassLabel(names=names), "mask": ImageColumn()})
    photographs = _photographs()
    splits = {}
    for split, count in counts.items():
        rng = np.random.default_rng([_SEED, list(COUNTS).index(split)])
        pools = _pools(fashion[split], rng)
        columns: dict[str, list[Any]] = {"image": [], "label": [], "mask": []}
        for scene in range(count):
            image, ids, instances = _scene(photographs, _PARTS[split], pools, 1 + scene % len(CLASSES), rng)
            columns["image"].append({"bytes": _png(image), "path": None})
            columns["label"].append(main_class(ids))
            columns["mask"].append({"bytes": encode_mask(ids, instances), "path": None})
        splits[split] = Dataset.from_dict(columns, features=features)
    return splits


def paste(
    scene: Image.Image,
    ids: np.ndarray,
    instances: np.ndarray,
    item: Image.Image,
    corner: tuple[int, int],
    label: int,
    number: int,
) -> None:
    """Puts an item on a scene and writes its class and number into the masks, all in place.

    Args:
        scene: RGB.
        ids: uint8 [H, W] class ids.
        instances: uint8 [H, W] instance numbers.
        item: RGBA; where its alpha is at least 128 the pixel counts as the item.
        corner: Column and row of the item's upper left corner; the item lies within the scene.
        label: Class id of the item.
        number: Instance number of the item.
    """
    scene.paste(item, corner, item.getchannel("A"))
    solid = np.asarray(item.getchannel("A")) >= 128
    place = np.s_[corner[1] : corner[1] + item.height, corner[0] : corner[0] + item.width]
    ids[place][solid] = label
    instances[place][solid] = number


def crop_of(photograph: Image.Image, part: tuple[float, float], side: int, rng: np.random.Generator) -> Image.Image:
    """A random square of a part of a photograph, at random mirrored, turned upside down, and brighter or darker.

    Args:
        photograph: RGB.
        part: The share of its width from which the square is taken, such as (0.0, 0.6).
        side: Side of the result in pixels.
        rng: Decides.
    """
    left, right = (round(share * photograph.width) for share in part)
    longest = min(right - left, photograph.height)
    edge = int(rng.integers(max(1, min(longest, side) * 3 // 4), longest + 1))
    x, y = int(rng.integers(left, right - edge + 1)), int(rng.integers(0, photograph.height - edge + 1))
    crop = photograph.resize((side, side), Image.Resampling.BILINEAR, (x, y, x + edge, y + edge), reducing_gap=2.0)
    for flip in (Image.Transpose.FLIP_LEFT_RIGHT, Image.Transpose.FLIP_TOP_BOTTOM):
        if rng.random() < 0.5:
            crop = crop.transpose(flip)
    brightness, contrast = rng.uniform(0.6, 1.1), rng.uniform(0.6, 1.1)
    # A table for every value, because ImageEnhance blends whole images.
    table = ((np.arange(256) - 110) * contrast + 110 * brightness).round().clip(0, 255).astype(int).tolist()
    return crop.point(table * 3)


def _scene(
    photographs: list[Image.Image],
    part: tuple[float, float],
    pools: list[Iterator[Image.Image]],
    label: int,
    rng: np.random.Generator,
) -> tuple[Image.Image, np.ndarray, np.ndarray]:
    """One scene with a main item of the class `label` and, in half of the scenes, a smaller one of any class behind."""
    scene = crop_of(photographs[int(rng.integers(len(photographs)))], part, SIDE, rng)
    ids, instances = np.zeros((SIDE, SIDE), dtype=np.uint8), np.zeros((SIDE, SIDE), dtype=np.uint8)
    size = rng.uniform(0.45, 0.7)
    wanted = [(label, size)]
    if rng.random() < 0.5:
        wanted.insert(0, (int(rng.integers(1, len(CLASSES) + 1)), rng.uniform(0.35, min(size, 0.5))))
    for number, (of_class, share) in enumerate(wanted, start=1):
        item = _tinted(next(pools[of_class - 1]), round(share * SIDE), rng)
        corner = int(rng.integers(0, SIDE - item.width + 1)), int(rng.integers(0, SIDE - item.height + 1))
        paste(scene, ids, instances, item, corner, of_class, number)
    return scene, ids, instances


def _tinted(grey: Image.Image, length: int, rng: np.random.Generator) -> Image.Image:
    """An item cut out, coloured, and scaled so that its longer side has `length` pixels: RGBA."""
    large = grey.resize((grey.width * _ENLARGED, grey.height * _ENLARGED), Image.Resampling.BICUBIC)
    # Blurring the enlarged cut and cutting again rounds off the steps between the original's pixels.
    solid = grey.point(_CUT).resize(large.size, Image.Resampling.BICUBIC)
    solid = solid.filter(ImageFilter.GaussianBlur(_ENLARGED / 2)).point(_HALF)
    box = solid.getbbox() or (0, 0, *solid.size)
    colour = np.array(colorsys.hsv_to_rgb(rng.random(), rng.uniform(0.3, 1.0), rng.uniform(0.55, 1.0)))
    shade = 0.3 + 0.7 * np.asarray(large, dtype=np.float64) / 255
    pixels = np.dstack([255 * shade[..., None] * colour, np.asarray(solid)]).round().astype(np.uint8)
    item = Image.fromarray(pixels).crop(box)
    scale = length / max(item.size)
    item = item.resize((max(1, round(item.width * scale)), max(1, round(item.height * scale))), Image.Resampling.BOX)
    return item.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if rng.random() < 0.5 else item


def _pools(items: Dataset, rng: np.random.Generator) -> list[Iterator[Image.Image]]:
    """For each foreground class its items in random order, again and again."""
    labels, names = np.asarray(items["label"][:]), items.features["label"].names

    def without_end(rows: np.ndarray) -> Iterator[Image.Image]:
        while True:
            for row in rows:
                yield items[int(row)]["image"].convert("L")

    pools = []
    for members in CLASSES.values():
        rows = np.flatnonzero(np.isin(labels, [names.index(name) for name in members]))
        pools.append(without_end(rng.permutation(rows)))
    return pools


def _photographs() -> list[Image.Image]:
    from importlib import resources

    folder = resources.files("sklearn.datasets.images")
    return [decode_image((folder / name).read_bytes(), name) for name in ("china.jpg", "flower.jpg")]


def _png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()
