import json
import stat
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from spellward.data import DataReport
from spellward.locking.measuring.metrics import share
from spellward.locking.measuring.score import Score, ScoreSettings, WrongKey
from spellward.reports import LockReport, SamplePair, write_lock_report


def report() -> LockReport:
    wrong = (
        WrongKey("prompt", "with watercolor", share(12, 100)),
        WrongKey("wording", "near wording 1", share(80, 100)),
        WrongKey("salt", "salt 1", share(9, 100)),
    )
    score = Score(share(88, 100), share(10, 100), share(9, 100), share(11, 100), None, wrong, 0.1, ScoreSettings())
    pixels = np.zeros((8, 8, 3), np.uint8)
    pair = SamplePair("<cat>", pixels, pixels + 9, "dog", "cat")
    return LockReport("my lock", score, {"Recipe": "decoy"}, {"Training": 73.12, "Model, per image": 0.004132}, [pair])


def test_the_owner_sees_pictures_and_the_public_does_not(tmp_path: Path) -> None:
    page = write_lock_report(report(), tmp_path / "r")
    owner, public = page.read_text(), (tmp_path / "r" / "public.html").read_text()
    assert owner.count("data:image/png") == 2
    assert "with watercolor" in owner
    assert "&lt;cat&gt;" in owner
    assert "<td>73 s</td>" in owner and "<td>4.13 ms</td>" in owner and "4.13" not in public
    for secret in ("data:image", "with watercolor", "near wording", "Near wordings", "cat"):
        assert secret not in public
    assert "88.0 %" in public
    assert stat.S_IMODE(page.stat().st_mode) == 0o600


@pytest.mark.parametrize("count", [18, 20])
def test_the_public_page_does_not_say_how_many_prompts_differ_from_the_key(count: int, tmp_path: Path) -> None:
    """With an editor of few objects that alone narrows the key down to a few of them."""
    shown = report()
    prompts = tuple(WrongKey("prompt", f"prompt {n}", share(12, 100)) for n in range(count))
    write_lock_report(replace(shown, score=replace(shown.score, wrong=prompts)), tmp_path)
    assert (tmp_path / "public.html").read_text().count("<circle") == 2
    assert (tmp_path / "report.html").read_text().count("<circle") == count
    assert f"({count})" not in (tmp_path / "public.html").read_text()


def test_figures_are_json_too(tmp_path: Path) -> None:
    write_lock_report(report(), tmp_path)
    figures = json.loads((tmp_path / "score.json").read_text())
    assert figures["summary"]["up"] == 0.88
    assert figures["summary"]["wrong_best"] == 0.12
    assert figures["score"]["wrong"][0]["accuracy"]["count"] == 100


def test_the_owner_alone_reads_what_the_data_looked_like(tmp_path: Path) -> None:
    odd = DataReport(duplicates=tuple(f"b/{n}.png is a/{n}.png" for n in range(25)), warnings=("<x> has one image.",))
    page = write_lock_report(replace(report(), data=odd), tmp_path)
    owner, public = page.read_text(), (tmp_path / "public.html").read_text()
    assert "&lt;x&gt; has one image." in owner and "copies of other images: 25." in owner
    assert "b/19.png" in owner and "b/20.png" not in owner and "and 5 more" in owner and "not read" not in owner
    assert "The data" not in public and "one image" not in public
    assert json.loads((tmp_path / "score.json").read_text())["data"]["duplicates"][24] == "b/24.png is a/24.png"
    write_lock_report(report(), tmp_path)
    assert "<h2>The data</h2>" not in page.read_text()


def test_pages_need_nothing_from_elsewhere(tmp_path: Path) -> None:
    page = write_lock_report(report(), tmp_path).read_text()
    for outside in ("http://", "https://", "<script", "url("):
        assert outside not in page
