from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, features
from tests.data.segmentation import blob

from spellward.data.images import decode_image
from spellward.data.mask_images import palette_ids, pixel_values
from spellward.errors import DataError

IDS = blob(3)
GREY = Image.fromarray(IDS)
RGB = GREY.convert("RGB")


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def grey_png(ids: np.ndarray, depth: int) -> bytes:
    """A grey PNG with `depth` bits per pixel."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    rows = b""
    for row in ids:
        bits = "".join(f"{value:0{depth}b}" for value in row)
        bits += "0" * (-len(bits) % 8)
        rows += b"\0" + int(bits, 2).to_bytes(len(bits) // 8, "big")
    head = struct.pack(">IIBBBBB", ids.shape[1], ids.shape[0], depth, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


LOSSY = {
    "JPEG": (encoded(GREY, "JPEG"), "a JPEG"),
    "WebP": (encoded(RGB, "WEBP"), "a lossy WebP"),
    "WebP with more in it": (encoded(RGB, "WEBP", icc_profile=b"odd"), "a lossy WebP"),
    "animated WebP": (encoded(RGB, "WEBP", save_all=True, append_images=[RGB.rotate(180)]), "a lossy WebP"),
    "JPEG 2000": (encoded(GREY, "JPEG2000"), "a JPEG 2000"),
    "TIFF": (encoded(GREY, "TIFF", compression="jpeg"), "a TIFF compressed as JPEG"),
}
if features.check("avif"):
    LOSSY["AVIF"] = (encoded(RGB, "AVIF"), "an AVIF")
LOSSLESS = {
    "WebP": encoded(RGB, "WEBP", lossless=True),
    "WebP with more in it": encoded(RGB, "WEBP", lossless=True, icc_profile=b"odd"),
    "animated WebP": encoded(RGB, "WEBP", lossless=True, save_all=True, append_images=[RGB.rotate(180)]),
    "TIFF": encoded(GREY, "TIFF"),
    "packed TIFF": encoded(GREY, "TIFF", compression="tiff_lzw"),
    "BMP": encoded(GREY, "BMP"),
}


@pytest.mark.parametrize("case", LOSSY)
def test_lossy_masks_are_refused(case: str, tmp_path: Path) -> None:
    data, kind = LOSSY[case]
    path = tmp_path / "mask"
    path.write_bytes(data)
    for source in (data, path):
        with pytest.raises(DataError, match=f"odd is {kind}.* Save masks as PNG"):
            pixel_values(source, "odd")
        with pytest.raises(DataError, match=f"odd is {kind}.* Save masks as PNG"):
            palette_ids(source, "odd", {(0, 0, 0): 0, (3, 3, 3): 1})


@pytest.mark.parametrize("case", LOSSLESS)
def test_lossless_masks_keep_their_ids(case: str) -> None:
    assert np.array_equal(pixel_values(LOSSLESS[case], "mask"), IDS)


@pytest.mark.parametrize("depth", [1, 2, 4, 8])
def test_grey_pngs_of_few_bits_give_their_numbers(depth: int, tmp_path: Path) -> None:
    ids = np.arange(30).reshape(5, 6) % 2**depth
    data = grey_png(ids, depth)
    (tmp_path / "mask.png").write_bytes(data)
    for source in (data, tmp_path / "mask.png"):
        assert np.array_equal(pixel_values(source, "mask"), ids)


def test_indexed_pngs_of_few_bits_give_their_numbers() -> None:
    image = Image.frombytes("P", GREY.size, GREY.tobytes())
    image.putpalette([50, 60, 70, 80, 90, 100, 1, 2, 3, 4, 5, 6])
    data = encoded(image, "PNG", bits=2)
    assert data[24] == 2 and np.array_equal(pixel_values(data, "mask"), IDS)


def netpbm(kind: str, largest: int, ids: np.ndarray) -> bytes:
    return f"{kind}\n# a comment\n{ids.shape[1]} {ids.shape[0]}\n{largest}\n".encode() + ids.astype(np.uint8).tobytes()


def grey_tiff(ids: np.ndarray, depth: int, photometric: int = 1) -> bytes:
    """A grey TIFF with `depth` bits per pixel, whose rows end at whole bytes."""
    rows = ["".join(f"{value:0{depth}b}" for value in row) for row in ids]
    padded = "".join(row + "0" * (-len(row) % 8) for row in rows)
    pixels = int(padded, 2).to_bytes(len(padded) // 8, "big")
    tags = {256: ids.shape[1], 257: ids.shape[0], 258: depth, 259: 1, 262: photometric, 273: 200, 277: 1, 278: len(ids)}
    tags[279] = len(pixels)
    directory = struct.pack("<H", len(tags)) + b"".join(struct.pack("<HHII", tag, 4, 1, tags[tag]) for tag in tags)
    return (b"II*\0" + struct.pack("<I", 8) + directory + bytes(4)).ljust(200, b"\0") + pixels


def test_numbers_that_pillow_makes_brightness_of_are_refused() -> None:
    ids = np.arange(20).reshape(4, 5) % 4
    assert np.array_equal(pixel_values(netpbm("P5", 255, ids), "mask"), ids)
    with pytest.raises(DataError, match=r"mask is a PGM whose largest number is 3.* Save masks as PNG"):
        pixel_values(netpbm("P5", 3, ids), "mask")
    with pytest.raises(DataError, match="mask is a PBM"):
        pixel_values(encoded(Image.fromarray(ids == 1), "PPM"), "mask")
    assert np.array_equal(pixel_values(grey_tiff(ids, 8), "mask"), ids)
    for data in (grey_tiff(ids, 2), grey_tiff(ids, 4), grey_tiff(ids, 8, photometric=0)):
        with pytest.raises(DataError, match="mask is a TIFF with few bits, or with white as zero"):
            pixel_values(data, "mask")


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_a_mask_is_turned_as_its_image_is(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    ids = np.arange(12, dtype=np.uint8).reshape(3, 4)
    data = encoded(Image.fromarray(ids), "PNG", exif=exif)
    turned = np.asarray(decode_image(data))[..., 0]
    assert np.array_equal(pixel_values(data, "mask"), turned)
    assert np.array_equal(palette_ids(data, "mask", {(i, i, i): i for i in range(12)}), turned)
