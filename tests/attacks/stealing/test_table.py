"""Every theft through one table: the victim stays as it was, the loot can be had again, and it is worth something."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.special import softmax

from spellward.artifacts import CACHE_VARIABLE
from spellward.attacks.stealing import distillation
from spellward.attacks.stealing.data_free import Generator, generator_loss, imagined
from spellward.attacks.stealing.disguises import DISGUISES
from spellward.attacks.stealing.means import Means, answers, parameters, student, train, true_targets
from spellward.attacks.stealing.queries import asked_about, synthetic
from spellward.attacks.stealing.table import STEALING
from spellward.data import ImageTable, table_from_arrays
from spellward.models import FitSettings, VisionModel, logits_of, state_digest

SPEC = "timm/test_resnet?random"
CLASSES = ("red", "green", "blue")
FIT = FitSettings(epochs=12, batch_size=16, learning_rate=5e-3)


def colours(count: int, seed: int) -> ImageTable:
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % 3
    pixels = rng.integers(0, 100, (count, 32, 32, 3))
    pixels[np.arange(count), :, :, labels] += 70
    return table_from_arrays(pixels.astype(np.uint8), labels, CLASSES)


TEST = colours(60, 9)


@pytest.fixture(scope="module")
def means(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Means]:
    patch = pytest.MonkeyPatch()
    patch.setenv(CACHE_VARIABLE, str(tmp_path_factory.mktemp("thefts") / "cache"))
    torch.set_num_threads(1)
    yield Means(colours(90, 0), SPEC, "timm/test_vit?random", queries=120, fit=FIT)
    patch.undo()


@pytest.fixture(scope="module")
def victim(means: Means) -> VisionModel:
    images = colours(90, 1)
    other = Means(images, SPEC, fit=FIT, seed=50)
    untaught = student(SPEC, VisionModel(torch.nn.Identity(), "", CLASSES, 32, (0.5,) * 3, (0.5,) * 3, ""), other)
    model = train(untaught, images, true_targets(images), other)
    assert (logits_of(model, TEST).argmax(1) == TEST.labels).mean() > 0.9
    return model


@pytest.mark.parametrize("name", list(STEALING))
def test_thefts(name: str, victim: VisionModel, means: Means, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = state_digest(victim.network)
    thief = STEALING[name].run(victim, means)
    assert state_digest(victim.network) == before
    # In an empty cache, or the run would be loaded and not made again; with what it does not read out of its reach.
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path))
    hidden = {"queries": 0, "base": None, "other": None}
    unread = {option: value for option, value in hidden.items() if option not in STEALING[name].reads}
    again = STEALING[name].run(victim, replace(means, **unread))
    assert state_digest(again.network) == state_digest(thief.network)
    assert thief.classes == victim.classes and thief.input_size == victim.input_size
    assert all(value.requires_grad for value in thief.network.parameters())
    outputs = logits_of(thief, TEST)
    assert np.isfinite(outputs).all()
    if name not in ("out-of-distribution", "data-free", "soft-label-other"):  # weak ones, with so few questions
        assert (outputs.argmax(1) == TEST.labels).mean() > 0.6


def test_a_copy_agrees_everywhere(victim: VisionModel, means: Means) -> None:
    assert np.array_equal(logits_of(STEALING["copy"].run(victim, means), TEST), logits_of(victim, TEST))


@pytest.mark.parametrize(("name", "share"), [("prune-30", 0.3), ("prune-50", 0.5), ("prune-70", 0.7)])
def test_pruned_weights_stay_zero(name: str, share: float, victim: VisionModel, means: Means) -> None:
    values = torch.cat([value.flatten() for value in parameters(STEALING[name].run(victim, means)).values()])
    assert float((values == 0).float().mean()) == pytest.approx(share, abs=0.01)


def test_quantised_weights_have_at_most_255_values_a_channel(victim: VisionModel, means: Means) -> None:
    for name, value in parameters(STEALING["quantise"].run(victim, means)).items():
        for row, own in zip(value.flatten(1), dict(parameters(victim))[name].flatten(1), strict=True):
            assert len(row.unique()) <= 255
            assert (row - own).abs().max() <= own.abs().max() / 254 + 1e-7


def test_a_new_head_alone_leaves_the_body(victim: VisionModel, means: Means) -> None:
    thief = STEALING["fine-tune-head"].run(victim, means)
    own = victim.network.state_dict()
    changed = {name for name, value in thief.network.state_dict().items() if not torch.equal(value, own[name])}
    assert changed and all(name.startswith(victim.head) for name in changed)


def test_a_run_with_a_frozen_body_is_not_taken_for_another(victim: VisionModel, means: Means) -> None:
    # With a single epoch both thefts begin with the same weights and train with the same settings.
    short = replace(means, fit=replace(FIT, epochs=1))
    head, strong = (STEALING[name].run(victim, short) for name in ("fine-tune-head", "fine-tune-strong"))
    assert state_digest(head.network) != state_digest(strong.network)


def test_a_hard_label_thief_learns_from_classes_alone(
    victim: VisionModel, means: Means, monkeypatch: pytest.MonkeyPatch
) -> None:
    learnt: dict[str, np.ndarray] = {}

    def watch(model: VisionModel, images: ImageTable, targets: np.ndarray, *_: object, **__: object) -> VisionModel:
        learnt[name] = targets
        return model

    monkeypatch.setattr(distillation, "train", watch)
    for name in ("hard-label", "soft-label"):
        STEALING[name].run(victim, means)
    assert set(np.unique(learnt["hard-label"])) == {0.0, 1.0}
    assert not np.isin(learnt["soft-label"], [0.0, 1.0]).all()  # the watch does see soft scores where there are some
    assert (learnt["hard-label"].argmax(axis=1) == learnt["soft-label"].argmax(axis=1)).all()


def test_thefts_by_questions_never_read_labels(victim: VisionModel, means: Means) -> None:
    wrong = table_from_arrays(means.images.images[:], (means.images.labels + 1) % 3, CLASSES)
    lied_to = Means(wrong, SPEC, queries=60, fit=FIT)
    thief = STEALING["soft-label"].run(victim, lied_to)
    assert (logits_of(thief, TEST).argmax(1) == TEST.labels).mean() > 0.6


def test_what_each_thief_hears() -> None:
    told = softmax(np.random.default_rng(0).normal(size=(20, 6)), axis=1)
    assert set(np.unique(distillation.hard(told))) == {0.0, 1.0}
    assert (distillation.hard(told).argmax(1) == told.argmax(1)).all()
    few = distillation.top(told)
    assert np.allclose(few.sum(axis=1), 1)
    assert np.allclose(np.sort(few, axis=1)[:, -3:], np.sort(told, axis=1)[:, -3:])
    assert all(len(np.unique(np.round(np.sort(row)[:3], 12))) == 1 for row in few)
    assert distillation.soft(told) is told


def test_answers_are_probabilities(victim: VisionModel) -> None:
    said = answers(victim, TEST)
    assert np.allclose(said.sum(axis=1), 1) and said.min() >= 0


@pytest.mark.parametrize("queries", [10, 90, 200])
def test_images_come_again_when_questions_are_many(queries: int) -> None:
    images = colours(90, 0)
    asked = asked_about(images, queries, seed=3)
    assert len(asked) == queries and asked.fingerprint == asked_about(images, queries, seed=3).fingerprint


def test_pictures_of_nothing_differ_and_can_be_drawn_again() -> None:
    one, same, other = (synthetic(600, 32, CLASSES, seed) for seed in (0, 0, 1))
    assert torch.equal(one.images[:], same.images[:]) and not torch.equal(one.images[:], other.images[:])
    pixels = one.images[:].float()
    assert one.images.size == 32 and len(one) == 600
    assert pixels.std(dim=(1, 2, 3)).min() > 10
    rough = (pixels[..., 1:] - pixels[..., :-1]).abs().mean()
    assert rough < 0.5 * (pixels - pixels.mean(dim=(2, 3), keepdim=True)).abs().mean()


@pytest.mark.parametrize("name", list(DISGUISES))
def test_disguises_keep_the_answer(name: str) -> None:
    scores = 4 * np.random.default_rng(0).normal(size=(50, 5))
    shown = DISGUISES[name](scores.copy(), 0)
    likeliest = shown if shown.ndim == 1 else shown.argmax(axis=1)
    assert (likeliest == scores.argmax(axis=1)).mean() > 0.9
    assert np.array_equal(shown, DISGUISES[name](scores.copy(), 0))


def test_a_run_that_was_made_is_not_repeated(victim: VisionModel, means: Means, tmp_path: Path) -> None:
    STEALING["hard-label"].run(victim, means)
    seen: list[str] = []
    told = Means(means.images, SPEC, queries=120, fit=FIT, report=lambda name, *_: seen.append(name))
    STEALING["hard-label"].run(victim, told)
    assert not seen


def test_a_generator_makes_pictures_that_the_student_tells_apart(victim: VisionModel) -> None:
    before = state_digest(victim.network)
    made = imagined(victim, 100, seed=1)
    assert made.dtype == torch.uint8 and made.shape == (100, 3, 32, 32)
    assert torch.equal(made, imagined(victim, 100, seed=1)) and not torch.equal(made, imagined(victim, 100, seed=2))
    assert state_digest(victim.network) == before
    said = softmax(victim.logits(made), axis=1)
    nothing = softmax(victim.logits(synthetic(100, 32, CLASSES, 1).images[:]), axis=1)
    assert (
        said.max(axis=1).mean() > nothing.max(axis=1).mean() and (np.bincount(said.argmax(1), minlength=3) > 10).all()
    )
    assert len(imagined(victim, 1, seed=1)) == 1


@pytest.mark.parametrize("side", [32, 50, 64])
def test_pictures_have_the_side_that_is_asked_for(side: int) -> None:
    pictures = Generator(side)(torch.randn(4, 128))
    assert pictures.shape == (4, 3, side, side) and pictures.min() >= 0 and pictures.max() <= 255


def test_a_generator_is_paid_for_sure_pictures_of_all_classes() -> None:
    sure_of_all, sure_of_one, unsure = torch.eye(3) * 9, torch.eye(3)[[0, 0, 0]] * 9, torch.zeros(3, 3)
    assert generator_loss(sure_of_all) < generator_loss(unsure) < generator_loss(sure_of_one)
