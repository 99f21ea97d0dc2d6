"""Small images and masks, and folders of them."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from PIL import Image

WIDTH, HEIGHT = 12, 9


def picture(seed: int, width: int = WIDTH, height: int = HEIGHT) -> Image.Image:
    """RGB noise."""
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8))


def blob(label: int, number: int = 0, width: int = WIDTH, height: int = HEIGHT) -> np.ndarray:
    """uint8 [height, width]: a rectangle of `label` at a place of its own on background."""
    ids = np.zeros((height, width), dtype=np.uint8)
    ids[number % 3 : number % 3 + 4, number % 5 : number % 5 + 3] = label
    return ids


def stored(images: list[Image.Image]) -> list[dict[str, object]]:
    """Values for a column of `datasets.Image`."""
    values: list[dict[str, object]] = []
    for image in images:
        buffer = io.BytesIO()
        image.save(buffer, "PNG")
        values.append({"bytes": buffer.getvalue(), "path": None})
    return values


def fill(images: Path, masks: Path, count: int = 20, classes: int = 2, seed: int = 0) -> None:
    """Writes pairs 000, 001, ... with the classes 1 to `classes` in turn."""
    images.mkdir(parents=True, exist_ok=True)
    masks.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        picture(1000 * seed + number).save(images / f"{number:03}.png")
        Image.fromarray(blob(1 + number % classes, number)).save(masks / f"{number:03}.png")
