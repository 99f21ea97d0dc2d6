from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest
from tests.models.test_fit import QUICK
from tests.models.tiny import TinyExamples, tiny_model

from spellward.models import VisionModel, fit, state_digest


def test_patience_stops_and_restores_the_best(tmp_path: Path) -> None:
    model, scores, digests = tiny_model(), iter([0.2, 0.6, 0.5, 0.4, 0.9]), []

    def validate(trained: VisionModel) -> float:
        digests.append(state_digest(trained.network))
        return next(scores)

    result = fit(model, TinyExamples(), replace(QUICK, epochs=5, patience=2), folder=tmp_path, validate=validate)
    assert result.scores == (0.2, 0.6, 0.5, 0.4)
    assert result.epochs == 4
    assert state_digest(model.network) == digests[1]


def test_a_run_killed_after_it_stopped_early_stays_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = replace(QUICK, epochs=6, patience=1)
    scores = {0: 0.6, 1: 0.5, 2: 0.9}

    def run(folder: Path, seed: int) -> VisionModel:
        model, left = tiny_model(seed), dict(scores)
        fit(model, TinyExamples(), settings, folder=folder, validate=lambda _: left.pop(min(left)))
        return model

    whole = run(tmp_path / "whole", 0)
    with monkeypatch.context() as patch:
        patch.setattr(sys.modules["spellward.models.fit"], "FitResult", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            run(tmp_path / "killed", 0)
    scores = {2: 0.9}
    assert state_digest(run(tmp_path / "killed", 5).network) == state_digest(whole.network)


def test_without_patience_the_last_weights_stay(tmp_path: Path) -> None:
    digests: list[str] = []
    model = tiny_model()

    def validate(trained: VisionModel) -> float:
        digests.append(state_digest(trained.network))
        return -float(len(digests))

    assert fit(model, TinyExamples(), QUICK, folder=tmp_path, validate=validate).scores == (-1, -2, -3)
    assert state_digest(model.network) == digests[-1]
