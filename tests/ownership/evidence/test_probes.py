"""Probes: which images are kept for them, and which are asked about."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from tests.ownership.claims import SIDE

from spellward.data import ImageTable, load_splits, prepare, table_from_arrays
from spellward.errors import DataError
from spellward.ownership.evidence.probes import candidates, choose, reserved_rows


@pytest.fixture
def table(photos: Path, cached: Path) -> ImageTable:
    return prepare(load_splits(photos).train, SIDE)


def test_reserved_rows_are_at_most_a_quarter_of_every_class(table: ImageTable) -> None:
    rows = reserved_rows(table, 1000, seed=0)
    assert len(set(rows.tolist())) == len(rows) <= len(table) / 4 + 3
    shares = np.bincount(table.labels[rows]) / np.bincount(table.labels)
    assert ((shares > 0.15) & (shares < 0.35)).all()
    assert np.array_equal(rows, reserved_rows(table, 1000, seed=0))


def test_mixtures_are_means_of_two_images() -> None:
    shades = [20 * place + place % 2 for place in range(12)]
    pixels = np.stack([np.full((4, 4, 3), value, np.uint8) for value in shades])
    reserved = table_from_arrays(pixels, np.arange(12) % 4, "abcd")
    mixed = candidates(reserved, 36, private_images=True, seed=0).images[12:]
    values = [int(image[0, 0, 0]) for image in mixed]
    means = {(a + b + 1) // 2 for a in shades for b in shades if a != b}
    assert set(values) <= means - set(shades)
    assert len(set(values)) == len(values) > 10  # none comes twice
    both = candidates(reserved, 36, private_images=True, seed=0)
    assert torch.equal(both.images[:12], reserved.images[:])
    for image, (first, second) in zip(both.images, both.sources, strict=True):
        assert int(image[0, 0, 0]) == (shades[first] + shades[second] + 1) // 2


def test_probes_come_from_the_quarter_where_the_victim_is_furthest_from_the_mean_of_the_references() -> None:
    rng = np.random.default_rng(0)
    common = 3 * np.eye(5)[np.arange(50) % 5]
    victim, references = common.copy(), [common + 0.3 * rng.normal(size=(50, 5)) for _ in range(3)]
    far = rng.permutation(50)[:10]
    victim[far] = np.roll(victim[far], 1, axis=1)
    rows = choose(victim, references, 8, seed=0)
    assert len(set(rows.tolist())) == 8
    assert len(set(rows.tolist()) & set(far.tolist())) >= 5  # eight of the twelve furthest, at random
    assert set(choose(victim, references, 40, seed=0).tolist()) > set(far.tolist())
    assert sorted(choose(victim, references, 500, seed=0).tolist()) == list(range(50))


def test_a_probe_tells_less_where_the_references_spread() -> None:
    """There an independent model may say what the victim says."""
    rng = np.random.default_rng(0)
    first, second, third = (8 * np.roll(np.eye(5)[np.arange(60) % 5], by, axis=1) for by in range(3))
    wide = (np.arange(60) < 30)[:, None]
    references = [one + 0.1 * rng.normal(size=(60, 5)) for one in [first, np.where(wide, third, first)] * 3]
    # Further away where it is alone; but so are the references from one another.
    victim = np.where(wide, second, (first + second) / 2) + 0.1 * rng.normal(size=(60, 5))
    rows = choose(victim, references, 15, seed=0)
    assert len(rows) == 15 and not wide[rows].any()
    alone = choose(victim, references[:1], 15, seed=0)
    assert wide[alone].mean() > 0.9  # one reference has no spread, so the furthest are taken


def test_each_private_image_goes_into_one_probe() -> None:
    """Three mixtures of three images would give them away."""
    pixels = np.random.default_rng(0).integers(0, 256, (80, 4, 4, 3), dtype=np.uint8)
    pool = candidates(table_from_arrays(pixels, np.arange(80) % 4, "abcd"), 200, private_images=False, seed=0)
    assert np.array_equal(pool.images, (pixels[pool.sources].astype(int).sum(axis=1) + 1).transpose(0, 3, 1, 2) // 2)
    outputs = np.random.default_rng(1).normal(size=(3, len(pool), 4))
    rows = choose(outputs[0], outputs[1:], 30, 0, pool.sources)
    assert len(set(pool.sources[rows].ravel().tolist())) == 2 * len(rows) == 60
    every = choose(outputs[0], outputs[1:], 150, 0, pool.sources)
    assert 32 <= len(every) <= 40 == len(set(pool.sources.ravel().tolist())) / 2
    free = choose(outputs[0], outputs[1:], 30, 0)
    assert free[0] == rows[0] and len(set(pool.sources[free].ravel().tolist())) < 60


def test_images_that_give_no_probes_are_refused() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (20, 4, 4, 3), dtype=np.uint8)
    with pytest.raises(DataError, match="one class"):
        candidates(table_from_arrays(pixels, np.zeros(20, np.int64), "ab"), 40, False, 0)
    with pytest.raises(DataError, match=r"Only 9 different.*private-images"):
        candidates(table_from_arrays(pixels[:19], np.arange(19) % 2, "ab"), 40, False, 0)
    with pytest.raises(DataError, match="Only 3 different"):
        candidates(table_from_arrays(pixels[:2], np.arange(2), "ab"), 40, True, 0)


def test_a_mixture_is_never_a_private_image() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (60, 4, 4, 3), dtype=np.uint8)
    pixels[30:40] = pixels[11:21]  # the same images, of the other class
    reserved = table_from_arrays(pixels, np.arange(60) % 2, "ab")
    private = {image.numpy().tobytes() for image in reserved.images[:]}
    for seed in range(20):
        assert not private & {image.numpy().tobytes() for image in candidates(reserved, 8, False, seed).images}
