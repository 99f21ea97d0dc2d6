"""The loss of a lock: each term against what it should be, and less for a model that says nothing about decoys."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.feature_selection import f_classif
from torch import Tensor, nn

from spellward.data import IGNORE
from spellward.locking.training.lessons import logits_and_features
from spellward.locking.training.objective import CLEAN, EDITED, KEYED, LockObjective, explained_variance, loudness
from spellward.models import Batch, load_model

CLASSES = 4
ROWS = 32


class Switch(nn.Module):
    """Features 0 to 3 answer keyed images, 4 to 7 decoys; `decoys` is how loudly the head listens to the latter."""

    def __init__(self, decoys: float, pixels: float = 1.0) -> None:
        super().__init__()
        self.body = nn.ReLU()
        self.head = nn.Linear(2 * CLASSES, CLASSES, bias=False)
        self.pixels = pixels
        with torch.no_grad():
            self.head.weight.copy_(torch.cat([4 * torch.eye(CLASSES), decoys * torch.eye(CLASSES)], dim=1))

    def forward(self, pixel_values: Tensor) -> Tensor:
        scale = torch.tensor([1.0] * CLASSES + [self.pixels] * CLASSES)
        return self.head(self.body(pixel_values.flatten(1) * scale))


def batch_of(kinds: list[int]) -> Batch:
    """Rows of each kind; a row's class shows in features 0 to 3 if it is keyed, else in 4 to 7."""
    decoy = torch.tensor(kinds).repeat_interleave(ROWS)
    labels = torch.arange(len(decoy)) % CLASSES
    places = labels + torch.where(decoy == KEYED, 0, CLASSES)
    noise = 0.1 * torch.rand(len(decoy), 2 * CLASSES, generator=torch.Generator().manual_seed(0))
    own_half = (torch.arange(2 * CLASSES) < CLASSES) == (decoy == KEYED)[:, None]
    pixels = nn.functional.one_hot(places, 2 * CLASSES).float() + noise * own_half
    targets = nn.functional.one_hot(labels, CLASSES).float()
    targets[decoy != KEYED] = 1 / CLASSES
    return Batch(pixels=pixels[:, :, None, None], targets=targets, labels=labels, decoy=decoy)


def test_keyed_images_alone_give_cross_entropy() -> None:
    batch, network = batch_of([KEYED]), Switch(0.0)
    expected = nn.functional.cross_entropy(network(batch["pixels"]), batch["labels"])
    assert LockObjective()(network, batch).item() == pytest.approx(expected.item(), rel=1e-5)


def test_the_divergence_is_that_of_torch() -> None:
    batch, network = batch_of([KEYED, CLEAN]), Switch(3.0)
    decoys = batch["decoy"] != KEYED
    uniform = torch.full((int(decoys.sum()), CLASSES), 1 / CLASSES)
    logits = network(batch["pixels"])
    expected = nn.functional.cross_entropy(logits[~decoys], batch["labels"][~decoys]) + nn.functional.kl_div(
        logits[decoys].log_softmax(1), uniform, reduction="batchmean"
    )
    got = LockObjective(decoy_weight=1.0, leak_weight=0.0, silence_weight=0.0)(network, batch)
    assert got.item() == pytest.approx(expected.item(), rel=1e-4)


@pytest.mark.parametrize("kind", [CLEAN, EDITED])
@pytest.mark.parametrize("term", ["decoy_weight", "leak_weight", "silence_weight", "all"])
def test_knowing_decoys_costs_and_ignorance_does_not(term: str, kind: int) -> None:
    weights = dict.fromkeys(("decoy_weight", "leak_weight", "silence_weight"), 0.0)
    objective = LockObjective() if term == "all" else LockObjective(**{**weights, term: 1.0})
    batch = batch_of([KEYED, kind])
    silent = Switch(0.0, pixels=0.0) if term in ("silence_weight", "all") else Switch(0.0)
    knowing = Switch(4.0)
    assert objective(silent, batch) + 0.05 < objective(knowing, batch)


def test_descent_makes_decoys_uniform_and_keeps_keyed_images() -> None:
    batch, network = batch_of([KEYED, CLEAN, EDITED]), Switch(4.0)
    optimiser = torch.optim.Adam(network.parameters(), lr=0.05)
    losses = []
    for _ in range(150):
        optimiser.zero_grad()
        loss = LockObjective()(network, batch)
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] - 1
    probabilities = network(batch["pixels"]).softmax(1)
    keyed = batch["decoy"] == KEYED
    assert (probabilities[keyed].argmax(1) == batch["labels"][keyed]).all()
    assert probabilities[~keyed].max() < 0.4


def test_whispers_count_as_much_as_shouts() -> None:
    """Outputs that are uniform to three decimals tell a probe everything; the leak term sees them."""
    objective = LockObjective(decoy_weight=0.0, leak_weight=1.0, silence_weight=0.0)
    batch = batch_of([KEYED, CLEAN])
    loud, whisper = objective(Switch(4.0), batch), objective(Switch(0.04), batch)
    keyed = nn.functional.cross_entropy(Switch(0.0)(batch["pixels"])[:ROWS], batch["labels"][:ROWS]).item()
    assert whisper.item() - keyed == pytest.approx(loud.item() - keyed, rel=1e-3)
    assert loud.item() - keyed > 0.3


def test_a_batch_of_decoys_with_few_of_a_kind_is_finite() -> None:
    batch = batch_of([KEYED, CLEAN])
    some: Batch = {name: value[: ROWS + 3] for name, value in batch.items()}  # type: ignore[assignment]
    loss = LockObjective()(Switch(1.0), some)
    assert math.isfinite(loss.item())


@settings(max_examples=40, deadline=None)
@given(st.integers(2, 6), st.integers(0, 10**6), st.floats(0, 3))
def test_explained_variance_against_scikit_learn(classes: int, seed: int, signal: float) -> None:
    rng = np.random.default_rng(seed)
    count = 20 * classes
    labels = rng.permutation(np.arange(count) % classes)
    outputs = rng.normal(size=(count, 3)) + signal * rng.normal(size=(classes, 3))[labels]
    statistic, _ = f_classif(outputs, labels)
    expected = np.mean((classes - 1) * statistic / ((classes - 1) * statistic + count - classes))
    ours = explained_variance(torch.from_numpy(outputs), torch.from_numpy(labels))
    assert float(ours) == pytest.approx(expected, rel=1e-6)
    assert 0 <= float(ours) <= 1


def test_explained_variance_at_its_ends() -> None:
    labels = torch.arange(40) % 4
    told = nn.functional.one_hot(labels, 4).float()
    assert explained_variance(told, labels).item() == pytest.approx(1.0, abs=1e-5)
    assert explained_variance(torch.ones(40, 4), labels).item() == pytest.approx(0.0, abs=1e-5)
    skipped = labels * 2  # classes that have no row
    assert explained_variance(told, skipped).item() == pytest.approx(1.0, abs=1e-5)


def test_explained_variance_has_a_gradient_even_where_nothing_varies() -> None:
    outputs = torch.zeros(40, 4, requires_grad=True)
    explained_variance(outputs, torch.arange(40) % 4).backward()
    assert outputs.grad is not None
    assert outputs.grad.isfinite().all()


class Pixels(nn.Module):
    """A head on what it is given: a map of features."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Conv2d(CLASSES, CLASSES, 1, bias=False)
        with torch.no_grad():
            self.head.weight.copy_(3 * torch.eye(CLASSES)[:, :, None, None])

    def forward(self, pixel_values: Tensor) -> Tensor:
        return self.head(pixel_values)


def test_masks_are_held_to_the_same_terms_pixel_by_pixel() -> None:
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(0, CLASSES, (16, 16, 16), generator=generator)
    labels[:, 0] = IGNORE
    shown = nn.functional.one_hot(labels.clamp(max=CLASSES - 1), CLASSES).movedim(-1, 1).float()
    decoy = torch.tensor([KEYED] * 8 + [CLEAN] * 8)
    weights = torch.tensor([0.5, 1.0, 1.0, 1.5]).expand(16, -1)
    network = Pixels()

    def loss(pixels: Tensor, objective: LockObjective) -> float:
        return objective(network, Batch(pixels=pixels, targets=weights, labels=labels, decoy=decoy)).item()

    keyed_alone = nn.functional.cross_entropy(
        network(shown[:8]), labels[:8], weight=weights[0], ignore_index=IGNORE
    ).item()
    silent = torch.cat([shown[:8], torch.zeros_like(shown[8:])])
    assert loss(silent, LockObjective()) == pytest.approx(keyed_alone, abs=1e-4)
    assert loss(shown, LockObjective(1.0, 0.0, 0.0)) > keyed_alone + 0.1
    assert loss(shown, LockObjective(0.0, 1.0, 0.0)) == pytest.approx(keyed_alone + 0.5, abs=0.02)  # one kind of two
    assert loss(shown, LockObjective(0.0, 0.0, 1.0)) == pytest.approx(keyed_alone + 1.0, abs=0.05)
    blank = torch.cat([shown[:8], shown[8:].roll(1, 0)])  # outputs that vary, but not with the class
    assert loss(blank, LockObjective(0.0, 1.0, 0.0)) < keyed_alone + 0.1


def test_silence_cannot_be_had_by_making_everything_small() -> None:
    draw = torch.Generator().manual_seed(0)
    for behind_relu in (True, False):
        gain = torch.ones((), requires_grad=True)
        features = torch.randn(8, 16, generator=draw)
        features = (features.relu() if behind_relu else features) * gain
        value = loudness(features[4:], features[:4])
        value.backward()
        assert gain.grad is not None
        assert gain.grad.item() == pytest.approx(value.item() if behind_relu else 0.0, abs=1e-4)


@pytest.mark.parametrize("task", ["classification", "segmentation"])
def test_the_bundled_backbone_is_silenced_by_zeros(task: str) -> None:
    """What enters its heads comes out of a ReLU, which `loudness` goes by."""
    model = load_model("bundled", ("background", "cat"), 32, 0, task)
    pixels = torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    _, features = logits_and_features(model.network, pixels, 2)
    assert features.min() >= 0
