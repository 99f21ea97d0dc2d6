"""Suggestions: measures that see what an edit does, a forecast that is arithmetic, a ranking by distance."""

from __future__ import annotations

import os
from dataclasses import fields, replace
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
from spellward.locking.suggest import suggest
from spellward.locking.suggesting.candidates import STRENGTHS, VOCABULARY, Candidate, candidate_prompts, candidates
from spellward.locking.suggesting.forecast import GAINS, INPUTS, Line, forecast
from spellward.locking.suggesting.spell_bench import SHOWN, SpellBench, SpellMeasures, _probed
from spellward.locking.training.decoys import DECOY_PROMPTS
from spellward.locking.training.recipe import DEFAULT_RECIPE, RECIPES
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


SEEN = SpellMeasures(0.3, 0.98, 0.6, 0.4, 0.0, 0.4, 0.07, 0.95, 3.0)
STRONG = SpellMeasures(0.9, 0.9, 0.2, 1.2, 0.0, 1.0, 0.25, 0.6, 3.0)


@pytest.fixture(scope="module")
def bench() -> SpellBench:
    table = coloured(90, 0)
    return SpellBench(table, load_model("bundled", table.classes, 32), Wrecker(), images=90)


def test_measures_see_what_an_edit_does(bench: SpellBench) -> None:
    nothing, tint, noise = (bench.measure(Candidate(prompt, 1.0))[0] for prompt in ("nothing", "tint", "noise"))
    assert bench.known > 0.9
    assert (nothing.kept, nothing.crossed, nothing.change, nothing.distance) == pytest.approx((1, 1, 0, 0))
    assert nothing.edges == pytest.approx(1.0)
    assert tint.kept > 0.9 > 0.6 > noise.kept
    assert tint.distance > 0 and tint.change < noise.change
    assert tint.edges > 0.9 > noise.edges
    assert tint.salted == pytest.approx(0, abs=1e-6)  # this editor knows no salts
    assert 0.2 < bench.chance < 0.5
    assert noise.milliseconds > 0


def test_halves_that_tell_nothing_count_for_nothing() -> None:
    views, labels = np.eye(4)[[0, 0, 1, 1]], np.array([0, 0, 1, 1])
    halves = np.array([[0, 1, 0, 1], [0, 0, 1, 1]])  # the second has one class on either side
    assert _probed(views, [views], labels, halves) == [1.0]


def test_measuring_twice_gives_the_same(bench: SpellBench) -> None:
    first, second = (bench.measure(Candidate("tint", 1.0)) for _ in range(2))
    assert replace(first[0], milliseconds=0.0) == replace(second[0], milliseconds=0.0)
    assert np.array_equal(first[1], second[1]) and first[2].shape == (SHOWN, 3, 32, 32)


def test_a_weaker_blend_changes_less_and_is_recorded(bench: SpellBench) -> None:
    weak, strong = (bench.measure(Candidate("noise", strength))[0] for strength in (0.2, 0.9))
    assert (weak.strength, strong.strength) == (0.2, 0.9)
    assert weak.change < strong.change and weak.distance < strong.distance and weak.crossed > strong.crossed


@pytest.mark.parametrize("recipe", ["", *RECIPES])
def test_the_forecast_scales_with_what_is_known_and_stays_a_share(recipe: str) -> None:
    little, much, all_there_is = (forecast(SEEN, known, 0.05, recipe) for known in (0.5, 0.7, 50.0))
    assert much.up == pytest.approx(little.up * 0.7 / 0.5)
    assert all_there_is.up == 1.0 and all_there_is.lp <= 1.0
    assert forecast(SEEN, 0.0, 0.13, recipe).up == 0.13  # nobody does worse than guessing
    assert much.error > 0 and much.margin == much.up - much.lp


@pytest.mark.parametrize("recipe", ["", "edited-only"])
def test_spells_that_keep_the_content_are_forecast_a_higher_up(recipe: str) -> None:
    weak, strong = (forecast(seen, 0.75, 0.1, recipe) for seen in (SEEN, STRONG))
    assert weak.up > strong.up + 0.02 and weak.lp == strong.lp and weak.margin > strong.margin


def test_a_line_is_a_mean_with_slopes_around_the_centres() -> None:
    line = Line(0.5, (1.0, 2.0), (0.1, -0.2))
    assert line.at((1.0, 2.0)) == 0.5
    assert line.at((2.0, 4.0)) == pytest.approx(0.5 + 0.1 - 0.4)
    assert set(INPUTS) <= {one.name for one in fields(SpellMeasures)}


def test_decoys_are_forecast_to_leave_chance_and_the_gain_is_the_recipes() -> None:
    default, published = forecast(SEEN, 0.7, 0.13), forecast(SEEN, 0.7, 0.13, "edited-only")
    assert default.lp == 0.13 and published.lp > 0.13
    assert default.up == published.up and default.margin > published.margin
    assert default == forecast(SEEN, 0.7, 0.13, DEFAULT_RECIPE)
    assert default.gain == GAINS[DEFAULT_RECIPE] and published.gain is None


def test_own_spells_are_looked_at_with_every_strength_and_others_take_turns() -> None:
    found = candidates(["a dragon", "a dragon"], 7, seed=3)
    assert found[: len(STRENGTHS)] == [Candidate("a dragon", strength) for strength in STRENGTHS]
    others = found[len(STRENGTHS) :]
    assert len({one.prompt for one in others}) == 6
    assert [one.strength for one in others] == [*STRENGTHS, STRENGTHS[0]]
    assert [one.strength for one in candidates((), 3, strengths=(0.4,))] == [0.4] * 3


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


def test_suggest_ranks_by_the_forecast_and_keeps_spells_to_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    spell = "zanzibar quicksilver brocade"
    steps: list[tuple[int, int]] = []
    found, clean = suggest(
        tiny_splits(60, 20),
        given=[spell],
        count=2,
        strengths=(0.3, 0.8),
        input_size=32,
        report=lambda _, done, total: steps.append((done, total)),
    )
    margins = [one.forecast.margin for one in found]
    assert margins == sorted(margins, reverse=True) and len(set(margins)) > 1
    assert [one.measures.strength for one in found if one.prompt == spell].count(0.8) == 1 and len(found) == 3
    assert clean.shape == (SHOWN, 3, 64, 64) and steps[-1] == (3, 3)
    assert all(one.measures.apart > 0 for one in found)
    for folder, _, files in os.walk(cache_root()):
        for name in files:
            assert spell.encode() not in (Path(folder) / name).read_bytes()
