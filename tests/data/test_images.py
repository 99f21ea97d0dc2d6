from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from spellward.data.images import check_header, decode_image, encode_picture, square, upright_size
from spellward.errors import DataError


def encoded(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def png_header(width: int, height: int) -> bytes:
    """A PNG that promises many pixels and holds none."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


RED = Image.new("RGB", (8, 6), (255, 0, 0))
CASES = {
    "rgb": (encoded(RED), (255, 0, 0)),
    "grey": (encoded(Image.new("L", (8, 6), 77)), (77, 77, 77)),
    "one bit": (encoded(Image.new("1", (8, 6), 1)), (255, 255, 255)),
    "palette": (encoded(RED.quantize(4)), (255, 0, 0)),
    "clear": (encoded(Image.new("RGBA", (8, 6), (9, 9, 9, 0))), (255, 255, 255)),
    "half clear": (encoded(Image.new("RGBA", (8, 6), (0, 0, 0, 128))), (127, 127, 127)),
    "grey and alpha": (encoded(Image.new("LA", (8, 6), (0, 0))), (255, 255, 255)),
    "clear palette": (encoded(RED.quantize(4), transparency=0), (255, 255, 255)),
    "clear grey": (encoded(Image.new("L", (8, 6), 5), transparency=5), (255, 255, 255)),
    "cmyk": (encoded(Image.new("CMYK", (8, 6), (0, 255, 255, 0)), "TIFF"), (255, 0, 0)),
    "16 bits": (encoded(Image.fromarray(np.full((6, 8), 0x8080, np.uint16))), (128, 128, 128)),
    "16 bits white": (encoded(Image.fromarray(np.full((6, 8), 65535, np.uint16)), "TIFF"), (255, 255, 255)),
    "webp": (encoded(RED, "WEBP", lossless=True), (255, 0, 0)),
    "gif": (encoded(RED, "GIF", save_all=True, append_images=[Image.new("RGB", (8, 6))]), (255, 0, 0)),
    "bmp": (encoded(RED, "BMP"), (255, 0, 0)),
}


@pytest.mark.parametrize("case", CASES)
def test_every_kind_becomes_rgb(case: str) -> None:
    data, colour = CASES[case]
    image = decode_image(data)
    assert image.mode == "RGB"
    assert image.size == check_header(data) == (8, 6)
    assert image.getpixel((3, 3)) == colour


def test_exif_rotation_is_applied() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees
    image = Image.new("RGB", (8, 4))
    image.paste((255, 255, 255), (0, 0, 4, 4))
    turned = decode_image(encoded(image, "JPEG", exif=exif, quality=95))
    assert turned.size == (4, 8)
    red = np.asarray(turned)[:, :, 0]
    assert red[1, 2] > 240 and red[6, 2] < 15


@pytest.mark.parametrize("kind", ["TIFF", "JPEG", "PNG"])
@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_the_size_is_that_of_the_decoded_image(kind: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(Image.new("RGB", (20, 30)), kind, exif=exif)
    expected = (30, 20) if orientation > 4 else (20, 30)
    assert upright_size(data) == decode_image(data).size == expected


WHOLE = encoded(Image.effect_noise((64, 64), 50))
REFUSED = {
    "empty": (b"", "broken"),
    "text": (b"hello", "broken"),
    "truncated": (WHOLE[: len(WHOLE) // 2], "broken"),
    "flipped": (WHOLE[:60] + bytes(255 - byte for byte in WHOLE[60:90]) + WHOLE[90:], "broken"),
    "one pixel": (encoded(Image.new("RGB", (1, 9))), "1 x 9"),
    "huge": (png_header(11_000, 10_000), "100,000,000"),
    "bomb": (png_header(100_000, 100_000), "100,000,000"),
    "float": (encoded(Image.new("F", (8, 6)), "TIFF"), "floating-point"),
    "postscript": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "not an image"),
}


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("case", REFUSED)
def test_refusals_name_the_file(case: str, tmp_path: Path) -> None:
    data, reason = REFUSED[case]
    path = tmp_path / "odd.png"
    path.write_bytes(data)
    with pytest.raises(DataError, match=r"odd\.png") as refusal:
        decode_image(path)
    assert reason in str(refusal.value)


def test_missing_file_is_named() -> None:
    with pytest.raises(DataError, match=r"nowhere\.png does not exist"):
        decode_image("nowhere.png")


def test_square_squashes_with_antialiasing() -> None:
    stripes = np.zeros((32, 64, 3), np.uint8)
    stripes[:, ::2] = 255
    small = square(Image.fromarray(stripes), 8)
    assert small.shape == (3, 8, 8) and small.dtype == np.uint8
    assert np.abs(small[:, :, 1:-1].astype(int) - 128).max() <= 8


@pytest.mark.parametrize(
    "mode", ["1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr", "HSV"]
)
def test_a_picture_in_memory_looks_as_it_did_before(mode: str) -> None:
    colours = np.random.default_rng(0).integers(0, 256, (5, 6, 3), dtype=np.uint8)
    picture = Image.fromarray(colours)
    if mode == "PA":
        picture = picture.convert("P")
    if mode in ("LA", "La"):
        picture = picture.convert("LA")
    given = picture.convert(mode)
    shown = (given.convert("LA") if mode == "La" else given).convert("RGB")
    decoded = decode_image(encode_picture(given, "it"))
    assert np.abs(np.asarray(decoded).astype(int) - np.asarray(shown).astype(int)).max() <= 1


@pytest.mark.parametrize("mode", ["I", "I;16", "I;16B"])
def test_sixteen_bits_in_memory_become_eight(mode: str) -> None:
    values = np.arange(20, dtype=np.uint16).reshape(4, 5) * 257
    stored = values.astype({"I": "<i4", "I;16": "<u2", "I;16B": ">u2"}[mode])
    picture = Image.frombytes(mode, (5, 4), stored.tobytes())
    assert np.asarray(decode_image(encode_picture(picture, "it")))[..., 0].tolist() == (values // 257).tolist()


def test_floats_in_memory_are_refused() -> None:
    with pytest.raises(DataError, match="it holds floating-point values"):
        encode_picture(Image.new("F", (4, 4)), "it")
