"""Source pictures for training the bundled editor: 64 px, clip art on varied backgrounds, photo crops, dead leaves.

Only sources that allow the weights to be shipped: Open Clip Art (public domain), scikit-image's CC0 and public-domain
photographs and scikit-learn's two (CC BY 2.0, credited in the card). The half of the clip art that the bundled sample
uses is left out, and so is Fashion-MNIST, so that benchmarks on both are fair.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from spellward.data.sample import in_sample_half
from spellward.editors.mini.training.objects import CLIP_ART
from spellward.errors import DataError

SIDE = 64
HELD_OUT_PHOTOS = ("chelsea.png", "coffee.png", "china.jpg", "rocket.jpg")
_PHOTOS = (
    "astronaut.png", "brick.png", "camera.png", "chelsea.png", "coffee.png", "coins.png", "grass.png", "gravel.png",
    "hubble_deep_field.jpg", "ihc.png", "moon.png", "motorcycle_left.png", "retina.jpg", "rocket.jpg", "horse.png",
)  # fmt: skip
_HELD_OUT_CLIP_ART = 150
_MAX_SOURCE_SIDE = 1600
Picture = NDArray[np.uint8]


def clip_art_files() -> list[Path]:
    """The clip art that the editor may see, in a fixed order.

    Raises:
        DataError: If the collection is not installed.
    """
    files = sorted(CLIP_ART.rglob("*.png")) if CLIP_ART.is_dir() else []
    if not files:
        raise DataError(f"No clip art at {CLIP_ART}. Install Debian's package openclipart-png to train the editor.")
    usable = [path for path in files if "shapes/stars" not in path.as_posix() and "special" not in path.parts]
    return [path for path in usable if not in_sample_half(path.relative_to(CLIP_ART).as_posix())]


def photographs(held_out: bool) -> list[Picture]:
    """Photographs that come with scikit-image and scikit-learn, RGB, at most 700 px."""
    import skimage
    import sklearn.datasets

    folders = (Path(skimage.__file__).parent / "data", Path(sklearn.datasets.__file__).parent / "images")
    names = (*_PHOTOS, "china.jpg", "flower.jpg")
    found = [folder / name for folder in folders for name in names if (folder / name).is_file()]
    pictures = []
    for path in found:
        if (path.name in HELD_OUT_PHOTOS) != held_out:
            continue
        picture: Any = cv2.imread(str(path))
        scale = min(1.0, 700 / max(picture.shape[:2]))
        picture = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        pictures.append(np.ascontiguousarray(picture[..., ::-1]))
    return pictures


def source_pictures(held_out: bool, seed: int, clip_art_rounds: int, crops: int) -> Iterator[Picture]:
    """Yields uint8 RGB [64, 64, 3]; the held-out set shares neither clip art nor photographs with the other."""
    rng = np.random.default_rng([seed, held_out])
    photos = photographs(held_out)
    files = clip_art_files()
    np.random.default_rng(0).shuffle(files)
    files = files[:_HELD_OUT_CLIP_ART] if held_out else files[_HELD_OUT_CLIP_ART:]
    for path in files:
        clip_art = _clip_art(path)
        if clip_art is None:
            continue
        for _ in range(clip_art_rounds):
            picture = _pasted(clip_art, photos, rng)
            if picture is not None:
                yield _vary(picture, rng)
    for index in range(crops):
        yield _vary(_dead_leaves(rng) if index % 4 == 3 else _crop(photos, rng), rng)


def _crop(photos: list[Picture], rng: np.random.Generator) -> Picture:
    picture = photos[rng.integers(len(photos))]
    height, width = picture.shape[:2]
    side = int(rng.uniform(SIDE, min(height, width)))
    top, left = rng.integers(0, height - side + 1), rng.integers(0, width - side + 1)
    crop = cv2.resize(picture[top : top + side, left : left + side], (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    return crop[:, ::-1] if rng.random() < 0.5 else crop


def _dead_leaves(rng: np.random.Generator) -> Picture:
    """Overlapping discs of random colours and sizes: the edges and occlusions of photographs, without a licence."""
    picture = np.full((SIDE, SIDE, 3), rng.integers(0, 256, 3), np.uint8)
    for _ in range(int(rng.integers(15, 80))):
        centre = (int(rng.integers(SIDE)), int(rng.integers(SIDE)))
        colour = tuple(int(value) for value in rng.integers(0, 256, 3))
        cv2.circle(picture, centre, int(2 + 18 * rng.random() ** 3), colour, -1, cv2.LINE_AA)
    return picture


def _background(photos: list[Picture], rng: np.random.Generator) -> Picture:
    kind = rng.random()
    if kind < 0.3:
        return _crop(photos, rng)
    if kind < 0.6:
        return np.full((SIDE, SIDE, 3), 255 if kind < 0.45 else 0, np.uint8)
    if kind < 0.8:
        return np.full((SIDE, SIDE, 3), rng.integers(0, 256, 3), np.uint8)
    first, second, angle = rng.integers(0, 256, 3), rng.integers(0, 256, 3), rng.uniform(0, 2 * np.pi)
    y, x = np.mgrid[-1 : 1 : SIDE * 1j, -1 : 1 : SIDE * 1j]
    slope = np.clip((x * np.cos(angle) + y * np.sin(angle) + 1) / 2, 0, 1)[..., None]
    return (first * (1 - slope) + second * slope).astype(np.uint8)


def _clip_art(path: Path) -> Picture | None:
    """RGBA uint8 [h, w, 4] of at most 200 px; `None` for files that are too large to be worth it, or broken."""
    try:
        with Image.open(path) as header:
            if max(header.size) > _MAX_SOURCE_SIDE:
                return None
    except (OSError, Image.DecompressionBombError):
        return None
    picture = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if picture is None or picture.dtype != np.uint8 or picture.ndim != 3:
        return None
    if picture.shape[2] == 3:
        picture = np.dstack([picture, np.full(picture.shape[:2], 255, np.uint8)])
    scale = min(1.0, 200 / max(picture.shape[:2]))
    picture = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    return np.ascontiguousarray(picture[..., [2, 1, 0, 3]])


def _pasted(picture: Picture, photos: list[Picture], rng: np.random.Generator) -> Picture | None:
    scale = rng.uniform(40, 70) / max(picture.shape[:2])
    size = (max(2, round(picture.shape[1] * scale)), max(2, round(picture.shape[0] * scale)))
    picture = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    if rng.random() < 0.5:
        picture = picture[:, ::-1]
    margin = 40
    sheet = np.zeros((SIDE + 2 * margin, SIDE + 2 * margin, 4), np.float32)
    top = margin + (SIDE - size[1]) // 2 + int(rng.integers(-6, 7))
    left = margin + (SIDE - size[0]) // 2 + int(rng.integers(-6, 7))
    sheet[top : top + size[1], left : left + size[0]] = picture
    sheet = sheet[margin : margin + SIDE, margin : margin + SIDE]
    alpha = sheet[..., 3:] / 255
    if alpha.mean() < 0.05:
        return None
    return (sheet[..., :3] * alpha + _background(photos, rng) * (1 - alpha)).astype(np.uint8)


def _vary(picture: Picture, rng: np.random.Generator) -> Picture:
    """Some pictures grey, some as soft as an enlarged thumbnail: users have such images too."""
    picture = np.ascontiguousarray(picture)
    if rng.random() < 0.15:
        picture = np.repeat(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)[..., None], 3, axis=2)
    if rng.random() < 0.12:
        side = int(rng.choice([28, 32]))
        small = cv2.resize(picture, (side, side), interpolation=cv2.INTER_AREA)
        picture = cv2.resize(small, (SIDE, SIDE), interpolation=cv2.INTER_LINEAR)
    return picture
