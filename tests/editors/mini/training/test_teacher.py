"""The teacher's operators: one picture in, one of the same shape in [0, 1] out, never by chance."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("cv2", reason="the extra `editor` is not installed")

from spellward.editors.mini.training.teacher import OPERATORS, render
from spellward.editors.mini.vocabulary import SCENES, STYLES


def pictures() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    y, x = np.mgrid[0:1:64j, 0:1:64j]
    slope = np.stack([x, y, 1 - x], axis=-1)
    return {
        "slope": slope.astype(np.float32),
        "noise": rng.uniform(0, 1, (64, 64, 3)).astype(np.float32),
        "black": np.zeros((64, 64, 3), np.float32),
        "white": np.ones((64, 64, 3), np.float32),
    }


@pytest.mark.parametrize("style", OPERATORS)
def test_every_operator_gives_a_picture_of_its_own(style: str) -> None:
    for name, picture in pictures().items():
        before = picture.copy()
        edited = render(style, picture)
        assert edited.shape == picture.shape and edited.dtype == np.float32, name
        assert np.isfinite(edited).all() and edited.min() >= 0 and edited.max() <= 1, name
        assert np.array_equal(picture, before), f"{style} wrote into its source"
        assert np.array_equal(render(style, picture), edited), f"{style} is random"
    slope = pictures()["slope"]
    assert np.sqrt(np.square(render(style, slope) - slope).mean()) > 0.05
    assert render(style, slope).std() > 0.03


def test_styles_are_told_apart() -> None:
    slope = pictures()["slope"]
    edits = {style: render(style, slope) for style in OPERATORS}
    names = list(edits)
    apart = {(a, b): np.sqrt(np.square(edits[a] - edits[b]).mean()) for i, a in enumerate(names) for b in names[:i]}
    assert min(apart.values()) > 0.05, min(apart, key=lambda pair: apart[pair])


def test_there_is_an_operator_for_every_style() -> None:
    assert set(OPERATORS) == set(STYLES)
    assert set(SCENES) <= set(STYLES)
