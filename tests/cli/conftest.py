"""Images of one's own, for the tests of commands."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of class folders: 24 images each of red, green and blue noise."""
    folder = tmp_path_factory.mktemp("photos")
    rng = np.random.default_rng(0)
    for index, name in enumerate(("red", "green", "blue")):
        (folder / name).mkdir()
        for number in range(24):
            pixels = rng.integers(0, 90, (32, 32, 3), dtype=np.uint8)
            pixels[..., index] += 150
            Image.fromarray(pixels).save(folder / name / f"{number}.png")
    return folder
