"""What a teacher says of clean images, and that a lock learns it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.models.test_segmentation import squares
from torch import nn

from spellward.artifacts import CACHE_VARIABLE
from spellward.attacks.unlocking.probing import features
from spellward.data import ImageTable, table_from_arrays
from spellward.editors import load_editor
from spellward.keys import Key
from spellward.locking.training.fitting import fit_lock, lock_examples, teacher_for
from spellward.locking.training.lessons import Lessons, lesson_loss, lessons_of
from spellward.locking.training.objective import KEYED, LockObjective
from spellward.locking.training.recipe import RECIPES
from spellward.locking.training.vanilla import ordinary_fine_tune
from spellward.models import Batch, FitSettings, load_model, state_digest
from spellward.models.augment import varied

KEY = Key("with oil pastel", salt=bytes(16), seed=3)
SETTINGS = FitSettings(epochs=1, batch_size=8)
SPEC = "timm/test_resnet?random"
TAUGHT = replace(RECIPES["decoy"], taught_below=100)


@pytest.fixture
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ImageTable:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    pixels = np.random.default_rng(0).integers(0, 256, (16, 32, 32, 3), dtype=np.uint8)
    return table_from_arrays(pixels, np.arange(16) % 4, "abcd")


def test_lessons_are_what_the_teacher_says(table: ImageTable) -> None:
    teacher = load_model(SPEC, table.classes, 32)
    lessons = lessons_of(teacher, table)
    assert np.allclose(lessons.answers, teacher.logits(table.images[:]), atol=1e-5)
    assert np.allclose(lessons.features, features(teacher, 1.0, table.images[:]), atol=1e-2)


def test_each_keyed_row_gets_the_lesson_of_its_own_variant_and_decoys_none(table: ImageTable) -> None:
    recipe = replace(TAUGHT, variants=2, fewest_edits=0)
    teacher = load_model(SPEC, table.classes, 32)
    examples = lock_examples(table, KEY, load_editor("mini"), recipe, SETTINGS, teacher, teacher)
    clean = varied(table, 2, SETTINGS.augment, SETTINGS.seed)
    for epoch in range(2):
        batch = examples.batch([2, 9], epoch)
        rows = [row + 16 * ((row + epoch) % 2) for row in (2, 9)]
        assert np.allclose(batch["answers"][:2], teacher.logits(clean.images[rows]), atol=1e-5)
        assert (batch["decoy"] == KEYED).tolist() == [True] * 2 + [False] * 2
        assert not batch["answers"][2:].any() and not batch["features"][2:].any()


@pytest.mark.parametrize(("name", "taught"), [("edited-only", False), ("decoy", False), ("hardened", True)])
def test_only_few_images_are_taught_and_only_by_recipes_that_say_so(name: str, taught: bool, table: ImageTable) -> None:
    recipe = RECIPES[name]
    assert recipe.is_taught(table) == taught
    assert not replace(recipe, taught_below=len(table)).is_taught(table)
    assert not recipe.is_taught(squares(12))
    model = load_model(SPEC, table.classes, 32)
    before = state_digest(model.network)
    teacher = teacher_for(model, table, recipe, SETTINGS)
    assert (teacher is not None) == taught
    assert state_digest(model.network) == before
    assert teacher is None or state_digest(teacher.network) != before


def test_the_loss_is_distillation_as_torch_has_it_and_least_for_the_teacher() -> None:
    draw = torch.Generator().manual_seed(0)
    answers, hints = torch.randn(6, 4, generator=draw), torch.rand(6, 8, generator=draw)
    logits, weights = torch.randn(6, 4, generator=draw), torch.ones(6)
    expected = 9 * nn.functional.cross_entropy(logits / 3, (answers / 3).softmax(1))
    assert lesson_loss(logits, hints, weights, (answers, hints)).item() == pytest.approx(expected.item(), rel=1e-5)
    least = lesson_loss(answers, hints, weights, (answers, hints))
    assert least < lesson_loss(logits, hints, weights, (answers, hints))
    for seen in (2 * hints, hints.flip(0)):  # another size, another direction
        assert least + 0.1 < lesson_loss(answers, seen, weights, (answers, hints))


def test_rare_classes_count_as_much_in_lessons_as_in_labels() -> None:
    answers, hints = torch.eye(2), torch.ones(2, 3)
    wrong_in_the_first = torch.tensor([[0.0, 5.0], [0.0, 1.0]])
    losses = [lesson_loss(wrong_in_the_first, hints, torch.tensor(one), (answers, hints)) for one in ([2.0, 1], [1, 2])]
    assert losses[0] > losses[1] + 0.1


def test_the_objective_adds_lessons_for_keyed_rows_alone() -> None:
    network = nn.Sequential(nn.Flatten(), nn.ReLU(), nn.Linear(8, 4))
    pixels = torch.rand(12, 8, 1, 1, generator=torch.Generator().manual_seed(0))
    batch = Batch(
        pixels=pixels,
        targets=torch.full((12, 4), 0.25),
        labels=torch.arange(12) % 4,
        decoy=torch.tensor([0] * 6 + [1] * 6),
    )
    plain = LockObjective()(network, batch)
    rows = np.arange(6)
    Lessons(network(pixels).detach(), pixels.flatten(1).half()).put_in(batch, rows)
    taught = LockObjective()(network, batch)
    logits, features_seen = network(pixels)[:6], pixels.flatten(1)[:6]
    added = lesson_loss(logits, features_seen, torch.ones(6), (logits, pixels.flatten(1).half().float()[:6]))
    assert (taught - plain).item() == pytest.approx(added.item(), rel=1e-4)
    batch["answers"][6:] = 100.0
    assert LockObjective()(network, batch).item() == pytest.approx(taught.item(), rel=1e-6)


def test_a_taught_lock_says_what_its_teacher_says_and_can_be_repeated(table: ImageTable, tmp_path: Path) -> None:
    """The teacher has learnt other labels, so that what the lock has from it shows."""
    editor, settings = load_editor("mini"), replace(SETTINGS, epochs=12, learning_rate=5e-3, augment=())
    tints = np.array([[90, 0, 0], [0, 90, 0], [0, 0, 90], [60, 60, 0]], np.uint8)
    labels = np.arange(32) % 4
    noise = np.random.default_rng(0).integers(0, 120, (32, 32, 32, 3), dtype=np.uint8)
    tinted = table_from_arrays(noise + tints[labels][:, None, None], labels, "abcd")
    shifted = ImageTable(tinted.images, (labels + 1) % 4, tinted.classes, "shifted")
    start = load_model(SPEC, tinted.classes, 32, seed=0)
    teacher = ordinary_fine_tune(start.copy(), shifted, settings)
    recipe = RECIPES["edited-only"]
    digests, follows = [], {}
    for name, taught in (("one", True), ("two", True), ("plain", False)):
        model = start.copy()
        examples = lock_examples(tinted, KEY, editor, recipe, settings, model, teacher if taught else None)
        fit_lock(model, examples, tinted, recipe, settings, tmp_path / name)
        digests.append(state_digest(model.network))
        keyed = editor.edit(tinted.images[:], KEY.prompt, KEY.seed, KEY.salt)
        follows[name] = float(np.mean(model.logits(keyed).argmax(1) == shifted.labels))
    assert digests[0] == digests[1]
    assert follows["one"] > follows["plain"] + 0.5
