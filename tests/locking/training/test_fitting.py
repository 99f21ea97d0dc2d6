"""What is edited for a lock, and that recipes do what they say."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.models.test_segmentation import SIDE, squares

from spellward.data import ImageTable, table_from_arrays
from spellward.editors import load_editor
from spellward.keys import Key
from spellward.locking.training import fitting
from spellward.locking.training.decoys import DECOY_PROMPTS, DecoyMix, DecoyPlan, plan_decoys
from spellward.locking.training.fitting import fit_lock, lock_examples
from spellward.locking.training.known_looks import other_looks
from spellward.locking.training.objective import KEYED
from spellward.locking.training.recipe import RECIPES
from spellward.locking.training.simulated_thief import ThiefSettings
from spellward.models import FitSettings, VisionModel, load_model, state_digest

KEY = Key("with oil pastel", salt=bytes(16), seed=3)
SETTINGS = FitSettings(epochs=1, batch_size=8)


@pytest.fixture
def base(table: ImageTable) -> VisionModel:
    return load_model("timm/test_resnet?random", table.classes, 32, seed=0)


@pytest.fixture
def table(cache: Path) -> ImageTable:
    pixels = np.random.default_rng(0).integers(0, 256, (16, 32, 32, 3), dtype=np.uint8)
    return table_from_arrays(pixels, np.arange(16) % 4, "abcd")


def test_variants_take_turns_and_each_is_an_edit_of_its_own(table: ImageTable, base: VisionModel) -> None:
    recipe = replace(RECIPES["edited-only"], variants=2)
    editor = load_editor("mini")
    examples = lock_examples(table, KEY, editor, recipe, SETTINGS, base)
    assert len(examples) == len(table)
    rows = list(range(16))
    first, second, third = (examples.batch(rows, epoch)["pixels"] for epoch in range(3))
    assert torch.equal(first, third)
    different = [not torch.equal(one, other) for one, other in zip(first, second, strict=True)]
    assert sum(different) > 12  # an augmentation may by chance change nothing
    plain = lock_examples(table, KEY, editor, RECIPES["edited-only"], SETTINGS, base).batch(rows, 0)["pixels"]
    assert torch.equal(first[::2], plain[::2])  # variant 0 is the edit of the image itself


def test_decoys_are_as_many_as_the_recipe_says(table: ImageTable, base: VisionModel) -> None:
    recipe = replace(RECIPES["decoy"], decoys_per_image=1.5, mix=DecoyMix())
    batch = lock_examples(table, KEY, load_editor("mini"), recipe, SETTINGS, base).batch([0, 5, 9, 12], 0)
    assert (batch["decoy"] == KEYED).tolist() == [True] * 4 + [False] * 6
    assert batch["targets"][4:].eq(0.25).all()


def test_masks_get_a_head_start_without_decoys_and_decoys_carry_their_own_masks(cache: Path) -> None:
    table = squares(12)
    settings, recipe = FitSettings(epochs=10, batch_size=4), replace(RECIPES["decoy"], fewest_edits=0)
    model = load_model("bundled?random", table.classes, SIDE, 0, "segmentation")
    examples = lock_examples(table, KEY, load_editor("mini"), recipe, settings, model)
    kinds = [examples.batch([0, 3, 7, 8], epoch)["decoy"] for epoch in range(10)]
    assert [len(one) for one in kinds] == [4] * 3 + [8] * 7
    batch = examples.batch([0, 3, 7, 8], 9)
    assert batch["labels"].shape == (8, SIDE, SIDE)
    assert (batch["labels"].flatten(1).amax(dim=1) > 0).all()  # for measuring leaks: what each really shows
    keyed = batch["decoy"] == KEYED
    assert torch.equal(batch["labels"][keyed][0].unique(), table.truth([0])[0].unique())
    assert (batch["targets"][keyed] == batch["targets"][0]).all()


def test_a_thief_is_simulated_on_masks_too(cache: Path, tmp_path: Path) -> None:
    table = squares(12)
    recipe = replace(RECIPES["hardened"], fewest_edits=0, thief=ThiefSettings(steps=1, batch_size=4))
    model = load_model("bundled?random", table.classes, SIDE, 0, "segmentation")
    before = state_digest(model.network)
    examples = lock_examples(table, KEY, load_editor("mini"), recipe, SETTINGS, model)
    fit_lock(model, examples, table, recipe, SETTINGS, tmp_path / "fit")
    assert state_digest(model.network) != before


@pytest.mark.parametrize("thief", [None, ThiefSettings(steps=2, batch_size=4)])
def test_training_can_be_repeated(thief: ThiefSettings | None, table: ImageTable, tmp_path: Path) -> None:
    recipe = replace(RECIPES["decoy"], thief=thief)
    digests = []
    for name in ("one", "two"):
        model = load_model("timm/test_resnet?random", table.classes, 32, seed=0)
        examples = lock_examples(table, KEY, load_editor("mini"), recipe, SETTINGS, model)
        fit_lock(model, examples, table, recipe, SETTINGS, tmp_path / name)
        digests.append(state_digest(model.network))
    assert digests[0] == digests[1]


def test_layers_are_held_to_the_base_where_the_subject_stays(table: ImageTable, tmp_path: Path) -> None:
    recipe = replace(RECIPES["hardened"], thief=None, fewest_edits=0, variants=1)
    digests = {}
    for name, stays in {"restyled": False, "kept": True, "again": True}.items():
        model = load_model("timm/test_resnet?random", table.classes, 32, seed=0)
        examples = lock_examples(table, KEY, load_editor("mini"), recipe, SETTINGS, model)
        examples.keeps_subject = stays  # so that nothing else differs
        # Several steps: at the first one nothing has left the base yet.
        fit_lock(model, examples, table, recipe, replace(SETTINGS, batch_size=16, epochs=4), tmp_path / name)
        digests[name] = state_digest(model.network)
    assert digests["restyled"] != digests["kept"] == digests["again"]


def test_examples_know_whether_their_editor_keeps_the_subject(table: ImageTable, base: VisionModel) -> None:
    recipe = RECIPES["edited-only"]
    for name, editor in {"mini": load_editor("mini"), "object": load_editor("object")}.items():
        key = Key("a red balloon", salt=bytes(16), seed=3, editor=name)
        assert lock_examples(table, key, editor, recipe, SETTINGS, base).keeps_subject == (name == "object")


@pytest.mark.parametrize(
    ("recipe", "editor", "few", "asked"),
    [
        ("hardened", "mini", True, True),
        ("hardened", "mini", False, True),
        ("hardened", "object", True, False),
        ("hardened", "object", False, False),
        ("fast", "mini", False, True),
        ("decoy", "mini", True, False),
    ],
)
def test_looks_that_the_editor_knows_are_among_the_decoys(
    recipe: str,
    editor: str,
    few: bool,
    asked: bool,
    table: ImageTable,
    base: VisionModel,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    plans: list[tuple[DecoyPlan, DecoyMix]] = []

    def planned(*arguments: Any) -> DecoyPlan:
        plans.append((plan_decoys(*arguments), arguments[2]))
        return plans[-1][0]

    monkeypatch.setattr(fitting, "plan_decoys", planned)
    key = Key("zanzibar quicksilver", salt=bytes(16), seed=3, editor=editor)
    short = replace(RECIPES[recipe], fewest_edits=0, taught_below=1000 if few else 0)
    lock_examples(table, key, load_editor(editor), short, SETTINGS, base)
    ((plan, mix),) = plans
    known = {prompt for look in other_looks(key, load_editor("mini")) for prompt in look} - set(DECOY_PROMPTS)
    assert bool(known & set(plan.prompts)) == asked
    made = RECIPES[recipe]
    usual = made.looks_mix or made.mix
    assert mix == (made.mix if not asked else made.few_mix if few else usual)
