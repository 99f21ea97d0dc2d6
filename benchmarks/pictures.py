"""Draws docs/spells.png: test images of the bundled samples, clean and under several spells."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import torch
from PIL import Image, ImageDraw, ImageFont

from spellward.data import load_splits, prepare
from spellward.editors import load_editor

OUTPUT = Path(__file__).parents[1] / "docs" / "spells.png"
SALT = bytes(range(16))
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
SIDE, SCALE = 64, 2


def main() -> None:
    editor = load_editor("mini")
    editor.defaults = dataclasses.replace(editor.defaults, strength=1.0)
    clip_art = prepare(load_splits("sample:clipart").test, SIDE)
    fashion = prepare(load_splits("sample:fashion").test, SIDE)
    images = torch.cat([clip_art.images[[3, 47, 120]], fashion.images[[0, 5]]])
    cells = [images if prompt is None else editor.edit(images, prompt, 0, salt) for _, prompt, salt in COLUMNS]
    side = SIDE * SCALE
    sheet = Image.new("RGB", (side * len(COLUMNS), side * len(images) + 26), "white")
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(14)
    for column, (title, _, _) in enumerate(COLUMNS):
        draw.text((column * side + 6, 5), title, fill="#222222", font=font)
        for row in range(len(images)):
            picture = Image.fromarray(cells[column][row].permute(1, 2, 0).numpy())
            sheet.paste(picture.resize((side, side), Image.Resampling.LANCZOS), (column * side, 26 + row * side))
    OUTPUT.parent.mkdir(exist_ok=True)
    sheet.quantize(256).save(OUTPUT, optimize=True)
    print(OUTPUT, OUTPUT.stat().st_size)


if __name__ == "__main__":
    main()
