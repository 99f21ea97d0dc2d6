"""`spellward attack` on a tiny lock of one's own images."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from spellward.artifacts import CACHE_VARIABLE
from spellward.cli.main import app, main
from spellward.keys import Key
from spellward.locking.measuring.attack_results import AttackReport

runner = CliRunner()
SPELL = "zanzibar quicksilver brocade"
BASE = "timm/test_resnet?random"


@pytest.fixture(scope="module")
def locked(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    base = tmp_path_factory.mktemp("locked")
    patch = pytest.MonkeyPatch()
    patch.setenv(CACHE_VARIABLE, str(base / "cache"))
    words = ["lock", str(photos), "--spell", SPELL, "-o", str(base / "model"), "--epochs", "1", "--json"]
    words += ["--batch-size", "16", "--model", BASE, "--size", "32", "--recipe", "edited-only"]
    result = runner.invoke(app, words)
    patch.undo()
    assert result.exit_code == 0, result.output
    return base / "model"


def attack(locked: Path, photos: Path, *words: str) -> list[str]:
    key = str(locked.with_name("model.key"))
    return ["attack", str(locked), str(photos), "--key", key, "--base", BASE, "--effort", "quick", *words]


def test_json_and_a_report_without_secrets(locked: Path, photos: Path) -> None:
    only = [word for name in ("no-key", "near-wordings", "remap", "fine-tuning") for word in ("--only", name)]
    result = runner.invoke(app, attack(locked, photos, *only, "--budget", "0.1", "--budget", "0.2", "--json"))
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    assert len(document["attacks"]) == 8
    for row in document["attacks"]:
        assert {"name", "labelled", "accuracy", "base", "gain"} <= set(row)
        assert row["gain"] == pytest.approx(row["accuracy"] - row["base"])
    assert {row["labelled"] for row in document["attacks"]} == {0.1, 0.2}
    assert document["largest_gain"] == max(row["gain"] for row in document["attacks"])
    assert set(document["near_wordings"]) == {"worst", "mean", "best"}  # their number tells how long the prompt is
    page = Path(document["report"])
    assert page == locked.with_name("model.attacks") / "report.html"
    report = AttackReport.from_json((page.parent / "attacks.json").read_text())
    assert report.largest is not None and f"{100 * report.largest.gain:+.1f} points" in page.read_text()
    key = Key.load(locked.with_name("model.key"))
    assert key.salt is not None
    for text in (result.stdout, page.read_text(), (page.parent / "attacks.json").read_text()):
        assert not any(word in text for word in (*SPELL.split(), key.salt.hex(), str(key.seed), "mini"))


def test_figures_for_people(locked: Path, photos: Path) -> None:
    result = runner.invoke(app, attack(locked, photos, "--only", "remap", "--budget", "0.1"))
    assert result.exit_code == 0, result.output
    assert "remap" in result.stdout and "gain" in result.stdout and "report.html" in result.stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--only", "pickpocketing"), "pickpocketing"),
        (("--effort", "heroic"), "heroic"),
        (("--budget", "1.5"), "budget"),
    ],
)
def test_mistakes_are_answered_by_one_sentence(
    locked: Path, photos: Path, words: tuple[str, str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(attack(locked, photos, *words))
    assert ended.value.code == 2
    assert said in capsys.readouterr().err


def test_an_attack_that_cannot_run_is_named(locked: Path, photos: Path) -> None:
    result = runner.invoke(app, attack(locked, photos, "--only", "other-editor", "--budget", "0.1", "--json"))
    document = json.loads(result.stdout)
    assert document["attacks"] == [] and document["largest_gain"] is None
    assert "other-editor" in document["skipped"]
