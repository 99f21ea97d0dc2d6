"""Figures of a score, and the traps that a lock must not fall into."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest
from sklearn.metrics import accuracy_score
from torch import nn

from spellward.locking.measuring.metrics import accuracy, least_likely_accuracy, probe_accuracy, share

CLASSES = 10


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 5000).flatmap(lambda count: st.tuples(st.integers(0, count), st.just(count))))
def test_interval_is_wilsons_for_any_count(pair: tuple[int, int]) -> None:
    hits, count = pair
    theirs, ours = binomtest(hits, count).proportion_ci(method="wilson"), share(hits, count)
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=1e-6)
    assert 0 <= ours.low <= ours.value <= ours.high <= 1 or ours.value == pytest.approx(ours.high)
    assert ours.value == hits / count and ours.count == count


def test_nothing_counted_is_no_accuracy() -> None:
    with pytest.raises(ValueError, match="at least one"):
        share(0, 0)


def test_accuracies_are_of_the_likeliest_and_the_least_likely_class() -> None:
    rng = np.random.default_rng(0)
    outputs, labels = rng.normal(size=(300, CLASSES)).astype(np.float32), rng.integers(0, CLASSES, 300)
    assert accuracy(outputs, labels).value == pytest.approx(accuracy_score(labels, outputs.argmax(1)))
    assert least_likely_accuracy(outputs, labels).value == pytest.approx(accuracy_score(labels, outputs.argmin(1)))
    assert accuracy(outputs, labels) == accuracy(5 * outputs - 3, labels)


def trained(targets: str) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Outputs on (probe images, labels, test images, labels) of a model taught something else than the truth.

    "wrong": in each epoch another random label that is not the true one. "uniform": all classes alike.
    """
    torch.manual_seed(0)
    labels = torch.arange(800) % CLASSES
    centres = 2 * torch.randn(CLASSES, 20)
    inputs = centres[labels] + torch.randn(800, 20)
    model = nn.Sequential(nn.Linear(20, 64), nn.ReLU(), nn.Linear(64, CLASSES))
    optimiser = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(150):
        wrong = (labels[:400] + torch.randint(1, CLASSES, (400,))) % CLASSES
        wanted = nn.functional.one_hot(wrong, CLASSES).float() if targets == "wrong" else torch.full((400, 10), 0.1)
        optimiser.zero_grad()
        (-(wanted * model(inputs[:400]).log_softmax(1)).sum(1).mean()).backward()
        optimiser.step()
    outputs = model(inputs).detach().numpy()
    truth = labels.numpy()
    return outputs[:400], truth[:400], outputs[400:], truth[400:]


def test_trap_a_model_taught_wrong_labels_knows_the_right_ones() -> None:
    outputs, labels, test_outputs, test_labels = trained("wrong")
    assert accuracy(test_outputs, test_labels).value < 0.05  # it looks locked
    assert least_likely_accuracy(test_outputs, test_labels).value > 0.9
    assert probe_accuracy(outputs, labels, test_outputs, test_labels).value > 0.9


def test_trap_nearly_uniform_outputs_still_tell_a_probe() -> None:
    outputs, labels, test_outputs, test_labels = trained("uniform")
    probabilities = torch.from_numpy(test_outputs).softmax(1)
    assert probabilities.max() < 0.2  # it looks locked
    assert probe_accuracy(outputs, labels, test_outputs, test_labels).low > 0.1  # better than chance


def test_a_probe_of_noise_stays_near_chance() -> None:
    rng = np.random.default_rng(1)
    labels, test_labels = rng.integers(0, CLASSES, 300), rng.integers(0, CLASSES, 1000)
    noise = probe_accuracy(rng.normal(size=(300, 10)), labels, rng.normal(size=(1000, 10)), test_labels)
    assert 0.05 < noise.value < 0.15
    constant = probe_accuracy(np.ones((300, 10)), labels, np.ones((1000, 10)), test_labels)
    assert constant.value < 0.16


def test_a_probe_makes_do_with_little() -> None:
    one_class = probe_accuracy(np.ones((3, 2)), np.array([1, 1, 1]), np.ones((4, 2)), np.array([1, 1, 0, 1]))
    assert one_class.value == 0.75
    singles = probe_accuracy(np.eye(3), np.arange(3), np.eye(3), np.arange(3))  # too few for cross-validation
    assert singles.value == 1.0
    same = [probe_accuracy(*trained("uniform"), seed=3) for _ in range(2)]
    assert same[0] == same[1]
