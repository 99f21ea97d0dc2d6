from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import datasets
import numpy as np
import pytest
import torch
from PIL import Image
from tests.data.segmentation import fill, stored

from spellward.data import MaskTable, load_splits, prepare
from spellward.data.images import decode_image
from spellward.data.mask_images import decode_mask
from spellward.data.store import ImageStore
from spellward.errors import DataError

Maker = Callable[..., Path]
STAGE = sys.modules["spellward.data.prepare"]  # the package gives this name to the function

VICTIM = """
import sys, time
from spellward.data import load_splits
stage = sys.modules['spellward.data.prepare']
decode = stage.decode_image
def slow(*arguments):
    time.sleep(0.004)
    return decode(*arguments)
stage.decode_image = slow
stage.prepare(load_splits(sys.argv[1]).train, 16, sys.argv[2])
"""


def test_prepared_pixels_are_those_of_pillow(class_folders: Maker, tmp_path: Path) -> None:
    train = load_splits(class_folders()).train
    table = prepare(train, 7, tmp_path / "store")
    expected = [np.asarray(row["image"].resize((7, 7), Image.Resampling.BICUBIC)).transpose(2, 0, 1) for row in train]
    assert torch.equal(table.images[:], torch.from_numpy(np.stack(expected)))
    assert table.labels.tolist() == train["label"][:] and table.classes == ("cat", "dog")


def test_a_second_run_decodes_nothing(class_folders: Maker, monkeypatch: pytest.MonkeyPatch) -> None:
    root = class_folders()
    first = prepare(load_splits(root).train, 8)
    monkeypatch.setattr(STAGE, "decode_image", None)
    assert prepare(load_splits(root).train, 8).fingerprint == first.fingerprint


def test_other_content_labels_or_size_get_another_store(class_folders: Maker, tmp_path: Path) -> None:
    train = load_splits(class_folders()).train
    prepare(train, 8, tmp_path / "store")
    prepare(train, 9, tmp_path / "store")
    prepare(train.select(range(3)), 8, tmp_path / "store")
    prepare(train.select([0, 2, 1]), 8, tmp_path / "store")
    assert len(list((tmp_path / "store" / "prepared").glob("*.images"))) == 4
    assert all(path.stat().st_mode & 0o077 == 0 for path in (tmp_path / "store").rglob("*"))


def test_a_killed_run_resumes_to_the_same_table(class_folders: Maker, tmp_path: Path) -> None:
    root = class_folders(count=500)
    store = tmp_path / "store"
    process = subprocess.Popen([sys.executable, "-c", VICTIM, str(root), str(store)])
    try:
        deadline = time.monotonic() + 60
        while rows_done(store) < 64:
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.01)
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    done = rows_done(store)
    train = load_splits(root).train
    assert 64 <= done < len(train)
    decoded: list[str] = []

    def count(source: str, name: str) -> Image.Image:
        decoded.append(name)
        return decode_image(source, name)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(STAGE, "decode_image", count)
        table = prepare(train, 16, store)
    assert len(decoded) == len(train) - done
    assert table.fingerprint == prepare(train, 16, tmp_path / "fresh").fingerprint


def rows_done(folder: Path) -> int:
    """The count in the header of the unfinished store."""
    partial = next(folder.glob("prepared/*.partial"), None)
    raw = partial.read_bytes()[:32] if partial else b""
    return int.from_bytes(raw[24:32], "little") if len(raw) == 32 else 0


def test_a_file_that_breaks_only_when_decoded_is_named(class_folders: Maker) -> None:
    root = class_folders()
    Image.effect_noise((40, 40), 60).save(root / "cat" / "cut.png")
    path = root / "cat" / "cut.png"
    path.write_bytes(path.read_bytes()[:-400])
    splits = load_splits(root)
    with pytest.raises(DataError, match=r"cut\.png is broken"):
        for part in (splits.train, splits.validation, splits.test):
            prepare(part, 8)


def test_a_file_that_vanished_is_named(class_folders: Maker) -> None:
    root = class_folders()
    train = load_splits(root).train
    for path in (root / "dog").iterdir():
        path.unlink()
    with pytest.raises(DataError, match=r"dog/\d+\.png cannot be read"):
        prepare(train, 8)


@pytest.mark.parametrize("size", [1, 0, -3, 5000])
def test_sizes_that_make_no_sense(class_folders: Maker, size: int) -> None:
    with pytest.raises(DataError, match="2 to 4096"):
        prepare(load_splits(class_folders()).train, size)


def test_no_images_is_an_empty_table(class_folders: Maker) -> None:
    table = prepare(load_splits(class_folders()).train.select([]), 8)
    assert len(table) == 0 and isinstance(table.images, ImageStore) and table.images[:].shape == (0, 3, 8, 8)


def test_masks_are_squashed_by_nearest_neighbour(tmp_path: Path) -> None:
    fill(tmp_path / "data" / "images", tmp_path / "data" / "masks")
    train = load_splits(tmp_path / "data").train
    table = prepare(train, 7, tmp_path / "store")
    assert isinstance(table, MaskTable) and table.labels.tolist() == train["label"][:]
    expected = [np.asarray(row["mask"].resize((7, 7), Image.Resampling.NEAREST)).transpose(2, 0, 1) for row in train]
    assert torch.equal(table.masks[:], torch.from_numpy(np.stack(expected)))
    assert isinstance(table.masks, ImageStore) and set(table.truth(slice(None)).unique().tolist()) == {0, 1, 2}
    plain = prepare(train.remove_columns("mask"), 7, tmp_path / "store")
    assert not isinstance(plain, MaskTable) and torch.equal(plain.images[:], table.images[:])
    assert len(list((tmp_path / "store" / "prepared").glob("*.images"))) == 2
    assert plain.fingerprint != table.fingerprint


def test_other_masks_get_another_store_and_fingerprint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(tmp_path / "data" / "images", tmp_path / "data" / "masks")
    train = load_splits(tmp_path / "data").train
    first = prepare(train, 8)
    monkeypatch.setattr(STAGE, "decode_image", None)
    with monkeypatch.context() as patch:
        patch.setattr(STAGE, "decode_mask", None)
        assert prepare(train, 8).fingerprint == first.fingerprint
    masks = [Image.fromarray(np.asarray(row["mask"])[::-1]) for row in train]
    turned = train.remove_columns("mask").add_column("mask", stored(masks), feature=datasets.Image())
    second = prepare(turned, 8)  # the images are there already: none is decoded
    assert second.fingerprint != first.fingerprint and not torch.equal(second.masks[:], first.masks[:])


def test_masks_left_half_done_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(tmp_path / "data" / "images", tmp_path / "data" / "masks", 100)
    train = load_splits(tmp_path / "data").train
    assert len(train) > 64
    decoded: list[str] = []

    def break_down(source: str | bytes, name: str, size: int) -> np.ndarray:
        decoded.append(name)
        if "row 64" in name:
            raise KeyboardInterrupt
        return decode_mask(source, name, size)

    monkeypatch.setattr(STAGE, "decode_mask", break_down)
    with pytest.raises(KeyboardInterrupt):
        prepare(train, 8)
    decoded.clear()
    monkeypatch.setattr(STAGE, "decode_mask", lambda *some: decoded.append(some[1]) or decode_mask(*some))
    table = prepare(train, 8)
    assert len(decoded) == len(train) - 64
    assert table.fingerprint == prepare(train, 8, tmp_path / "fresh").fingerprint


def test_masks_that_load_splits_has_not_seen_are_refused(tmp_path: Path) -> None:
    fill(tmp_path / "data" / "images", tmp_path / "data" / "masks")
    train = load_splits(tmp_path / "data").train
    grey = [row["mask"].convert("L") for row in train]
    with pytest.raises(DataError, match="data row 0 has the mode L"):
        prepare(train.remove_columns("mask").add_column("mask", stored(grey), feature=datasets.Image()), 8)
