"""The contact sheet: every spell with its pictures and figures, as text, for the owner alone."""

from __future__ import annotations

import stat
from dataclasses import replace
from pathlib import Path

import torch

from spellward.locking.suggest import Suggestion
from spellward.locking.suggesting.forecast import Forecast
from spellward.locking.suggesting.spell_bench import SHOWN, SpellMeasures
from spellward.reports.suggest_report import write_suggest_report

PICTURES = torch.zeros((SHOWN, 3, 8, 8), dtype=torch.uint8)
FIRST = Suggestion(
    "a <i>dragon</i>",
    SpellMeasures(0.35, 0.91, 0.5, 0.62, 0.33, 0.44, 0.1, 0.8, 2.5),
    Forecast(0.81, 0.32, 0.05, -0.217),
    PICTURES,
)
SECOND = replace(FIRST, prompt="in thick fog", forecast=Forecast(0.71, 0.42, 0.05, -0.217))


def test_each_spell_has_a_row_of_pictures_and_figures(tmp_path: Path) -> None:
    path = write_suggest_report([FIRST, SECOND], PICTURES, tmp_path / "spells.html")
    page = path.read_text()
    assert page.count("data:image/png") == 3 * SHOWN
    assert page.index("dragon") < page.index("in thick fog")
    assert "a &lt;i&gt;dragon&lt;/i&gt;" in page and "<i>dragon" not in page
    assert all(
        figure in page
        for figure in ("0.35", "81 %", "32 %", ">49<", "91 %", "0.62", "0.33", "0.44", "2.5", "-22 points")
    )
    assert 'src="http' not in page and "owner alone" in page
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_an_unknown_gain_is_left_out(tmp_path: Path) -> None:
    unknown = replace(FIRST, forecast=replace(FIRST.forecast, gain=None))
    page = write_suggest_report([unknown], PICTURES, tmp_path / "spells.html").read_text()
    assert "points over the public base" not in page
    assert "Suggested spells" in write_suggest_report([], PICTURES, tmp_path / "none.html").read_text()
