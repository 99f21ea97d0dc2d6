from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.data.segmentation import HEIGHT, WIDTH, blob, fill, picture

from spellward.data import Splits, load_splits
from spellward.data.mask_folder import read_mask_folder
from spellward.errors import DataError


def sizes(splits: Splits) -> list[int]:
    return [len(part) for part in (splits.train, splits.validation, splits.test)]


def mask_of(splits: Splits, split: str, row: int) -> np.ndarray:
    return np.asarray(getattr(splits, split)[row]["mask"])


@pytest.fixture
def root(tmp_path: Path) -> Path:
    fill(tmp_path / "data" / "images", tmp_path / "data" / "masks")
    return tmp_path / "data"


def test_pairs_become_splits_with_masks(root: Path) -> None:
    splits = load_splits(root)
    assert splits.task == "segmentation" and sizes(splits) == [14, 2, 4]
    assert splits.classes == ("background", "class 1", "class 2")
    assert sorted(splits.train.column_names) == ["image", "label", "mask"]
    seen = 0
    for part in (splits.train, splits.validation, splits.test):
        for row in part:
            number = int(Path(row["image"].filename).stem) if getattr(row["image"], "filename", "") else None
            mask = np.asarray(row["mask"])
            assert row["mask"].mode == "RGB" and mask.shape == (HEIGHT, WIDTH, 3) and not mask[..., 1:].any()
            assert row["label"] == mask[..., 0].max()
            if number is not None:
                assert np.array_equal(mask[..., 0], blob(1 + number % 2, number))
                seen += 1
    assert seen == 20


def test_named_classes_and_one_foreground_class(tmp_path: Path) -> None:
    root = tmp_path / "one"
    fill(root / "images", root / "masks", classes=1)
    (root / "classes.txt").write_text("background\ncat\n")
    assert load_splits(root).classes == ("background", "cat")
    (root / "classes.txt").unlink()
    for value in (["background", "cat", "never"], {"0": "background", "2": "never", "1": "cat"}):
        (root / "classes.json").write_text(json.dumps(value))
        splits = load_splits(root)
        # A class without pixels keeps its number: the masks go by it.
        assert splits.classes == ("background", "cat", "never") and set(splits.train["label"][:]) == {1}


@pytest.mark.parametrize("above", [True, False])
def test_splits_of_the_folder_are_kept(tmp_path: Path, above: bool) -> None:
    root = tmp_path / "data"
    for seed, (split, count) in enumerate({"train": 12, "val": 4, "test": 6}.items()):
        images = root / split / "images" if above else root / "images" / split
        fill(images, root / split / "masks" if above else root / "masks" / split, count, seed=seed)
    assert sizes(load_splits(root)) == [12, 4, 6]


@pytest.mark.parametrize("above", [True, False])
def test_folders_in_capitals_are_the_same(tmp_path: Path, above: bool) -> None:
    root = tmp_path / "data"
    part = root / "Train" if above else root
    fill(part / "Images", part / "MASKS")
    splits = load_splits(root)
    assert splits.task == "segmentation" and sum(sizes(splits)) == 20 and not splits.report.ignored
    (part / "images").mkdir()
    if len(list(part.iterdir())) == 3:  # not where capitals make no difference
        with pytest.raises(DataError, match=r"both mean the images\. Keep one"):
            load_splits(root)


def test_colours_with_a_palette(root: Path) -> None:
    palette = {"background": [0, 0, 0], "cat": [255, 0, 0], "dog": [0, 128, 0], "ignore": [9, 9, 9]}
    table = np.array([palette[name] for name in ("background", "cat", "dog", "ignore")], dtype=np.uint8)
    for path in (root / "masks").iterdir():
        ids = np.asarray(Image.open(path)).copy()
        ids[-1] = 3
        Image.fromarray(table[ids]).save(path)
    with pytest.raises(DataError, match=r"000\.png is a mask in colours"):
        load_splits(root)
    (root / "palette.json").write_text(json.dumps(palette))
    splits = load_splits(root)
    assert splits.classes == ("background", "cat", "dog")
    mask = mask_of(splits, "train", 0)[..., 0]
    assert set(np.unique(mask[:-1])) <= {0, 1, 2} and (mask[-1] == 255).all()
    Image.fromarray(np.full((HEIGHT, WIDTH, 3), 77, dtype=np.uint8)).save(root / "masks" / "004.png")
    with pytest.raises(DataError, match=r"004\.png has 1 colours .* \[77, 77, 77\]"):
        load_splits(root)


def test_indexed_and_16_bit_masks_give_their_numbers(root: Path) -> None:
    indexed = Image.fromarray(blob(1))
    indexed = Image.frombytes("P", indexed.size, indexed.tobytes())
    indexed.putpalette([50, 60, 70, 80, 90, 100])
    indexed.save(root / "masks" / "000.png")
    Image.fromarray(blob(2).astype(np.uint16)).save(root / "masks" / "001.png")
    found = read_mask_folder(root).parts["train"]
    assert np.array_equal(np.asarray(found[0]["mask"])[..., 0], blob(1))
    assert np.array_equal(np.asarray(found[1]["mask"])[..., 0], blob(2))


def test_masks_may_be_called_mask(root: Path) -> None:
    (root / "masks" / "000.png").rename(root / "masks" / "000_mask.png")
    assert len(read_mask_folder(root).parts["train"]) == 20
    shutil.copy(root / "masks" / "000_mask.png", root / "masks" / "000.png")
    with pytest.raises(DataError, match=r"000\.png and .*000_mask\.png are masks of one image"):
        read_mask_folder(root)


def test_ids_that_no_mask_has_are_pointed_out(root: Path) -> None:
    assert not read_mask_folder(root).warnings
    mask = np.asarray(Image.open(root / "masks" / "000.png")).copy()
    mask[0, 0] = 77
    Image.fromarray(mask).save(root / "masks" / "000.png")
    (warning,) = read_mask_folder(root).warnings
    assert "the id 77 and none with 3, 4, 5, 6, 7, ..." in warning


def test_an_image_is_as_large_as_it_is_upright(root: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    (root / "images" / "000.png").unlink()
    picture(7, HEIGHT, WIDTH).save(root / "images" / "000.jpg", exif=exif)
    assert sum(sizes(load_splits(root))) == 20
    picture(7, WIDTH, HEIGHT).save(root / "images" / "000.jpg", exif=exif)
    with pytest.raises(DataError, match=r"000\.png has 12 x 9 pixels, but the image .*000\.jpg 9 x 12 \(upright\)"):
        load_splits(root)


def test_masks_without_an_object_are_left_out_with_a_warning(root: Path) -> None:
    Image.fromarray(blob(0)).save(root / "masks" / "003.png")
    half = blob(0)
    half[2:] = 255
    Image.fromarray(half).save(root / "masks" / "005.png")
    splits = load_splits(root)
    assert sum(sizes(splits)) == 18
    (warning,) = splits.report.warnings
    assert "2 masks" in warning and "003.png" in warning and "005.png" in warning
    for path in (root / "masks").iterdir():
        Image.fromarray(blob(0)).save(path)
    with pytest.raises(DataError, match=r"No mask of .* has an object"):
        load_splits(root)


def test_equal_images_with_different_masks_are_refused(root: Path) -> None:
    for kind in ("images", "masks"):
        (root / kind / "000.png").write_bytes((root / kind / "002.png").read_bytes())
    splits = load_splits(root)
    assert sum(sizes(splits)) == 19 and len(splits.report.duplicates) == 1
    Image.fromarray(blob(1, 1)).save(root / "masks" / "000.png")
    with pytest.raises(DataError, match=r"000\.png and .*002\.png are the same image with different masks"):
        load_splits(root)


def test_rare_classes_are_split_together_and_a_limit_holds(root: Path) -> None:
    rare = blob(3)
    rare[-1, -1] = 1
    Image.fromarray(rare).save(root / "masks" / "000.png")
    splits = load_splits(root)
    assert sum(sizes(splits)) == 20 and splits.classes[3] == "class 3"
    assert len(load_splits(root, limit=6).train) == 6


def save(ids: np.ndarray, name: str = "000.png") -> Callable[[Path], object]:
    return lambda root: Image.fromarray(ids).save(root / "masks" / name)


def write(name: str, content: str) -> Callable[[Path], object]:
    return lambda root: (root / name).write_text(content)


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda root: (root / "masks" / "004.png").unlink(), r"004\.png has no mask"),
        (lambda root: (root / "images" / "004.png").unlink(), r"004\.png has no image"),
        (lambda root: picture(0).save(root / "images" / "004.bmp"), r"004\.(bmp|png) have the same name"),
        (lambda root: (root / "masks" / "004.png").write_bytes(b"\x89PNG no"), r"masks/004\.png is broken"),
        (lambda root: (root / "images" / "004.png").write_bytes(b"\x89PNG no"), r"images/004\.png is broken"),
        (save(blob(1, 0, 8, 9)), r"000\.png has 8 x 9 pixels, but the image .*000\.png 12 x 9"),
        (save(np.full((HEIGHT, WIDTH), 255, dtype=np.uint8)), r"000\.png has only ignored pixels"),
        (save(np.full((HEIGHT, WIDTH), 300, dtype=np.uint16)), r"000\.png has the unknown class ids 300"),
        (save(blob(1), "000.tiff"), "same name"),
        (write("classes.txt", "background\ncat\n"), r"001\.png has the unknown class ids 2"),
        (write("classes.txt", "background\n"), "no class beside"),
        (write("classes.txt", "background\ncat\ncat"), "'cat' twice"),
        (write("classes.txt", "\n".join(map(str, range(256)))), "255 classes"),
        (write("classes.json", "{"), "not JSON"),
        (write("classes.json", '{"0": "background", "2": "cat"}'), "no list of names"),
        (write("palette.json", '{"background": [0, 0]}'), "no object such as"),
        (write("palette.json", '{"background": [0, 0, 0], "cat": [0, 0, 0]}'), "same colour"),
    ],
)
def test_what_is_wrong_is_named(root: Path, spoil: Callable[[Path], object], reason: str) -> None:
    spoil(root)
    with pytest.raises(DataError, match=reason):
        load_splits(root)


def test_lists_that_contradict_each_other(root: Path) -> None:
    (root / "classes.txt").write_text("background\ncat\ndog")
    (root / "palette.json").write_text('{"background": [0, 0, 0], "cow": [1, 1, 1], "dog": [2, 2, 2]}')
    with pytest.raises(DataError, match="cat, cow"):
        load_splits(root)
    (root / "classes.json").write_text("[]")
    with pytest.raises(DataError, match="both name the classes"):
        load_splits(root)


def test_jpeg_masks_and_links_out_are_refused(root: Path, tmp_path: Path) -> None:
    (root / "masks" / "000.png").unlink()
    Image.fromarray(blob(1)).save(root / "masks" / "000.jpg")
    with pytest.raises(DataError, match=r"000\.jpg is a JPEG"):
        load_splits(root)
    (root / "masks" / "000.jpg").unlink()
    Image.fromarray(blob(1)).save(tmp_path / "secret.png")
    (root / "masks" / "000.png").symlink_to(tmp_path / "secret.png")
    with pytest.raises(DataError, match="symlink that leaves"):
        load_splits(root)


def test_half_a_split_is_refused(tmp_path: Path) -> None:
    fill(tmp_path / "a" / "images" / "train", tmp_path / "a" / "masks" / "train", 6)
    (tmp_path / "a" / "images" / "test").mkdir()
    with pytest.raises(DataError, match="not of both"):
        load_splits(tmp_path / "a")
    fill(tmp_path / "b" / "train" / "images", tmp_path / "b" / "train" / "masks", 6)
    (tmp_path / "b" / "test" / "images").mkdir(parents=True)
    with pytest.raises(DataError, match="lacks the folder"):
        load_splits(tmp_path / "b")


def test_penn_fudan_as_it_is_unpacked(tmp_path: Path) -> None:
    root = tmp_path / "PennFudanPed"
    for folder in ("PNGImages", "PedMasks", "Annotation"):
        (root / folder).mkdir(parents=True)
    (root / "readme.txt").write_text("As it comes.")
    for number in range(12):
        name = f"FudanPed{number:05}"
        picture(number, 20, 10).save(root / "PNGImages" / f"{name}.png")
        instances = blob(1, 0, 20, 10)
        instances[2:9, 12:18] = 2 + number % 2  # some numbers are left out in a mask
        Image.fromarray(instances).save(root / "PedMasks" / f"{name}_mask.png")
        (root / "Annotation" / f"{name}.txt").write_text("# boxes")
    splits = load_splits(root)
    assert splits.task == "segmentation" and splits.classes == ("background", "pedestrian")
    assert sum(sizes(splits)) == 12 and any("Annotation" in note for note in splits.report.ignored)
    mask = mask_of(splits, "test", 0)
    assert np.array_equal(mask[..., 0] > 0, mask[..., 1] > 0) and set(np.unique(mask[..., 1])) == {0, 1, 2}
    (root / "PedMasks" / "FudanPed00003_mask.png").unlink()
    with pytest.raises(DataError, match=r"FudanPed00003\.png has no mask"):
        load_splits(root)
