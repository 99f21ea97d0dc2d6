"""What a caller hands in as images -> uint8 pixels, or one sentence that says what is wanted."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from spellward.data import decode_image
from spellward.data.images import encode_picture, square
from spellward.editors.base import tensor_from
from spellward.errors import DataError

Picture = str | Path | Image.Image
Images = Tensor | np.ndarray | Picture | Iterable[Picture]
"""uint8 [N, 3, H, W], a tensor or an array of NumPy, or image files and pictures of Pillow: one, or any number."""

_WANTED = "Images are a uint8 tensor or array [N, 3, H, W], or image files and Pillow images, one or a list"


def pixels_of(images: Images, side: int) -> Tensor:
    """Pixels as they are; files and pictures upright, in RGB and squashed to a square, as training images were.

    Args:
        images: What was handed in; all of a list is in memory at a time, and a generator is used up.
        side: Of the square that files and pictures become, in pixels.

    Returns:
        uint8 [N, 3, H, W], of a list [N, 3, side, side], of one file or picture [1, 3, side, side].

    Raises:
        DataError: For anything else, also pixels of another dtype or shape, and for a file that is no image.
    """
    if isinstance(images, np.ndarray):
        if images.dtype == np.uint8:
            images = tensor_from(images)
        elif images.ndim != 1 or images.dtype.kind not in "OU":  # those hold files or pictures
            raise DataError(f"{_WANTED}; got {images.dtype} {list(images.shape)}.")
    if isinstance(images, Tensor):
        if images.dtype != torch.uint8 or images.ndim != 4 or images.shape[1] != 3:
            raise DataError(f"{_WANTED}; got {images.dtype} {list(images.shape)}.")
        return images.cpu()  # editors take them from there to where they compute
    if isinstance(images, str | Path | Image.Image):
        images = [images]
    if isinstance(images, bytes | Mapping) or not isinstance(images, Iterable):
        raise DataError(f"{_WANTED}; got {type(images).__name__}.")
    pixels = [square(_decoded(one, number), side) for number, one in enumerate(images, 1)]
    return torch.from_numpy(np.stack(pixels)) if pixels else torch.empty((0, 3, side, side), dtype=torch.uint8)


def _decoded(given: object, number: int) -> Image.Image:
    if isinstance(given, str | Path):
        return decode_image(given)
    if not isinstance(given, Image.Image):
        raise DataError(f"{_WANTED}; number {number} of the list is {type(given).__name__}.")
    name = f"Image {number} of the list"
    return decode_image(encode_picture(given, name), name)
