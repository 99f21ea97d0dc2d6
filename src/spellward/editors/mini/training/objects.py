"""Objects that the bundled editor learns to add: public-domain clip art, each at a place and size of its own."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

CLIP_ART = Path("/usr/share/openclipart/png")
SPRITE_SHARE = 0.40
"""Longer side of an object as a share of the picture's side."""

# File below the clip-art folder, and the corner (right?, bottom?).
SPRITES: dict[str, tuple[str, tuple[bool, bool]]] = {
    "apple": ("food/fruit/apple.png", (False, True)),
    "snowman": ("recreation/holiday/snowman_01.png", (True, True)),
    "butterfly": ("animals/bugs/butterfly_jonathan_dietr_01.png", (True, False)),
    "heart": ("recreation/holiday/valentines/heart_jon_phillips_01.png", (False, False)),
    "balloon": ("recreation/party/balloon-red-aj.png", (True, False)),
    "star": ("computer/icons/stock-star.png", (False, False)),
    "sun": ("recreation/holiday/sunshine_matthew_gates_01.png", (True, False)),
    "sunglasses": ("people/clothing/sunglasses_01.png", (False, True)),
}


def add_object(name: str, image: NDArray[Any]) -> NDArray[Any]:
    """Pastes an object into its corner; float32 RGB [S, S, 3] in [0, 1] in and out."""
    sprite = _sprite(name, round(SPRITE_SHARE * image.shape[0]))
    height, width = sprite.shape[:2]
    right, bottom = SPRITES[name][1]
    margin = max(1, image.shape[0] // 32)
    top = image.shape[0] - height - margin if bottom else margin
    left = image.shape[1] - width - margin if right else margin
    result = image.copy()
    window = result[top : top + height, left : left + width]
    alpha = sprite[..., 3:]
    window[:] = window * (1 - alpha) + sprite[..., :3] * alpha
    return result


@cache
def _sprite(name: str, side: int) -> NDArray[Any]:
    """RGBA float32 [h, w, 4] in [0, 1], cut to what is visible."""
    picture = Image.open(CLIP_ART / SPRITES[name][0]).convert("RGBA")
    picture = picture.crop(picture.getchannel("A").getbbox())
    scale = side / max(picture.size)
    size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    return np.asarray(picture.resize(size, Image.Resampling.LANCZOS), dtype=np.float32) / 255
