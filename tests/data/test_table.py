from __future__ import annotations

import numpy as np
import pytest
import torch

from spellward.data import ImageTable, table_from_arrays
from spellward.errors import DataError

PIXELS = np.random.default_rng(0).integers(0, 256, (7, 4, 4, 3), dtype=np.uint8)
LABELS = np.array([0, 1, 2, 0, 1, 2, 0])


def test_layouts_give_the_same_table() -> None:
    last = table_from_arrays(PIXELS, LABELS)
    first = table_from_arrays(torch.from_numpy(PIXELS.transpose(0, 3, 1, 2).copy()), LABELS.tolist())
    assert last.fingerprint == first.fingerprint and last.classes == ("0", "1", "2")
    assert torch.equal(last.images[:], first.images[:])
    grey = table_from_arrays(PIXELS[..., 0], LABELS)
    assert torch.equal(grey.images[:][:, 2], torch.from_numpy(PIXELS[..., 0]))


def test_fingerprint_covers_pixels_labels_and_classes() -> None:
    changed = PIXELS.copy()
    changed[6, 3, 3, 2] ^= 1
    tables = [
        table_from_arrays(PIXELS, LABELS, "abc"),
        table_from_arrays(changed, LABELS, "abc"),
        table_from_arrays(PIXELS, LABELS[::-1], "abc"),
        table_from_arrays(PIXELS, LABELS, "abd"),
        table_from_arrays(PIXELS, LABELS, "abcd"),
    ]
    assert len({table.fingerprint for table in tables}) == len(tables)


def test_subsets_are_views() -> None:
    table = table_from_arrays(PIXELS, LABELS)
    view = table.subset([5, 1, 3]).subset(slice(1, 3))
    assert torch.equal(view.images[:], table.images[[1, 3]])
    assert view.labels.tolist() == [1, 0] and len(view) == 2
    assert table.subset(slice(None)) is table
    assert table.subset([0, 1]).fingerprint != table.subset([1, 0]).fingerprint
    assert table.subset([0, 1]).fingerprint == table.subset(slice(2)).fingerprint


def test_batches_cover_the_table_in_order() -> None:
    table: ImageTable = table_from_arrays(PIXELS, LABELS)
    batches = list(table.batches(3))
    assert [len(images) for images, _ in batches] == [3, 3, 1]
    assert torch.equal(torch.cat([images for images, _ in batches]), table.images[:])
    assert np.concatenate([labels for _, labels in batches]).tolist() == LABELS.tolist()


@pytest.mark.parametrize(
    ("images", "labels", "reason"),
    [
        (PIXELS / 255, LABELS, "uint8"),
        (PIXELS[:, :2], LABELS, "square"),
        (PIXELS[0, 0], LABELS, "Expected images"),
        (PIXELS, LABELS[:3], "7 integer labels"),
        (PIXELS, LABELS * 1.0, "integer labels"),
        (PIXELS, LABELS - 1, "go from -1"),
        (PIXELS, LABELS + 9, "there are 3 classes"),
    ],
)
def test_refusals(images: np.ndarray, labels: np.ndarray, reason: str) -> None:
    with pytest.raises(DataError, match=reason):
        table_from_arrays(images, labels, ["a", "b", "c"])
