from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.data.segmentation import blob, fill

from spellward.data import load_splits
from spellward.data.class_lists import class_list
from spellward.errors import DataError


def palette(root: Path, *names: str) -> None:
    colours = {name: [60 * number, 0, 9] for number, name in enumerate(names)}
    (root / "palette.json").write_text(json.dumps(colours))


@pytest.mark.parametrize("name", ["background", "Background"])
def test_the_background_of_a_palette_is_class_0_wherever_it_stands(tmp_path: Path, name: str) -> None:
    palette(tmp_path, "cat", "void", name, "dog")
    names, colours, warnings = class_list(tmp_path)
    assert names == [name, "cat", "dog"] and not warnings
    assert colours == {(0, 0, 9): 1, (60, 0, 9): 255, (120, 0, 9): 0, (180, 0, 9): 2}


def test_two_backgrounds_are_refused(tmp_path: Path) -> None:
    palette(tmp_path, "background", "cat", "BACKGROUND")
    with pytest.raises(DataError, match=r"palette\.json names 'BACKGROUND' as class 1"):
        class_list(tmp_path)


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("classes.txt", "cat\nBackground\ndog"),
        ("classes.json", '["cat", "background", "dog"]'),
        ("classes.json", '{"0": "cat", "1": "background"}'),
    ],
)
def test_numbered_classes_have_the_background_first(tmp_path: Path, file: str, content: str) -> None:
    (tmp_path / file).write_text(content)
    with pytest.raises(DataError, match=rf"{file} names '[Bb]ackground' as class 1, but in masks the background is 0"):
        class_list(tmp_path)


def test_a_first_class_that_is_taken_for_the_background_is_pointed_out(tmp_path: Path) -> None:
    fill(tmp_path / "images", tmp_path / "masks", classes=1)
    (tmp_path / "classes.txt").write_text("road\ncar")
    splits = load_splits(tmp_path)
    assert splits.classes == ("road", "car")
    assert "names no 'background': its first class, 'road', is taken for the background" in splits.report.warnings[0]
    (tmp_path / "classes.txt").unlink()
    palette(tmp_path, "void", "road", "car")
    for path in (tmp_path / "masks").iterdir():
        Image.fromarray(np.array([[60, 0, 9], [120, 0, 9]], dtype=np.uint8)[blob(1)]).save(path)
    (warning,) = load_splits(tmp_path).report.warnings
    assert "palette.json" in warning and "'road'" in warning
    (tmp_path / "palette.json").unlink()
    assert class_list(tmp_path) == (None, None, ())
