"""Channels: what a suspect tells is recognised, and everybody else brought to the same."""

from __future__ import annotations

import numpy as np
import pytest
from tests.ownership.simulator import softmax, world

from spellward.ownership.answers.channel import Channel, listen, on_equal_terms


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        (lambda scores: scores, "full"),
        (softmax, "full"),
        (lambda scores: softmax(scores).astype(np.float32).astype(float), "full"),
        (lambda scores: np.round(softmax(scores), 3), "rounded"),
        (lambda scores: np.round(softmax(scores), 2), "rounded"),
        (lambda scores: np.maximum(softmax(5 * scores), 1e-4), "clipped"),
        (lambda scores: np.eye(10)[scores.argmax(axis=1)], "label"),
        (lambda scores: 100 * softmax(scores), "full"),
        (lambda scores: np.round(100 * softmax(scores), 1), "rounded"),
        (lambda scores: np.where(scores >= np.sort(scores)[:, -4, None], 100 * softmax(scores), 0), "top"),
        (lambda scores: np.where(scores >= np.sort(scores)[:, -4, None], softmax(scores), 0), "top"),
        (lambda scores: np.where(scores >= np.sort(scores)[:, -4, None], scores, -np.inf), "top"),
    ],
)
def test_what_a_suspect_tells_is_recognised(change, kind: str) -> None:  # type: ignore[no-untyped-def]
    assert listen(change(world().victim)).channel.kind == kind


@pytest.mark.parametrize("scale", [0.1, 1.0, 7.0])
def test_a_rescaled_and_rounded_copy_meets_its_victim_again(scale: float) -> None:
    victim = world().victim
    suspect = np.round(softmax(scale * victim), 3)
    (ours, theirs), channel = on_equal_terms([listen(victim), listen(suspect)])
    assert channel == Channel("rounded", 0.0005, 3)
    assert np.mean(np.abs(ours - theirs) < 0.02) > 0.97


def test_two_classes_tell_no_more_than_the_likeliest_one() -> None:
    scores = world().victim
    pair = np.where(scores >= np.sort(scores)[:, -2, None], softmax(scores), 0)
    (ours, theirs), channel = on_equal_terms([listen(world(seed=1).victim), listen(pair)])
    assert channel.kind == "label" and set(np.unique(theirs)) == set(np.unique(ours)) == {0.0, 1.0}
