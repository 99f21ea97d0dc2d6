from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from tests.attacks.unlocking.conftest import CLASSES, coloured, success

from spellward.attacks.unlocking.thief import EFFORTS, Thief
from spellward.attacks.unlocking.tuning import Tuning, _batches_of, reset_head, settle_norms, tune
from spellward.data.splits import stratified_share
from spellward.errors import ModelError
from spellward.models import VisionModel, state_digest


def changed(before: VisionModel, after: VisionModel) -> set[str]:
    old = dict(before.network.named_parameters())
    return {name for name, value in after.network.named_parameters() if not torch.equal(value, old[name])}


def tuned(model: VisionModel, tuning: Tuning, steps: int = 4, **rest: object) -> VisionModel:
    images = coloured(24, 2)
    return tune(model, images.images[:], images.labels, tuning, steps, 0, **rest)  # type: ignore[arg-type]


@pytest.mark.parametrize("optimiser", ["adamw", "sgd"])
def test_a_few_steps_learn_the_task(base: VisionModel, optimiser: str) -> None:
    test = coloured(60, 3)
    model = tuned(base, Tuning(4e-3 if optimiser == "adamw" else 3e-2, optimiser), 40)  # type: ignore[arg-type]
    assert success(model.logits(test.images[:]), test.labels) > 0.9
    assert not model.network.training


def test_the_same_seed_gives_the_same_model(base: VisionModel) -> None:
    one, two = (tuned(base, Tuning(1e-3, fresh_head=True)) for _ in range(2))
    assert state_digest(one.network) == state_digest(two.network) != state_digest(base.network)


def test_only_what_is_to_be_trained_changes(base: VisionModel) -> None:
    head = {name for name, _ in base.network.named_parameters() if name.startswith(base.head)}
    assert changed(base, tuned(base, Tuning(1e-2, head_only=True))) == head
    chosen = next(iter(dict(base.network.named_parameters())))
    assert changed(base, tuned(base, Tuning(1e-2), trained=lambda name: name == chosen)) == {chosen}


def test_frozen_norms_keep_their_statistics(base: VisionModel) -> None:
    def means(model: VisionModel) -> torch.Tensor:
        return torch.cat([value for name, value in model.network.state_dict().items() if "running_mean" in name])

    assert torch.equal(means(tuned(base, Tuning(1e-3, frozen_norms=True))), means(base))
    assert not torch.equal(means(tuned(base, Tuning(1e-3))), means(base))


def test_soft_targets_and_labels_agree(base: VisionModel) -> None:
    images = coloured(12, 2)
    soft = torch.nn.functional.one_hot(torch.from_numpy(images.labels), len(CLASSES)).float()
    models = [tune(base, images.images[:], targets, Tuning(1e-3), 3, 0) for targets in (soft, images.labels)]
    assert state_digest(models[0].network) == state_digest(models[1].network)


def test_a_rate_that_diverges_ends_quietly(base: VisionModel) -> None:
    tuned(base, Tuning(1e30, "sgd"), 6)


def test_settled_norms_have_the_statistics_of_the_images(base: VisionModel) -> None:
    bright = torch.full((40, 3, 32, 32), 250, dtype=torch.uint8)
    settled = settle_norms(base, bright)
    first = next(one for one in settled.network.modules() if isinstance(one, torch.nn.BatchNorm2d))
    conv = next(one for one in base.network.modules() if isinstance(one, torch.nn.Conv2d))
    expected = conv(base.preprocess(bright)).mean(dim=(0, 2, 3))
    assert torch.allclose(first.running_mean, expected, atol=1e-3)
    assert changed(base, settled) == set()


@pytest.mark.parametrize("count", [1, 20, 32, 33, 64, 70, 90])
def test_norms_settle_in_batches_that_weigh_alike(count: int) -> None:
    parts = _batches_of(torch.arange(count))
    assert torch.equal(torch.cat(parts), torch.arange(count))
    assert all(16 <= len(part) < 48 for part in parts) or len(parts) == 1


def test_a_reset_head_forgets(base: VisionModel) -> None:
    copy = base.copy()
    reset_head(copy)
    assert all(name.startswith(base.head) for name in changed(base, copy))


def test_a_thief_splits_its_labels_evenly(thief: Thief) -> None:
    learnt, held = thief.parts()
    assert len(learnt) == 18 and len(held) == 6
    assert (np.bincount(held.labels) == 2).all()
    assert (np.bincount(learnt.labels) == 6).all()


def test_a_thief_learns_the_only_image_of_a_class_and_needs_two_of_another(thief: Thief) -> None:
    labels, one = thief.labelled.labels, [int(np.flatnonzero(thief.labelled.labels == label)[0]) for label in range(3)]
    few = replace(thief, labelled=thief.labelled.subset([*one[:2], *np.flatnonzero(labels == 2)[:4]]))
    learnt, held = few.parts()
    assert set(learnt.labels) == {0, 1, 2} and set(held.labels) == {2}
    with pytest.raises(ModelError, match="3 labelled images, one of each class"):
        replace(thief, labelled=thief.labelled.subset(one)).parts()


def test_stratified_takes_a_share_of_every_class() -> None:
    labels = np.repeat([0, 1, 2], [100, 20, 3])
    rows = stratified_share(labels, 0.1, np.random.default_rng(0))
    assert np.bincount(labels[rows]).tolist() == [10, 2, 2]
    assert (np.diff(rows) > 0).all()


def test_efforts_search_more_and_longer() -> None:
    quick, default, full = (EFFORTS[name] for name in ("quick", "default", "full"))
    assert len(quick.some(range(12))) == 1 < len(default.some(range(12))) < len(full.some(range(12))) == 12
    assert default.guesses >= 200
    assert (
        default.steps_for(40) == default.steps < default.steps_for(400) <= default.steps_for(4000) == 6 * default.steps
    )
    assert replace(quick, grid=0.0).some("ab") == "a"
