"""Weights as evidence, from a public base to a verdict: what a claim keeps, what thieves and others get."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file
from tests.ownership.claims import FIT, SETTINGS, SIDE, SPEC, write_photos

from spellward.data import load_splits, prepare
from spellward.errors import ArtifactError
from spellward.models import VisionModel, load_model, save_checkpoint
from spellward.ownership.claim import Claim, create_claim
from spellward.ownership.evidence.references import fine_tuned
from spellward.ownership.verify import verify
from spellward.ownership.weights.sample import WEIGHTS_FILE, load_weights, origin_of, save_weights
from spellward.reports.claim_report import render


@pytest.fixture(scope="module")
def base(cached: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A public checkpoint that owner and others start from."""
    photos = write_photos(tmp_path_factory.mktemp("public") / "photos", seed=9)
    folder = tmp_path_factory.mktemp("base") / "model"
    table = prepare(load_splits(photos).train, SIDE)
    save_checkpoint(fine_tuned(SPEC, table, SIDE, replace(FIT, seed=9), "Base"), folder)
    return str(folder)


def tuned(base: str, photos: Path, seed: int) -> VisionModel:
    return fine_tuned(base, prepare(load_splits(photos).train, SIDE), SIDE, replace(FIT, seed=seed), "Model")


@pytest.fixture(scope="module")
def owned(base: str, photos: Path, cached: Path) -> VisionModel:
    return tuned(base, photos, 77)


@pytest.fixture(scope="module")
def weighty(owned: VisionModel, base: str, photos: Path, cached: Path) -> Claim:
    settings = replace(SETTINGS, references=6, bases=(base,))
    return create_claim(owned, photos, cached.parent / "weighty-claim", settings=settings)


def other_answers(model: VisionModel) -> VisionModel:
    """The same body under a head that answers as it pleases."""
    thief = model.copy()
    head = thief.network.get_submodule(thief.head)
    with torch.no_grad():
        head.weight.normal_(generator=torch.Generator().manual_seed(3))
    return thief


def other_task(model: VisionModel) -> VisionModel:
    thief = model.copy()
    name = thief.head.rpartition(".")
    head = thief.network.get_submodule(thief.head)
    thief.network.get_submodule(name[0]).__setattr__(name[2], torch.nn.Linear(head.in_features, 5))
    thief.classes = tuple("abcde")
    return thief


def other_names(model: VisionModel) -> VisionModel:
    """Every weight under another name."""
    thief = model.copy()
    thief.network, thief.head = torch.nn.Sequential(thief.network), f"0.{thief.head}"
    return thief


@pytest.mark.parametrize("change", [other_answers, other_task, other_names])
def test_a_stolen_body_is_found_whatever_it_answers(
    change: Callable[[VisionModel], VisionModel], weighty: Claim, owned: VisionModel
) -> None:
    verdict = verify(weighty, change(owned))
    assert verdict.verdict == "stolen" and verdict.weights is not None and verdict.weights.found
    assert verdict.p_value is not None and verdict.p_value < verdict.alpha == weighty.commitment.alpha
    if change is not other_names:  # that one is found by its answers already
        assert verdict.channel == "weights" and verdict.effect == verdict.weights.effect == pytest.approx(1, abs=1e-3)
        assert "Its weights" in render(weighty, verdict, "thief")


def test_others_with_the_same_base_are_not_accused(weighty: Claim, base: str, tmp_path: Path) -> None:
    photos = write_photos(tmp_path / "photos of another owner", seed=1)
    for seed in (101, 102, 103):
        verdict = verify(weighty, tuned(base, photos, seed))
        assert verdict.weights is not None and not verdict.weights.found and verdict.verdict != "stolen"
    verdict = verify(weighty, load_model(base, ("red", "green", "blue"), SIDE, 0))
    assert verdict.weights is not None and not verdict.weights.found


def test_where_no_weights_are_seen_answers_are_judged_alone(weighty: Claim, owned: VisionModel) -> None:
    asked = verify(weighty, owned.logits)
    # A null from six small references may accuse one of them, too, or be too wide for a copy, by the machine.
    assert asked.verdict == "stolen" or "controls" in asked.reason or "Not even" in asked.reason
    assert asked.weights is None and asked.effect == pytest.approx(1) and asked.alpha == weighty.commitment.alpha
    other = load_model("bundled?random", owned.classes, SIDE, 1)
    broken = owned.copy()
    with torch.no_grad():
        next(iter(broken.network.parameters())).fill_(float("nan"))
    for suspect in (other, broken):
        assert verify(weighty, suspect).weights is None
    assert verify(weighty, owned, method="agreement").weights is None


def test_a_claim_without_a_public_base_keeps_no_weights(claim: Claim, victim: VisionModel) -> None:
    assert claim.weights is None and not (claim.folder / WEIGHTS_FILE).exists()
    assert claim.alpha == claim.commitment.alpha
    origin = origin_of(victim, ("bundled", SPEC), 0)  # another architecture, and one that draws random weights
    assert origin is not None and origin.base == SPEC == claim.commitment.base and origin.weights is None


def test_a_victim_from_elsewhere_has_no_base(victim: VisionModel, base: str) -> None:
    assert origin_of(victim, (base,), 0) is None


def test_the_sample_hangs_on_its_seed_and_is_read_back(weighty: Claim, owned: VisionModel, base: str) -> None:
    assert weighty.weights is not None and len(weighty.weights.references) == 6
    origins = [origin_of(owned, (SPEC, base), seed) for seed in (SETTINGS.seed, SETTINGS.seed + 1)]
    again, other = (None if one is None else one.weights for one in origins)
    assert again is not None and other is not None
    assert [one.base for one in origins if one is not None] == [base, base]
    for mine, theirs in zip(weighty.weights.victim, again.victim, strict=True):
        assert np.array_equal(mine, theirs)
    assert any(not np.array_equal(mine, theirs) for mine, theirs in zip(again.rows, other.rows, strict=True))


def test_weights_that_were_altered_are_refused(weighty: Claim, owned: VisionModel, tmp_path: Path) -> None:
    shutil.copytree(weighty.folder, tmp_path / "claim")
    path = tmp_path / "claim" / WEIGHTS_FILE
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(ArtifactError, match="altered"):
        verify(tmp_path / "claim", owned)


@pytest.mark.parametrize(
    "change",
    [
        lambda arrays: arrays.pop("rows/0"),
        lambda arrays: arrays.pop("shapes"),
        lambda arrays: arrays.update({"rows/0": arrays["rows/0"] + 10_000}),
        lambda arrays: arrays.update({"victim/0": arrays["victim/0"][:-1]}),
        lambda arrays: arrays.update({"base/0": arrays["base/0"] * np.float32("nan")}),
        lambda arrays: arrays.update({"victim/0": arrays["victim/0"].astype(np.float64)}),
        lambda arrays: arrays.update({"stranger/0": arrays["victim/0"]}),
    ],
)
def test_foreign_files_are_refused(change: Callable[[dict[str, np.ndarray]], object], weighty: Claim) -> None:
    assert weighty.weights is not None
    path = weighty.folder.parent / WEIGHTS_FILE
    save_weights(weighty.weights, path)
    assert len(load_weights(path).references) == 6
    arrays = load_file(str(path))
    change(arrays)
    save_file(arrays, str(path))
    with pytest.raises(ArtifactError, match="no weights of a claim"):
        load_weights(path)
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(ArtifactError, match="no weights of a claim"):
        load_weights(path)
