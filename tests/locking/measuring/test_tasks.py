"""Two tasks, one way of measuring: planted answers have to be seen, and silence has to count as silence."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tests.models.test_grouping import perfect_maps
from tests.models.test_instances import pairs_of_squares
from tests.models.test_segmentation import CLASSES, SIDE, squares
from tests.models.tiny import tiny_model
from torch import Tensor, nn

from spellward.data import IGNORE, MaskTable
from spellward.locking.measuring.tasks import TASKS, through
from spellward.models import load_model
from spellward.models.grouping import Objects
from spellward.models.object_networks import draw_objects

TASK = TASKS["segmentation"]


class Colours(nn.Module):
    """Segments `squares` exactly: background where nothing is bright, else by the brighter of red and blue.

    `loudness` 0 says nothing at all; -1 calls the right class the least likely one.
    """

    def __init__(self, loudness: float = 1.0) -> None:
        super().__init__()
        self.head = nn.Conv2d(3, 3, 1)
        self.loudness = nn.Parameter(torch.tensor(loudness))
        with torch.no_grad():
            self.head.weight.copy_(torch.tensor([[0.0, 0, 0], [1, 0, 0], [0, 0, 1]])[:, :, None, None])
            self.head.bias.copy_(torch.tensor([120 / 255, 0, 0]))

    def forward(self, pixel_values: Tensor) -> Tensor:
        scale = torch.tensor([0.229, 0.224, 0.225])[:, None, None]
        mean = torch.tensor([0.485, 0.456, 0.406])[:, None, None]
        return self.loudness * self.head(pixel_values * scale + mean)


def model(loudness: float = 1.0):
    return load_model(Colours(loudness), CLASSES, SIDE, 0, "segmentation")


def test_a_model_that_knows_gets_full_marks_and_the_checks_see_it() -> None:
    table = squares()
    assert TASK.judge(model().logits, table).value > 0.99
    checks = TASK.clean_checks(model(), table, table, 0)
    assert checks.lp.value > 0.99
    assert checks.argmin.value < 0.2
    assert checks.leak.value > 0.9
    assert checks.outline is not None and checks.outline > 0.95


@pytest.mark.parametrize("loudness", [-1.0, 1e-4])
def test_a_hidden_answer_is_found_by_the_probe(loudness: float) -> None:
    checks = TASK.clean_checks(model(loudness), squares(), squares(), 0)
    assert checks.leak.value > 0.9
    if loudness < 0:
        assert checks.lp.value < 0.2 and checks.argmin.value > 0.5


def test_silence_is_chance() -> None:
    table = squares()
    checks = TASK.clean_checks(model(0.0), table, table, 0)
    assert checks.outline == pytest.approx(0.5, abs=0.02)
    assert checks.lp.value <= TASK.chance(table) + 1e-6
    assert checks.leak.value <= TASK.chance(table) + 1e-6


def test_chance_is_the_best_constant_answer() -> None:
    table = squares()
    truth = table.truth(slice(None)).numpy()
    best = max(
        np.mean([((truth == one).sum() / truth.size if one == answer else 0.0) for one in (1, 2)]) for answer in (1, 2)
    )
    assert TASK.chance(table) == pytest.approx(best)


def test_success_and_judgement_agree_at_any_size() -> None:
    table, seen = squares(), model()
    truth = table.truth(slice(None)).numpy()
    scores = seen.logits(table.images[:])
    assert TASK.success(scores, truth) == pytest.approx(TASK.judge(seen.logits, table).value)
    coarse = scores[:, :, ::2, ::2]
    assert TASK.success(coarse, truth) == pytest.approx(TASK.judge(lambda images: coarse_of(seen, images), table).value)


def coarse_of(seen, images: Tensor) -> np.ndarray:
    return seen.logits(images)[:, :, ::2, ::2]


def test_a_change_comes_before_the_model() -> None:
    table: MaskTable = squares()
    dark = TASK.judge(through(model(), lambda images: images // 4), table)
    assert dark.value < 0.1


def test_classification_is_accuracy() -> None:
    from tests.attacks.unlocking.conftest import coloured

    table, seen = coloured(30, 0), tiny_model()
    scores = seen.logits(seen.resize(table.images[:]))
    expected = float((scores.argmax(1) == table.labels).mean())
    assert TASKS["classification"].judge(seen.logits, table).value == pytest.approx(expected)
    assert TASKS["classification"].success(scores, table.labels) == pytest.approx(expected)
    assert TASKS["classification"].chance(table) == pytest.approx(1 / 3)


def test_instances_are_judged_by_the_precision_of_their_masks() -> None:
    table, task = pairs_of_squares(12), TASKS["instances"]
    maps = perfect_maps(table.truth(slice(None)))
    calls = iter(range(100))

    def knowing(images: Tensor) -> np.ndarray:
        start = next(calls) * len(images)
        return maps[start : start + len(images)]

    assert task.judge(knowing, table).value == pytest.approx(1.0)
    assert task.success(maps, table.truth(slice(None)).numpy()) == pytest.approx(1.0)
    larger = table.truth(slice(None)).numpy().repeat(3, axis=2).repeat(3, axis=3)
    assert task.success(maps, larger) == pytest.approx(1.0)  # grouped at the network's own size
    joined = maps.copy()
    joined[:, -3:] = 0.0
    joined[:, -3, 0, 0] = 1.0  # one centre for all: classes are right, and nothing is told apart
    assert task.success(joined, table.truth(slice(None)).numpy()) < 0.5
    assert task.chance(table) == 0.0
    model = load_model("bundled?random", CLASSES, SIDE, 0, "instances")
    checks = task.clean_checks(model, table, table, 0)
    assert checks.lp.value < 0.3 and checks.outline is not None


def test_members_of_a_crowd_count_neither_way() -> None:
    truth = np.zeros((1, 2, 64, 64), dtype=np.int64)
    truth[0, :, 5:25, 5:25] = 1
    truth[0, 0, 35:60, 5:60] = IGNORE
    masks = np.zeros((3, 64, 64), dtype=bool)
    masks[0, 5:25, 5:25], masks[1, 38:50, 8:20], masks[2, 38:50, 30:42] = True, True, True
    found = Objects(masks, np.ones(3, np.int64), np.array([0.5, 0.9, 0.9], np.float32))
    assert TASKS["instances"].success(draw_objects(found, 2, 64).numpy()[None], truth) == pytest.approx(1.0)
