"""A score end to end on a tiny lock: every figure a fraction, reproducible, and silent about the spell."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from tests.locking.conftest import PROMPT, SALT, SEED

from spellward.artifacts import CACHE_VARIABLE
from spellward.attacks.unlocking.cheap_filters import FILTERS
from spellward.attacks.unlocking.wrong_keys import UNRELATED_PROMPTS
from spellward.data import ImageTable, prepare
from spellward.errors import KeyRefusedError, ModelError
from spellward.keys import Key
from spellward.locking.lock import LockResult
from spellward.locking.measuring.score import Score, ScoreSettings, labelled_for_probe, score_tables
from spellward.locking.measuring.tasks import TASKS
from spellward.locking.scoring import score
from spellward.models import FitSettings

FEW = ScoreSettings(wrong_prompts=3, wrong_salts=2, near_wordings=2, wrong_key_images=12, probe_share=0.5)
NAMES = ("vanilla", "up", "lp", "argmin", "leak", "wrong_best", "wrong_mean")
QUICK = FitSettings(epochs=1, batch_size=30)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Any:
    patch = pytest.MonkeyPatch()
    patch.setenv(CACHE_VARIABLE, str(tmp_path_factory.mktemp("score") / "cache"))
    yield
    patch.undo()


@pytest.fixture(scope="module")
def tables(tiny_lock: LockResult, cache: None) -> tuple[ImageTable, ImageTable]:
    train, test = (prepare(part, 64) for part in (tiny_lock.splits.train, tiny_lock.splits.test))
    return train, test.subset(range(20))


def score_of(lock: LockResult, tables: tuple[ImageTable, ImageTable], **changes: Any) -> Score:
    key = changes.pop("key", lock.key)
    *_, (_, _, result) = score_tables(
        lock.model, key, lock.editor, *tables, settings=replace(FEW, **changes), vanilla=None
    )
    assert result is not None
    return result


@pytest.fixture(scope="module")
def tiny_score(tiny_lock: LockResult, tables: tuple[ImageTable, ImageTable]) -> Score:
    return score_of(tiny_lock, tables)


def test_from_a_folder_on_disk_to_json(tiny_lock: LockResult, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    splits = replace(tiny_lock.splits, test=tiny_lock.splits.test.select(range(20)))
    told: list[tuple[str, int, int]] = []
    result = score(
        tiny_lock.folder,
        splits,
        tiny_lock.key,
        settings=FEW,
        vanilla="bundled",
        fit_settings=QUICK,
        editor=tiny_lock.editor,
        report=lambda *step: told.append(step),
    )
    summary = json.loads(json.dumps(result.summary(), allow_nan=False))
    for name in NAMES:
        assert 0 <= summary[name] <= 1, name
    assert summary["wrong_mean"] <= summary["wrong_best"]
    for stage in ("Vanilla fine-tune (steps)", "Scoring"):
        steps = [(done, total) for name, done, total in told if name == stage]
        assert steps and steps[-1][0] == steps[-1][1]
        assert [done for done, _ in steps] == sorted(done for done, _ in steps)


def test_every_kind_of_wrong_key_is_tried(tiny_score: Score) -> None:
    counts = {kind: len(tiny_score.kind(kind)) for kind in {one.kind for one in tiny_score.wrong}}
    expected = {"prompt": 3, "wording": 2, "salt": 2, "no salt": 1, "filter": len(FILTERS), "strength": 2, "seed": 1}
    assert counts == {**expected, "steps": 2}
    assert all(one.accuracy.count == 12 for one in tiny_score.wrong)
    assert {one.what for one in tiny_score.kind("prompt")} <= set(UNRELATED_PROMPTS)


def test_a_score_says_nothing_of_the_key(tiny_score: Score) -> None:
    text = json.dumps(asdict(tiny_score)).lower()
    for secret in (PROMPT, *PROMPT.split(), SALT.hex(), str(SEED), str(SEED + 1)):
        assert secret not in text


def test_the_seed_decides_a_score(
    tiny_lock: LockResult, tables: tuple[ImageTable, ImageTable], tiny_score: Score
) -> None:
    assert score_of(tiny_lock, tables) == tiny_score


def test_a_key_without_salt_is_scored_without_salts(
    tiny_lock: LockResult, tables: tuple[ImageTable, ImageTable]
) -> None:
    result = score_of(tiny_lock, tables, key=tiny_lock.key.with_(salt=None), wrong_prompts=0, near_wordings=0)
    assert not result.kind("salt") and not result.kind("no salt")
    summary = result.summary()
    assert summary["salts_best"] is summary["wrong_best"] is summary["wrong_mean"] is summary["vanilla"] is None


def test_chance_is_the_share_of_the_commonest_class(tiny_lock: LockResult, tables: tuple[ImageTable, Any]) -> None:
    labels = tables[1].labels
    rows = [*range(20), *[int((labels == labels[0]).argmax())] * 20]
    lopsided = (tables[0], tables[1].subset(rows))
    share = (labels == labels[0]).sum() + 20
    unsalted = tiny_lock.key.with_(salt=None)
    result = score_of(tiny_lock, lopsided, key=unsalted, wrong_prompts=0, near_wordings=0)
    assert result.chance == pytest.approx(share / 40)


def test_the_probe_gets_the_same_labels_whatever_it_reads(
    tiny_lock: LockResult, tables: tuple[ImageTable, Any]
) -> None:
    leak = score_of(tiny_lock, tables, wrong_prompts=0, near_wordings=0).leak
    labelled = labelled_for_probe(tables[0], FEW)
    assert len(labelled) == pytest.approx(FEW.probe_share * len(tables[0]), abs=3)
    again = TASKS[tables[1].task].clean_checks(tiny_lock.model, labelled, tables[1], FEW.seed)
    assert again.leak == leak
    assert labelled_for_probe(tables[0], replace(FEW, seed=1)).fingerprint != labelled.fingerprint


def test_what_does_not_belong_together_is_refused(tiny_lock: LockResult) -> None:
    with pytest.raises(KeyRefusedError, match="another model"):
        score(tiny_lock.folder, tiny_lock.splits, Key(PROMPT), editor=tiny_lock.editor)
    with pytest.raises(ModelError, match="data it was locked with"):
        score(tiny_lock.folder, "sample:clipart", tiny_lock.key, editor=tiny_lock.editor)
