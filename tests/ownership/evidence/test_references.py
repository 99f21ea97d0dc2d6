"""References: models of their own that can be made again."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.ownership.claims import FIT, SIDE, SPEC

from spellward.data import ImageTable, load_splits, prepare
from spellward.models import state_digest
from spellward.ownership.evidence.references import train_references


@pytest.fixture
def table(photos: Path, cached: Path) -> ImageTable:
    return prepare(load_splits(photos).train, SIDE)


def test_references_differ_and_can_be_made_again(table: ImageTable) -> None:
    one, other = ([state_digest(m.network) for m in train_references(table, 3, (SPEC,), SIDE, FIT)] for _ in range(2))
    assert one == other and len(set(one)) == 3
