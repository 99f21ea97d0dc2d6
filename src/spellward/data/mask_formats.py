"""What the file format of a mask does to its ids: whether it has altered them, and how Pillow scales them."""

from __future__ import annotations

import io
import re
from pathlib import Path

from PIL import Image
from PIL.TiffImagePlugin import TiffImageFile

from spellward.errors import DataError

_LOSSY = {"JPEG": "a JPEG", "MPO": "a JPEG", "AVIF": "an AVIF", "JPEG2000": "a JPEG 2000"}
"""Formats that alter pixels, or do not show by their header whether they did."""
_LOSSY_IN_TIFF = ("jpeg", "tiff_jpeg", "webp")
_MOST_CHUNKS = 64
_FRAME_HEADER = 16
_PNG_GREY = 0
_NETPBM_HEADER = 1024
_BITS_PER_SAMPLE, _PHOTOMETRIC, _WHITE_IS_ZERO = 258, 262, 0


def refuse_lossy(image: Image.Image, source: str | Path | bytes, name: str) -> None:
    """Refuses a mask whose compression may have altered ids.

    Args:
        image: The mask as `decode_raw` gives it.
        source: What it was decoded from.
        name: What to call it in errors.

    Raises:
        DataError: For JPEG, AVIF, JPEG 2000, lossy WebP, TIFF with JPEG or WebP in it, and formats whose numbers Pillow
            makes brightness of: PBM, PGM with another largest value than 255 or 65535, TIFF with 2 or 4 bits or white
            as zero.
    """
    kind = _LOSSY.get(image.format or "")
    if image.format == "WEBP" and not _is_lossless_webp(source):
        kind = "a lossy WebP"
    if image.format == "TIFF" and image.info.get("compression") in _LOSSY_IN_TIFF:
        kind = "a TIFF compressed as JPEG or WebP"
    if kind is not None:
        raise DataError(f"{name} is {kind}, which alters the ids at every edge. Save masks as PNG.")
    _refuse_scaled(image, source, name)


def grey_step(image: Image.Image, source: str | Path | bytes) -> int:
    """What Pillow multiplies the numbers in a grey image by: of 2 or 4 bits in PNG it makes brightness of 0 to 255.

    Args:
        image: The image as `decode_raw` gives it.
        source: What it was decoded from.
    """
    if image.format != "PNG" or image.mode != "L":
        return 1
    head = _read(source, 26)
    depth, colours = head[24], head[25]  # IHDR is the first chunk: width, height, bits, kind of colours
    return 255 // (2**depth - 1) if head[12:16] == b"IHDR" and colours == _PNG_GREY and depth < 8 else 1


def _refuse_scaled(image: Image.Image, source: str | Path | bytes, name: str) -> None:
    kind = None
    if image.format == "PPM":
        fields = re.sub(rb"#[^\n]*", b" ", _read(source, _NETPBM_HEADER)).split()
        if fields[0] in (b"P1", b"P4"):
            kind = "a PBM"
        elif len(fields) > 3 and fields[3] not in (b"255", b"65535"):
            kind = f"a PGM whose largest number is {fields[3][:5].decode('ascii', 'replace')}"
    if isinstance(image, TiffImageFile):
        bits = image.tag_v2.get(_BITS_PER_SAMPLE, (1,))
        if bits[0] in (2, 4) or image.tag_v2.get(_PHOTOMETRIC) == _WHITE_IS_ZERO:
            kind = "a TIFF with few bits, or with white as zero"
    if kind is not None:
        raise DataError(f"{name} is {kind}, whose numbers are read as brightness. Save masks as PNG.")


def _is_lossless_webp(source: str | Path | bytes) -> bool:
    """Whether the first picture in a WebP is lossless: in a chunk of its own or, of an animation, in a frame."""
    with _opened(source) as file:
        file.seek(12)
        for _ in range(_MOST_CHUNKS):
            head = file.read(8)
            if head[:4] in (b"VP8L", b"VP8 "):
                return head[:4] == b"VP8L"
            length = int.from_bytes(head[4:], "little")
            file.seek(_FRAME_HEADER if head[:4] == b"ANMF" else length + length % 2, io.SEEK_CUR)
    return False


def _read(source: str | Path | bytes, count: int) -> bytes:
    with _opened(source) as file:
        return file.read(count)


def _opened(source: str | Path | bytes) -> io.BufferedIOBase:
    return io.BytesIO(source) if isinstance(source, bytes) else Path(source).open("rb")
