"""One encoded mask -> class ids and instance numbers; and the one form in which masks are kept, an RGB PNG."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image

from spellward.data.images import decode_raw, upright
from spellward.data.mask_formats import grey_step, refuse_lossy
from spellward.data.masks import IGNORE
from spellward.errors import DataError

_SHOWN = 5


def pixel_values(source: str | Path | bytes, name: str) -> np.ndarray:
    """The numbers in a mask of one channel: class ids or instance numbers, int64 [H, W], none negative.

    Palette images give their indices. RGB images must be grey. A mask that says it is turned is turned upright, as its
    image is.

    Raises:
        DataError: For a broken file, lossy compression (which changes ids), floating-point values, or colours; it names
            the mask.
    """
    image = decode_raw(source, name)
    refuse_lossy(image, source, name)
    image, step = upright(image), grey_step(image, source)  # what was turned no longer knows its format
    if image.mode in ("P", "L", "1") or image.mode.startswith("I"):
        values = np.asarray(image).astype(np.int64) // step
    elif image.mode in ("RGB", "RGBA", "LA"):
        colours = np.asarray(image.convert("RGB"))
        if (colours != colours[..., :1]).any():
            raise DataError(f"{name} is a mask in colours. Say which class each colour means in palette.json.")
        values = colours[..., 0].astype(np.int64)
    else:
        raise DataError(f"{name} has the mode {image.mode}, unusual for a mask. Save it as a grey PNG of class ids.")
    if values.min() < 0:
        raise DataError(f"{name} has negative class ids. Number the classes from 0, the background.")
    return values


def palette_ids(source: str | Path | bytes, name: str, palette: Mapping[tuple[int, int, int], int]) -> np.ndarray:
    """Class ids of a mask in colours: int64 [H, W].

    Raises:
        DataError: For a broken or lossy file, or a colour that is not in the palette; it names the mask and the colour.
    """
    image = decode_raw(source, name)
    refuse_lossy(image, source, name)
    colours = np.asarray(upright(image).convert("RGB")).astype(np.int64)
    codes = (colours[..., 0] << 16) | (colours[..., 1] << 8) | colours[..., 2]
    known = {(red << 16) | (green << 8) | blue: number for (red, green, blue), number in palette.items()}
    found, inverse = np.unique(codes, return_inverse=True)
    unknown = [int(code) for code in found if int(code) not in known]
    if unknown:
        shown = ", ".join(f"[{code >> 16}, {code >> 8 & 255}, {code & 255}]" for code in unknown[:_SHOWN])
        raise DataError(f"{name} has {len(unknown)} colours that are not in the palette: {shown}. Add or repaint them.")
    return np.array([known[int(code)] for code in found], dtype=np.int64)[inverse].reshape(codes.shape)


def check_ids(ids: np.ndarray, name: str, count: int | None) -> np.ndarray:
    """Holds class ids against the number of classes (`None`: any) and gives them as uint8.

    Raises:
        DataError: Naming the mask and the ids that no class has.
    """
    limit = count if count is not None else IGNORE
    wrong = np.unique(ids[(ids >= limit) & (ids != IGNORE)])
    if len(wrong):
        shown = ", ".join(map(str, wrong[:_SHOWN]))
        raise DataError(
            f"{name} has the unknown class ids {shown}. Ids go from 0 (background) to {limit - 1}; {IGNORE} is "
            f"ignored. Mend the mask or the list of classes."
        )
    return ids.astype(np.uint8)


def renumbered(instances: np.ndarray) -> np.ndarray:
    """Instance numbers of any size -> 1, 2, ... in the same order, 0 staying 0: int64 of the same shape."""
    found, inverse = np.unique(instances, return_inverse=True)
    offset = 0 if len(found) and found[0] == 0 else 1
    return inverse.reshape(instances.shape) + offset


def encode_mask(ids: np.ndarray, instances: np.ndarray | None = None) -> bytes:
    """PNG of mode RGB with class ids in red and instance numbers in green, from uint8 [H, W] each."""
    channels = np.zeros((*ids.shape, 3), dtype=np.uint8)
    channels[..., 0] = ids
    if instances is not None:
        channels[..., 1] = instances
    buffer = io.BytesIO()
    Image.fromarray(channels).save(buffer, "PNG", compress_level=3)
    return buffer.getvalue()


def decode_mask(source: str | Path | bytes, name: str, size: int | None = None) -> np.ndarray:
    """A mask as `encode_mask` made it: uint8 [3, H, W], or [3, size, size] by nearest neighbour.

    Raises:
        DataError: If it is broken or of another mode; the message names it.
    """
    image = decode_raw(source, name)
    if image.mode != "RGB":
        raise DataError(f"{name} has the mode {image.mode}; a prepared mask has RGB. Read the data with load_splits.")
    if size is not None and image.size != (size, size):
        image = image.resize((size, size), Image.Resampling.NEAREST)
    return np.ascontiguousarray(np.asarray(image, dtype=np.uint8).transpose(2, 0, 1))
