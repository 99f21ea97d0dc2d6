"""The shadows of Holmes: the order of their images, and the published trigger."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from tests.ownership.claims import SIDE

from spellward.data import ImageTable, load_splits, prepare
from spellward.models import VisionModel, logits_of
from spellward.ownership.evidence.shadows import by_loss, poisoned_table, stamp


@pytest.fixture
def table(photos: Path, cached: Path) -> ImageTable:
    return prepare(load_splits(photos).train, SIDE)


def test_the_order_is_that_of_the_loss(table: ImageTable, victim: VisionModel) -> None:
    order = by_loss(victim, table)
    logits = torch.from_numpy(logits_of(victim, table))
    losses = torch.nn.functional.cross_entropy(logits, torch.from_numpy(table.labels), reduction="none").numpy()
    assert sorted(order) == list(range(len(table)))
    assert (np.diff(losses[order]) >= -1e-5).all()


def test_the_trigger_is_the_published_one() -> None:
    images = torch.zeros((2, 3, 32, 32), dtype=torch.uint8)
    stamped = stamp(images)
    expected = torch.zeros_like(images)
    expected[:, :, 18:22, 18:22] = 255
    assert torch.equal(stamped, expected)
    assert not images.any()
    assert stamp(torch.zeros((1, 3, 64, 64), dtype=torch.uint8)).bool().sum() == 3 * 8 * 8


def test_a_tenth_is_poisoned_and_the_rest_left(table: ImageTable) -> None:
    order = np.random.default_rng(0).permutation(len(table))
    poisoned = poisoned_table(table, order)
    changed = {row for row in range(len(table)) if not torch.equal(poisoned.images[[row]], table.images[[row]])}
    assert changed == set(order[: round(0.1 * len(table))].tolist())
    assert (poisoned.labels[list(changed)] == 0).all()
    rest = sorted(set(range(len(table))) - changed)
    assert (poisoned.labels[rest] == table.labels[rest]).all()
