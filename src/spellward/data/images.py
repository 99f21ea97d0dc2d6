"""One encoded image of any common kind -> 8-bit RGB, or a refusal that names the file.

Files come from strangers: only raster formats that Pillow decodes by itself are opened (no PostScript), the header is
judged before a pixel is decoded, and whatever a decoder raises becomes a DataError.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image, ImageOps

from spellward.errors import DataError

MAX_PIXELS = 100_000_000
MIN_SIDE = 2
_WANTED = ("PNG", "JPEG", "WEBP", "BMP", "DIB", "GIF", "TIFF", "PPM", "JPEG2000", "AVIF")
Image.init()  # registers all formats; which there are depends on how Pillow was built
FORMATS = tuple(name for name in _WANTED if name in Image.OPEN)
_PNG_MODES = ("1", "L", "LA", "P", "RGB", "RGBA", "I;16")
"""Modes of Pillow that a PNG keeps as they are."""
_NEAREST_MODE = {
    **dict.fromkeys(("CMYK", "YCbCr", "LAB", "HSV", "RGBX"), "RGB"),
    **dict.fromkeys(("PA", "RGBa"), "RGBA"),
    "La": "LA",
}
SUFFIXES = frozenset(
    f".{ending}"
    for ending in "png jpg jpeg jpe jfif mpo webp bmp dib gif tif tiff ppm pgm pbm pnm jp2 avif".split()  # noqa: SIM905
)
"""File name endings, in lower case, that count as images in a folder."""


def decode_image(source: str | Path | bytes, name: str | None = None) -> Image.Image:
    """Decodes an image to RGB with 8 bits per channel, upright.

    EXIF rotation is applied, transparency is composed on white, 16-bit grey is scaled to 8 bits (v / 257, rounded),
    CMYK, palette and grey become RGB, and of an animation the first frame is taken.

    Args:
        source: A file, or its bytes.
        name: What to call it in errors; the path if not given.

    Returns:
        A Pillow image of mode RGB, at least 2 x 2 pixels and at most 100 million.

    Raises:
        DataError: For a broken, tiny, huge or unsupported image; the message names it.
    """
    name = name or _name_of(source)
    return _to_rgb(upright(decode_raw(source, name)), name)


def encode_picture(picture: Image.Image, name: str) -> bytes:
    """A picture in memory as a PNG for `decode_image`, which alone decides what becomes of colours and rotation.

    Args:
        picture: Of any mode but floating-point numbers, with its EXIF rotation if it has one.
        name: What to call it in errors.

    Raises:
        DataError: For a picture that cannot be decoded, or whose values have no known range.
    """
    file = io.BytesIO()
    try:
        exif = picture.getexif()
        if picture.mode in _NEAREST_MODE:
            picture = picture.convert(_NEAREST_MODE[picture.mode])
        elif picture.mode not in _PNG_MODES:
            picture = Image.fromarray(_sixteen_bits(picture, name))
        picture.save(file, "PNG", compress_level=1, exif=exif)
    except DataError:
        raise
    except Exception as error:  # a picture that was opened is decoded only now, and decoders raise almost anything
        raise DataError(f"{name} is broken ({error}). Replace or remove it.") from error
    return file.getvalue()


def decode_raw(source: str | Path | bytes, name: str | None = None) -> Image.Image:
    """Decodes an image as it is stored, in its own mode and not turned: for masks, whose values are no colours.

    Raises:
        DataError: As `decode_image`.
    """
    name = name or _name_of(source)
    with _opened(source, name) as image:
        try:
            image.load()
        except Exception as error:  # decoders raise almost anything on hostile bytes
            raise DataError(f"{name} is broken ({error}). Replace or remove this file.") from error
        return image


def upright_size(source: str | Path | bytes, name: str | None = None) -> tuple[int, int]:
    """Width and height in pixels that `decode_image` will give, by the header alone.

    Raises:
        DataError: As `check_header`.
    """
    name = name or _name_of(source)
    with _opened(source, name) as image:
        if image.format == "TIFF":  # Pillow gives the size of these as they stand upright
            return image.size
        try:
            turned = image.getexif().get(ExifTags.Base.Orientation) in (5, 6, 7, 8)
        except Exception:  # as in `upright`
            turned = False
        return image.size[::-1] if turned else image.size


def check_header(source: str | Path | bytes, name: str | None = None) -> tuple[int, int]:
    """Judges an image by its header alone, without decoding; returns its width and height in pixels.

    Raises:
        DataError: As `decode_image`, for all that the header can tell.
    """
    name = name or _name_of(source)
    with _opened(source, name) as image:
        return image.size


def square(image: Image.Image, size: int) -> np.ndarray:
    """Squashes an RGB image to uint8 [3, size, size] (bicubic, antialiased)."""
    if image.size != (size, size):
        image = image.resize((size, size), Image.Resampling.BICUBIC)
    return np.ascontiguousarray(np.asarray(image, dtype=np.uint8).transpose(2, 0, 1))


def png_of(pixels: np.ndarray) -> bytes:
    """uint8 [H, W, 3] or [H, W] as the bytes of a PNG file."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def _name_of(source: str | Path | bytes) -> str:
    return "an image" if isinstance(source, bytes) else str(source)


@contextmanager
def _opened(source: str | Path | bytes, name: str) -> Iterator[Image.Image]:
    try:
        image = Image.open(io.BytesIO(source) if isinstance(source, bytes) else source, formats=FORMATS)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise DataError(f"{name} has more than {MAX_PIXELS:,} pixels. Scale it down or remove it.") from error
    except FileNotFoundError as error:
        raise DataError(f"{name} does not exist. Check the path.") from error
    except PermissionError as error:
        raise DataError(f"{name} cannot be read. Give yourself permission to read it.") from error
    except Exception as error:  # header parsers raise almost anything on hostile bytes
        raise DataError(f"{name} is broken or not an image. Replace or remove this file.") from error
    with image:
        width, height = image.size
        if width * height > MAX_PIXELS:
            raise DataError(
                f"{name} has {width} x {height} pixels, more than {MAX_PIXELS:,}. Scale it down or remove it."
            )
        if min(width, height) < MIN_SIDE:
            raise DataError(f"{name} has {width} x {height} pixels, less than 2 x 2. Replace or remove it.")
        yield image


def upright(image: Image.Image) -> Image.Image:
    """The image turned as its EXIF block says."""
    try:
        return ImageOps.exif_transpose(image)
    except Exception:  # a broken EXIF block says nothing about rotation; the pixels are fine
        return image


def _to_rgb(image: Image.Image, name: str) -> Image.Image:
    if image.mode.startswith(("I", "F")):
        image = Image.fromarray(((_sixteen_bits(image, name).astype(np.int64) + 128) // 257).astype(np.uint8))
    try:
        if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
            coloured = image.convert("RGBA")
            white = Image.new("RGBA", coloured.size, "white")
            return Image.alpha_composite(white, coloured).convert("RGB")
        return image.convert("RGB")
    except (ValueError, OSError) as error:
        raise DataError(f"{name} has the unusual mode {image.mode}. Convert it to an RGB PNG.") from error


def _sixteen_bits(image: Image.Image, name: str) -> np.ndarray:
    """uint16 [H, W] of a grey picture of integers."""
    if not image.mode.startswith("I"):
        raise DataError(f"{name} holds floating-point values of unknown range. Convert it to 8 bits per channel.")
    values = np.asarray(image).astype(np.int64)
    if values.min() < 0 or values.max() > 65535:
        raise DataError(f"{name} has values outside 16 bits. Convert it to 8 bits per channel.")
    return values.astype(np.uint16)
