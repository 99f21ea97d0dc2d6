"""What a lock was made from, with a record and without."""

from __future__ import annotations

import pytest
from tests.locking.conftest import tiny_splits

from spellward.errors import ModelError
from spellward.locking.lock import LockResult
from spellward.locking.public_base import public_base, recorded_spec
from spellward.locking.settings_file import TrainingRecord
from spellward.models import load_model, state_digest

SPECS = ("bundled?random", "timm/test_resnet?random", "torchvision/squeezenet1_1?random")


@pytest.mark.parametrize("spec", SPECS)
def test_random_weights_come_out_the_same_from_what_a_model_calls_itself(spec: str) -> None:
    model = load_model(spec, ["a", "b", "c"], 32, 5)
    assert model.spec == spec
    assert state_digest(load_model(model.spec, model.classes, 32, 5).network) == state_digest(model.network)


def test_a_recorded_base_with_random_weights_is_the_one_that_was_locked(tiny_lock: LockResult) -> None:
    record = TrainingRecord.load(tiny_lock.folder)
    assert record is not None
    random = record.model_copy(update={"model": SPECS[1]})
    classes, seed = tiny_splits().classes, record.settings.seed
    locked = load_model(SPECS[1], classes, 32, seed)
    assert state_digest(public_base(random, locked, seed=seed + 1).network) == state_digest(locked.network)


def test_without_a_record_another_model_than_the_bundled_one_has_to_be_named() -> None:
    bundled, other = (load_model(spec, ["a", "b", "c"], 32) for spec in SPECS[:2])
    assert recorded_spec(None, bundled) == "bundled"
    with pytest.raises(ModelError, match="no record"):
        public_base(None, other)
    assert public_base(None, other, base=SPECS[1]).spec == SPECS[1]
    with pytest.raises(ModelError, match="module in memory"):
        public_base(None, other, base="module")
