"""Images as callers hand them in: read as training images are, or refused in one sentence."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from spellward.data import decode_image
from spellward.data.images import square
from spellward.errors import DataError
from spellward.locking.pictures import pixels_of

_RGB = Image.effect_noise((40, 30), 60).convert("RGB")


def test_a_tensor_stays_as_it_is() -> None:
    images = torch.zeros(2, 3, 8, 9, dtype=torch.uint8)
    assert pixels_of(images, 64) is images
    assert pixels_of([], 16).shape == (0, 3, 16, 16)


def test_an_array_is_a_tensor_of_the_same_pixels() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (2, 3, 8, 9), dtype=np.uint8)
    frozen = pixels.copy()
    frozen.flags.writeable = False
    for given in (pixels, frozen, pixels[:, :, ::-1]):
        assert np.array_equal(pixels_of(given, 64).numpy(), given)


def test_one_file_or_picture_is_a_list_of_one(tmp_path: Path) -> None:
    path = tmp_path / "image.png"
    _RGB.save(path)
    expected = pixels_of([path], 16)
    for given in (path, str(path), _RGB):
        assert torch.equal(pixels_of(given, 16), expected)


def test_files_and_pictures_come_from_anything_that_gives_one_after_another(tmp_path: Path) -> None:
    paths = [tmp_path / f"{number}.png" for number in range(3)]
    for number, path in enumerate(paths):
        _RGB.rotate(40 * number).save(path)
    expected = pixels_of(paths, 16)
    for given in ((path for path in paths), map(Image.open, paths), np.array([str(path) for path in paths])):
        assert torch.equal(pixels_of(given, 16), expected)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
def test_a_picture_is_read_as_its_file_is(mode: str, tmp_path: Path) -> None:
    grey = Image.fromarray(np.arange(30 * 40, dtype=np.uint16).reshape(30, 40) * 50)
    picture = grey if mode == "I;16" else _RGB.convert(mode)
    picture.save(tmp_path / "image.png")
    expected = torch.from_numpy(square(decode_image(tmp_path / "image.png"), 16))
    for given in (picture, Image.open(tmp_path / "image.png"), tmp_path / "image.png", str(tmp_path / "image.png")):
        assert torch.equal(pixels_of([given], 16)[0], expected)


def test_a_picture_is_turned_upright_as_its_file_is(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    _RGB.save(tmp_path / "image.jpg", exif=exif)
    from_file, from_picture = pixels_of([tmp_path / "image.jpg", Image.open(tmp_path / "image.jpg")], 16)
    assert torch.equal(from_file, from_picture)
    assert decode_image(tmp_path / "image.jpg").size == (30, 40) and Image.open(tmp_path / "image.jpg").size == (40, 30)


@pytest.mark.parametrize(
    ("images", "says"),
    [
        (torch.zeros(2, 3, 8, 8), r"got torch\.float32 \[2, 3, 8, 8\]"),
        (torch.zeros(3, 8, 8, dtype=torch.uint8), r"got torch\.uint8 \[3, 8, 8\]"),
        (torch.zeros(1, 8, 8, 3, dtype=torch.uint8), r"got torch\.uint8 \[1, 8, 8, 3\]"),
        (np.zeros((1, 3, 8, 8), np.float32), r"got float32 \[1, 3, 8, 8\]"),
        (np.zeros((1, 8, 8, 3), np.uint8), r"got torch\.uint8 \[1, 8, 8, 3\]"),
        (np.array("image.png"), r"got <U9 \[\]"),
        ("photos", "photos does not exist"),
        (None, "got NoneType"),
        (5, "got int"),
        (b"bytes of a file", "got bytes"),
        ({"image": _RGB}, "got dict"),
        ([_RGB, 5], "number 2 of the list is int"),
        ([_RGB.convert("F")], "Image 1 of the list holds floating-point values"),
        ([_RGB, _RGB.resize((1, 1))], "Image 2 of the list has 1 x 1 pixels"),
        (["nowhere.png"], r"nowhere\.png does not exist"),
    ],
)
def test_anything_else_is_refused_in_one_sentence(images: object, says: str) -> None:
    with pytest.raises(DataError, match=says) as caught:
        pixels_of(images, 16)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)


def test_a_picture_whose_file_is_cut_short_is_broken(tmp_path: Path) -> None:
    _RGB.save(tmp_path / "image.png")
    (tmp_path / "image.png").write_bytes((tmp_path / "image.png").read_bytes()[:-900])
    with pytest.raises(DataError, match="Image 1 of the list is broken"):
        pixels_of([Image.open(tmp_path / "image.png")], 16)
