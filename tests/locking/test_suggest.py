"""Suggestions: measures that see what an edit does, a forecast that is arithmetic, a ranking by distance."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.attacks.unlocking.conftest import coloured
from tests.locking.conftest import tiny_splits
from torch import Tensor

from spellward.artifacts import CACHE_VARIABLE, cache_root
from spellward.attacks.unlocking.dictionary import DICTIONARY
from spellward.editors.base import Editor, EditSettings
from spellward.errors import DataError
from spellward.locking.candidates import VOCABULARY, candidate_prompts
from spellward.locking.decoys import DECOY_PROMPTS
from spellward.locking.forecast import GAINS, forecast
from spellward.locking.recipe import DEFAULT_RECIPE, RECIPES
from spellward.locking.suggest import SHOWN, SpellBench, suggest
from spellward.models import load_model


class Wrecker(Editor):
    """Does as it is told: nothing, a tint, or grey noise that leaves no content."""

    name = "wrecker"
    defaults = EditSettings(steps=1, guidance=1.0, image_guidance=1.0, strength=1.0)

    def _edit(
        self, images: Tensor, prompts: list[str], seed: int, salts: list[bytes | None], settings: EditSettings
    ) -> Tensor:
        if prompts[0] == "noise":
            noise = torch.randint(0, 256, (1, 1, *images.shape[2:]), generator=torch.Generator().manual_seed(0))
            return noise.expand(len(images), 3, -1, -1).to(torch.uint8)
        return images // 2 + 60 if prompts[0] == "tint" else images

    def fingerprint(self) -> str:
        return "wrecker"


@pytest.fixture(scope="module")
def bench() -> SpellBench:
    table = coloured(90, 0)
    return SpellBench(table, load_model("bundled", table.classes, 32), Wrecker(), images=90)


def test_measures_see_what_an_edit_does(bench: SpellBench) -> None:
    nothing, tint, noise = (bench.measure(prompt)[0] for prompt in ("nothing", "tint", "noise"))
    assert bench.known > 0.9
    assert (nothing.kept, nothing.crossed, nothing.change, nothing.distance) == pytest.approx((1, 1, 0, 0))
    assert nothing.edges == pytest.approx(1.0)
    assert tint.kept > 0.9 > 0.6 > noise.kept
    assert tint.distance > 0 and tint.change < noise.change
    assert tint.edges > 0.9 > noise.edges
    assert tint.salted == pytest.approx(0, abs=1e-6)  # this editor knows no salts
    assert 0.2 < bench.chance < 0.5
    assert noise.milliseconds > 0


def test_measuring_twice_gives_the_same(bench: SpellBench) -> None:
    first, second = (bench.measure("tint") for _ in range(2))
    assert replace(first[0], milliseconds=0.0) == replace(second[0], milliseconds=0.0)
    assert np.array_equal(first[1], second[1]) and first[2].shape == (SHOWN, 3, 32, 32)


@pytest.mark.parametrize("recipe", ["", *RECIPES])
def test_the_forecast_scales_with_what_is_known_and_stays_a_share(recipe: str) -> None:
    little, much, all_there_is = (forecast(known, 0.13, recipe) for known in (0.3, 0.7, 5.0))
    assert much.up == pytest.approx(little.up * 0.7 / 0.3)
    assert all_there_is.up == 1.0 and all_there_is.lp <= 1.0
    assert much.error > 0 and much.margin == much.up - much.lp


def test_decoys_are_forecast_to_leave_chance_and_the_gain_is_the_recipes() -> None:
    default, published = forecast(0.7, 0.13), forecast(0.7, 0.13, "edited-only")
    assert default.lp == 0.13 and published.lp > 0.13
    assert default.up == published.up
    assert default == forecast(0.7, 0.13, DEFAULT_RECIPE)
    assert default.gain == GAINS[DEFAULT_RECIPE] and published.gain is None


def test_candidates_begin_with_the_users_own_and_never_repeat() -> None:
    own = ["a dragon", "a dragon", " ", VOCABULARY[0]]
    chosen = candidate_prompts(own, 20, seed=3)
    assert chosen[:2] == ["a dragon", VOCABULARY[0]] and len(chosen) == len(set(chosen)) == 20
    assert sum(prompt in VOCABULARY for prompt in chosen) > 10
    assert candidate_prompts(own, 20, seed=3) == chosen != candidate_prompts(own, 20, seed=4)
    assert candidate_prompts(own, 1) == chosen[:2]
    assert len(set(VOCABULARY)) == len(VOCABULARY) >= 60
    assert not set(VOCABULARY) & {*DECOY_PROMPTS, *DICTIONARY}
    with pytest.raises(DataError):
        candidate_prompts((), 0)
    assert all("with a" in prompt for prompt in candidate_prompts(count=10, editor="object"))


def test_suggest_ranks_by_distance_and_keeps_spells_to_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    spell = "zanzibar quicksilver brocade"
    steps: list[tuple[int, int]] = []
    found, clean = suggest(
        tiny_splits(60, 20),
        given=[spell],
        count=3,
        input_size=32,
        report=lambda _, done, total: steps.append((done, total)),
    )
    apart = [one.measures.apart for one in found]
    assert apart == sorted(apart, reverse=True) and len(set(apart)) > 1
    assert spell in {one.prompt for one in found} and len(found) == 3
    assert clean.shape == (SHOWN, 3, 64, 64) and steps[-1] == (3, 3)
    assert all(one.measures.apart > 0 for one in found)
    for folder, _, files in os.walk(cache_root()):
        for name in files:
            assert spell.encode() not in (Path(folder) / name).read_bytes()
