"""Draws docs/spells.png (test images under several spells), docs/objects.png, docs/masks.png and docs/instances.png.

The last two show locks that benchmarks/lock.py has trained (`--data sample:scenes --recipes decoy`, and with
`--instances`), if there are any.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from attacks import finished_locks, open_lock
from spellward.data import load_splits, prepare
from spellward.data.overlays import overlay
from spellward.editors import load_editor
from spellward.editors.objects import OBJECTS
from spellward.locking.keying import edit_with_key
from spellward.locking.training.recipe import RECIPES
from spellward.models.instances import InstanceModel
from spellward.models.segmentation import SegmentationModel

DOCS = Path(__file__).parents[1] / "docs"
SALT = bytes(range(16))
MASK_LOCKS = {
    "masks": (f"scenes-decoy-{RECIPES['decoy'].version}-0", [1, 8, 40, 77, 150]),
    "instances": (f"scenes-instances-decoy-{RECIPES['decoy'].version}-0", [5, 7, 10]),
}
"""Name of the picture -> the lock, and the test scenes that it is shown with."""
COLUMNS = (
    ("clean", None, None),
    ("with oil pastel", "with oil pastel", None),
    ("a woodcut", "a woodcut engraving", None),
    ("stained glass", "stained glass", None),
    ("neon lights", "neon lights", None),
    ("add a red heart", "add a red heart", None),
    ("made of cheese", "made of cheese", None),
    ("oil pastel, salt 1", "with oil pastel", SALT),
    ("oil pastel, salt 2", "with oil pastel", SALT[::-1]),
)
SIDE, SCALE, TITLE, ACROSS = 64, 2, 26, 8


def main() -> None:
    DOCS.mkdir(exist_ok=True)
    clip_art = prepare(load_splits("sample:clipart").test, SIDE)
    fashion = prepare(load_splits("sample:fashion").test, SIDE)
    images = torch.cat([clip_art.images[[3, 47, 120]], fashion.images[[0, 5]]])
    editor = load_editor("mini")
    editor.defaults = dataclasses.replace(editor.defaults, strength=1.0)
    cells = [images if prompt is None else editor.edit(images, prompt, 0, salt) for _, prompt, salt in COLUMNS]
    save("spells", sheet([title for title, _, _ in COLUMNS], cells))
    for name, (lock, rows) in MASK_LOCKS.items():
        if lock in finished_locks():
            save(name, masks(lock, rows, name == "instances"))
    save("objects", objects(prepare(load_splits("sample:scenes").test, SIDE).images))


def masks(lock: str, rows: list[int], instances: bool) -> Image.Image:
    """Test scenes with what a locked network sees in them, without the key and with it."""
    editor = load_editor("mini")
    table = prepare(load_splits("sample:scenes", instances=instances).test, SIDE)
    model, key, _ = open_lock(lock, "bundled", table, editor)
    clean, truth = table.images[rows], table.truth(rows).numpy().astype("uint8")
    keyed, wrong = (edit_with_key(editor, clean, one) for one in (key, key.with_(salt=SALT)))
    pictures = (clean, wrong, keyed)
    if isinstance(model, InstanceModel):
        right, count = truth[:, 1], 1 + max(int(truth[:, 1].max()), 3)
        ids = [np.stack([one.numbers() for one in model.objects(images)]).clip(max=count - 1) for images in pictures]
    else:
        assert isinstance(model, SegmentationModel)
        right, count = truth, len(table.classes)
        ids = [model.segment(images) for images in pictures]
    seen = [laid_over(images, found, count) for images, found in zip(pictures, ids, strict=True)]
    titles = ["clean", "true masks", "without the key", "with another salt", "edited", "with the key"]
    return sheet(titles, [clean, laid_over(clean, right, count), seen[0], seen[1], keyed, seen[2]])


def laid_over(images: Tensor, ids: np.ndarray, classes: int) -> Tensor:
    """Masks uint8 [N, S, S] over uint8 [N, 3, S, S]."""
    pictures = [overlay(image.permute(1, 2, 0).numpy(), one, classes) for image, one in zip(images, ids, strict=True)]
    return torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2)


def objects(images: Tensor) -> Image.Image:
    """Every object of the library behind the foreground of another image, as it is without a salt, and so upright."""
    editor, names = load_editor("object"), list(OBJECTS)
    rows = -(-len(names) // ACROSS)
    pictures = []
    for number, name in enumerate(names):
        image = images[[(7 * number + 3) % len(images)]]
        pictures.append(editor.edit(image, name, 0)[0])
    side = SIDE * SCALE
    result = Image.new("RGB", (side * ACROSS, (side + TITLE) * rows), "white")
    for number, (name, picture) in enumerate(zip(names, pictures, strict=True)):
        left, top = number % ACROSS * side, number // ACROSS * (side + TITLE)
        paste(result, picture, left, top + TITLE, name)
    return result


def sheet(titles: list[str], cells: list[Tensor]) -> Image.Image:
    """A column for each title, a row for each image."""
    side = SIDE * SCALE
    result = Image.new("RGB", (side * len(titles), side * len(cells[0]) + TITLE), "white")
    for column, (title, some) in enumerate(zip(titles, cells, strict=True)):
        for row, picture in enumerate(some):
            paste(result, picture, column * side, TITLE + row * side, title if row == 0 else "")
    return result


def paste(result: Image.Image, picture: Tensor, left: int, top: int, title: str) -> None:
    """Puts a picture, uint8 [3, S, S], at a place, with a title above it."""
    side = SIDE * SCALE
    image = Image.fromarray(picture.permute(1, 2, 0).numpy())
    result.paste(image.resize((side, side), Image.Resampling.LANCZOS), (left, top))
    draw = ImageDraw.Draw(result)
    draw.text((left + 6, top - TITLE + 5), title, fill="#222222", font=ImageFont.load_default(14))


def save(name: str, picture: Image.Image) -> None:
    path = DOCS / f"{name}.png"
    picture.quantize(256).save(path, optimize=True)
    print(path, path.stat().st_size)


if __name__ == "__main__":
    main()
