"""Which spells would lock these data well: measured on a few images, before anything is trained."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from torch import Tensor

from spellward.data import MaskTable, Splits, load_splits, prepare
from spellward.data.progress import Report
from spellward.data.splits import labels_of
from spellward.editors import load_editor
from spellward.editors.base import Editor
from spellward.locking.suggesting.candidates import STRENGTHS, candidates
from spellward.locking.suggesting.forecast import OF_CLASSIFIER, Forecast, forecast
from spellward.locking.suggesting.spell_bench import SHOWN, SpellBench, SpellMeasures, drawn
from spellward.locking.training.recipe import check_recipe, recipe_for
from spellward.models import load_model


@dataclass(frozen=True, eq=False)
class Suggestion:
    """A spell with what was measured and forecast; `pictures` are edited images, uint8 [SHOWN, 3, S, S]."""

    prompt: str
    measures: SpellMeasures
    forecast: Forecast
    pictures: Tensor


def suggest(
    data: Any,
    model: Any = "bundled",
    *,
    given: Sequence[str] | str = (),
    count: int = 20,
    seed: int = 0,
    recipe: str = "",
    editor: Editor | str = "mini",
    strengths: Sequence[float] = (),
    input_size: int | None = None,
    report: Report | None = None,
) -> tuple[list[Suggestion], Tensor]:
    """Measures spells and forecasts what locks under them would reach, the widest margin first.

    Args:
        data: A data source (`load_splits`), or `Splits`; only training images are looked at.
        model: Spec of the public base model.
        given: The user's own spells, or one, each of which is looked at with every strength.
        count: How many spells to look at.
        seed: Of candidates, images, folds and salt.
        recipe: Recipe that the forecast is for; the usual one for images of this kind if empty.
        editor: An editor, or its name.
        strengths: Blends to look at, each in (0, 1]; `STRENGTHS` if empty, but for objects, which are not blended.
        input_size: As for `lock`.
        report: Told about progress.

    Returns:
        The suggestions, and the clean images of their pictures, uint8 [SHOWN, 3, S, S]. For images with masks the
        forecasts are those of a classifier of what the images show.

    Raises:
        SpellwardError: For data, models and editors that cannot be used.
    """
    check_recipe(recipe)
    given = (given,) if isinstance(given, str) else given
    by = load_editor(editor) if isinstance(editor, str) else editor
    splits = data if isinstance(data, Splits) else load_splits(data, seed=seed)
    # Classes are all that the backbone is asked about, so a classifier does for images with masks too.
    vision = load_model(model, splits.classes, input_size, seed)
    rows = drawn(labels_of(splits.train), splits.classes, seed)  # before anything is prepared
    table = prepare(splits.train.select(rows), max(vision.input_size, by.resolution))
    bench = SpellBench(table, vision, by, seed)
    usual = (by.defaults.strength,) if by.name == "object" else STRENGTHS
    spells = candidates(given, count, seed, by.name, tuple(strengths) or usual)
    found = []
    for done, spell in enumerate(spells):
        if report is not None:
            report("Looking at spells", done, len(spells))
        found.append((spell, *bench.measure(spell)))
    if report is not None:
        report("Looking at spells", len(spells), len(spells))
    shifts = np.stack([shift for _, _, shift, _ in found])
    suggestions = []
    for row, (spell, seen, shift, pictures) in enumerate(found):
        others = np.delete(shifts, row, axis=0)
        apart = float(np.sqrt(np.mean((others - shift) ** 2, axis=1)).min()) if len(others) else 0.0
        seen = replace(seen, apart=apart)
        expected = forecast(seen, bench.known, bench.chance, recipe_for(table, recipe).name)
        if isinstance(table, MaskTable):  # what thieves gain was measured of classifiers
            expected = replace(expected, gain=None, measure=OF_CLASSIFIER)
        suggestions.append(Suggestion(spell.prompt, seen, expected, pictures))
    suggestions.sort(key=lambda one: -one.forecast.margin)
    return suggestions, bench.images[:SHOWN]
