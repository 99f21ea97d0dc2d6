from __future__ import annotations

import numpy as np
import pytest
from datasets import ClassLabel, Dataset, Features, Value
from hypothesis import given, settings
from hypothesis import strategies as st

from spellward.data.splits import DataReport, complete_splits, stratified_cap, stratified_split
from spellward.errors import DataError

counts = st.lists(st.integers(4, 40), min_size=2, max_size=6)


def shuffled_labels(sizes: list[int], seed: int) -> np.ndarray:
    return np.random.default_rng(seed).permutation(np.repeat(np.arange(len(sizes)), sizes))


def names(sizes: list[int]) -> list[str]:
    return [f"class {number}" for number in range(len(sizes))]


@settings(deadline=None, max_examples=60)
@given(counts, st.integers(0, 9))
def test_split_is_a_stratified_partition(sizes: list[int], seed: int) -> None:
    labels = shuffled_labels(sizes, seed)
    parts = stratified_split(labels, [0.1, 0.2], names(sizes), seed)
    assert sorted(np.concatenate(parts)) == list(range(len(labels)))
    for label, size in enumerate(sizes):
        train, validation, test = ((labels[part] == label).sum() for part in parts)
        assert (validation, test) == (max(1, round(0.1 * size)), max(1, round(0.2 * size))) and train >= 1
    again = stratified_split(labels, [0.1, 0.2], names(sizes), seed)
    assert all(np.array_equal(one, other) for one, other in zip(parts, again, strict=True))


@settings(deadline=None, max_examples=60)
@given(counts, st.integers(0, 9), st.integers(0, 200))
def test_cap_is_exact_and_in_proportion(sizes: list[int], seed: int, extra: int) -> None:
    labels = shuffled_labels(sizes, seed)
    limit = len(sizes) + extra
    rows = stratified_cap(labels, limit, names(sizes), seed)
    assert len(rows) == len(set(rows.tolist())) == min(limit, len(labels))
    taken = np.bincount(labels[rows], minlength=len(sizes))
    assert taken.min() >= 1
    if limit >= 10 * len(sizes):
        assert np.abs(taken - np.minimum(np.array(sizes) * limit / len(labels), sizes)).max() <= len(sizes)


def test_another_seed_gives_another_split() -> None:
    labels = shuffled_labels([50, 50], 0)
    one, other = (stratified_split(labels, [0.5], ["a", "b"], seed)[0] for seed in (0, 1))
    assert not np.array_equal(one, other)


def test_a_new_class_moves_no_image_of_another() -> None:
    labels = np.repeat([0, 1], 20)
    more = np.repeat([0, 1, 2], 20)
    test = stratified_split(labels, [0.25], ["a", "b"])[1]
    more_test = stratified_split(more, [0.25], ["a", "b", "c"])[1]
    assert np.array_equal(test, more_test[more_test < 40])


def test_a_small_class_is_named_with_its_count() -> None:
    with pytest.raises(DataError, match="'rare' has 2 images"):
        stratified_split(np.array([0] * 9 + [1] * 2), [0.1, 0.2], ["common", "rare"])


@pytest.mark.parametrize("fractions", [[], [0.1, 0.2]])
def test_a_class_without_training_images_is_named(fractions: list[float]) -> None:
    with pytest.raises(DataError, match=r"'none' has no training images\. Add some"):
        stratified_split(np.array([0] * 9), fractions, ["some", "none"])


@pytest.mark.parametrize("fractions", [[0.0, 0.2], [0.5, 0.5], [-0.1], [1.0]])
def test_shares_that_make_no_sense(fractions: list[float]) -> None:
    with pytest.raises(DataError, match="above 0"):
        stratified_split(np.array([0, 1] * 9), fractions, ["a", "b"])


def test_limit_below_the_number_of_classes() -> None:
    with pytest.raises(DataError, match="limit of 1"):
        stratified_cap(np.array([0, 1] * 9), 1, ["a", "b"])


@settings(deadline=None, max_examples=40)
@given(st.lists(st.integers(0, 12), min_size=1, max_size=6).filter(lambda sizes: sum(sizes) > 3), st.integers(0, 9))
def test_small_main_classes_of_masks_are_split_together(sizes: list[int], seed: int) -> None:
    labels = 1 + shuffled_labels(sizes, seed)
    features = Features({"label": ClassLabel(names=["background", *names(sizes)]), "mask": Value("int64")})
    whole = Dataset.from_dict({"label": labels.tolist(), "mask": list(range(len(labels)))}, features=features)
    parts = complete_splits({"train": whole}, seed=seed, validation=0.1, test=0.2, limit=None)
    rows = [row for part in parts for row in part["mask"][:]]
    assert sorted(rows) == list(range(len(labels))) and all(map(len, parts))
    assert all(part["label"][:] == labels[part["mask"][:]].tolist() for part in parts)
    few = sum(size for size in sizes if size <= 2)
    for number, size in enumerate(sizes, start=1):
        # Large enough to stand in every part, and not the one that lends its rows to too few small ones.
        if size > 2 and (few == 0 or few > 2 or size < max(sizes)):
            assert all(number in part["label"][:] for part in parts)


def test_two_images_with_masks_are_too_few() -> None:
    features = Features({"label": ClassLabel(names=["background", "cat"]), "mask": Value("int64")})
    whole = Dataset.from_dict({"label": [1, 1], "mask": [0, 1]}, features=features)
    with pytest.raises(DataError, match="'cat' has 2 images, too few"):
        complete_splits({"train": whole}, seed=0, validation=0.1, test=0.2, limit=None)


def test_notes_sum_up_what_the_owner_should_hear() -> None:
    assert not list(DataReport(ignored=("photos/.DS_Store: not an image", "photos/.git: a hidden folder")).notes())
    strays = ("x/.hidden: odd", "x/c.heic: not an image")
    many = DataReport(("a is the same image as b: left out.",), strays, ("odd",) * 7)
    *odd, more, copies, unread = many.notes()
    assert odd == ["odd"] * 5 and more.startswith("There are 2 more")
    assert "copies of other images: 1" in copies and "a is the same image as b" in copies
    assert "not read: 1" in unread and "x/c.heic: not an image" in unread
