"""What recipes choose for images, masks and editors."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tests.models.test_segmentation import squares

from spellward.data import table_from_arrays
from spellward.data.masks import InstanceTable
from spellward.errors import ModelError
from spellward.locking.training.recipe import RECIPES, recipe_for
from spellward.models import FitSettings


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_fills_in_its_epochs_and_leaves_given_ones(name: str) -> None:
    recipe, left_open = RECIPES[name], FitSettings()
    table = table_from_arrays(np.zeros((16, 32, 32, 3), dtype=np.uint8), np.arange(16) % 4, "abcd")
    scenes, usual = squares(len(table)), left_open.resolved(len(table)).epochs
    assert recipe.resolved(FitSettings(epochs=5), scenes).epochs == 5
    assert recipe.resolved(left_open, table).epochs == round(recipe.longer * usual)
    assert recipe.resolved(left_open, scenes).epochs == round(recipe.longer_masks * usual)
    assert recipe.resolved(left_open, InstanceTable(**vars(scenes))).epochs == round(recipe.longer_masks * usual)
    for few in (True, False):  # known looks and near salts did masks no good
        assert replace(recipe, taught_below=1000 if few else 0).mix_for(scenes, knows_looks=True) == recipe.mix


def test_an_unknown_recipe_is_refused_with_the_names_of_all() -> None:
    table = table_from_arrays(np.zeros((4, 32, 32, 3), dtype=np.uint8), np.arange(4) % 2, "ab")
    assert (
        recipe_for(table, "fast") is RECIPES["fast"]
        and recipe_for(table, "") is recipe_for(table) is RECIPES["hardened"]
    )
    with pytest.raises(ModelError, match=r"no recipe 'magic'; there are .*hardened"):
        recipe_for(table, "magic")
