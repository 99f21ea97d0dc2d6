"""Arrays and data sets of PyTorch, as users have them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from datasets import Dataset as Table
from PIL import Image
from torch.utils.data import DataLoader, Dataset, Subset, TensorDataset
from torchvision.datasets import FakeData, ImageFolder
from torchvision.transforms import ToTensor

from spellward.data import load_splits, prepare
from spellward.data.table import channels_first
from spellward.errors import DataError


class Pictures(Dataset):  # type: ignore[type-arg]
    """60 pictures of 8 x 8 pixels in two classes, each its own grey value."""

    def __init__(self, way: str = "pillow") -> None:
        self.way = way

    def __len__(self) -> int:
        return 60

    def __getitem__(self, place: int) -> tuple[object, object]:
        if place >= 60:
            raise IndexError(place)
        pixels = np.full((8, 8, 3), 4 * place, dtype=np.uint8)
        label = place % 2
        if self.way == "array":
            return pixels, np.int64(label)
        if self.way == "tensor":
            return torch.from_numpy(pixels).permute(2, 0, 1), torch.tensor(label)
        return Image.fromarray(pixels).convert("CMYK" if self.way == "cmyk" else "RGB"), label


@pytest.mark.parametrize("way", ["pillow", "array", "tensor", "cmyk"])
def test_a_data_set_of_pytorch_is_read_as_it_is(way: str) -> None:
    splits = load_splits(Pictures(way))
    assert splits.classes == ("0", "1")
    parts = (splits.train, splits.validation, splits.test)
    seen = {(one["image"].convert("RGB").getpixel((0, 0))[0], one["label"]) for part in parts for one in part}
    assert seen == {(4 * place, place % 2) for place in range(60)}


def test_image_folders_of_torchvision_are_read_with_their_names_and_splits(tmp_path: Path) -> None:
    for place in range(40):
        folder = tmp_path / ("train" if place < 30 else "test") / ("dog" if place % 2 else "cat")
        folder.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8), (5 * place, 0, 0)).save(folder / f"{place}.png")
    train, test = ImageFolder(str(tmp_path / "train")), ImageFolder(str(tmp_path / "test"))
    assert load_splits(train).classes == ("cat", "dog")
    splits = load_splits({"train": train, "test": test})
    assert len(splits.test) == 10 and splits.classes == ("cat", "dog")
    assert load_splits(Subset(train, range(20))).classes == ("cat", "dog")


def test_labels_may_be_names_or_whole_floats() -> None:
    images = np.random.default_rng(0).integers(0, 255, (40, 8, 8, 3), dtype=np.uint8)
    names = np.array(["cat", "dog"] * 20, dtype=object)
    assert load_splits((images, names)).classes == ("cat", "dog")
    assert load_splits((images, list(names))).classes == ("cat", "dog")
    assert load_splits((images, np.array([0.0, 1.0] * 20))).classes == ("0", "1")
    with pytest.raises(DataError, match="of type float64"):
        load_splits((images, np.array([0.5, 1.0] * 20)))
    with pytest.raises(DataError, match="one label for each image"):
        load_splits((images, names[:-1]))


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (lambda: DataLoader(Pictures()), "not from DataLoader"),
        (lambda: TensorDataset(torch.zeros(4, 3, 8, 8), torch.zeros(4)), "Leave its transform out"),
        (lambda: FakeData(4, (3, 8, 8), transform=ToTensor()), "Leave its transform out"),
        (lambda: TensorDataset(torch.zeros(4, 3, 8, 8)), "no pairs"),
        (lambda: np.zeros((4, 8, 8, 3), np.uint8), "not from ndarray"),
        (lambda: [(1, 2)], "not from list"),
        (lambda: 5, "not from int"),
    ],
)
def test_what_holds_no_pictures_and_classes_is_refused(source, words: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(DataError, match=words):
        load_splits(source())


def test_pictures_of_a_data_set_are_turned_upright_as_their_files_are(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (8, 40, 60, 3), dtype=np.uint8)
    exif = Image.Exif()
    exif[0x0112] = 6
    for place, one in enumerate(pixels):
        (tmp_path / "ab"[place % 2]).mkdir(exist_ok=True)
        Image.fromarray(one).save(tmp_path / "ab"[place % 2] / f"{place}.jpg", exif=exif)
    from_folder, from_pairs = load_splits(tmp_path).train, load_splits(ImageFolder(str(tmp_path))).train
    first, second = (prepare(one, 16).images for one in (from_folder, from_pairs))
    assert sorted(one.numpy().tobytes() for one in first) == sorted(one.numpy().tobytes() for one in second)


def test_splits_without_names_have_the_classes_of_all(tmp_path: Path) -> None:
    train, few = Subset(Pictures(), range(40)), Subset(Pictures(), range(40, 60, 2))  # the second has class 0 alone
    splits = load_splits({"train": train, "test": few})
    assert splits.classes == ("0", "1") and set(splits.test["label"]) == {0}


PICTURE = Image.new("RGB", (8, 8))
KINDS: dict[str, int | str] = {"train": 0, "test": "a"}


def test_what_are_no_arrays_of_images_is_said_in_one_sentence() -> None:
    square = np.zeros((8, 8, 3), dtype=np.uint8)
    with pytest.raises(DataError, match="several sizes"):
        load_splits(([square, square[:4]], [0, 1]))
    with pytest.raises(DataError, match="pair"):
        load_splits((square[None], [0], [1]))  # type: ignore[arg-type]
    with pytest.raises(DataError, match="home"):
        load_splits("~nobody-of-this-name/photos")
    with pytest.raises(DataError, match="numbers here and names there"):
        load_splits({split: Table.from_dict({"image": [PICTURE], "label": [label]}) for split, label in KINDS.items()})


@pytest.mark.parametrize("shape", [(4, 8, 8), (4, 8, 8, 1), (4, 1, 8, 8)])
def test_greys_of_any_layout(shape: tuple[int, ...]) -> None:
    assert channels_first(np.ones(shape, dtype=np.uint8)).shape == (4, 3, 8, 8)
