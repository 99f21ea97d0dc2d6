"""lock, score, predict and edit from the command line, on a few images of one's own."""

import json
import os
import re
import stat
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from spellward.artifacts import CACHE_VARIABLE
from spellward.cli.main import app, main
from spellward.keys import Key

runner = CliRunner()


@pytest.fixture(scope="module")
def locked(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    base = tmp_path_factory.mktemp("locked")
    patch = pytest.MonkeyPatch()
    patch.setenv(CACHE_VARIABLE, str(base / "cache"))
    words = ["lock", str(photos), "--spell", "with oil pastel", "-o", str(base / "model"), "--epochs", "1", "--json"]
    result = runner.invoke(app, [*words, "--batch-size", "16"])
    patch.undo()
    assert result.exit_code == 0, result.output
    shown = json.loads(result.stdout)
    figures = {"with_the_key", "without_it", "guessing", "best_wrong_key"}
    assert set(shown) == {"locked", "key", "report", "measure", *figures}
    assert all(0 <= shown[name] <= 1 for name in figures)
    assert "--epochs 1 is little" in result.stderr and "Training" not in result.stderr
    return base / "model"


def ending(*words: str) -> tuple[int, str]:
    with pytest.raises(SystemExit) as ended:
        main(list(words))
    return int(ended.value.code or 0), ""


def test_predict_prints_json_csv_and_text(locked: Path, photos: Path) -> None:
    key = str(locked.with_name("model.key"))
    words = ["predict", str(locked), str(photos / "red"), "--key", key]
    document = json.loads(runner.invoke(app, [*words, "--json", "--top", "2"]).stdout)
    assert len(document["predictions"]) == 24
    assert len(document["predictions"][0]["classes"]) == 2
    assert document["edit_ms_per_image"] > 0
    lines = runner.invoke(app, [*words, "--format", "csv"]).stdout.strip().splitlines()
    assert lines[0] == "file,class_1,probability_1"
    assert len(lines) == 25
    assert "%" in runner.invoke(app, [*words, "--device", "cpu"]).stdout
    assert "no device 'gpu'" in str(runner.invoke(app, [*words, "--device", "gpu"]).exception)


def test_score_prints_every_figure(locked: Path, photos: Path) -> None:
    words = ["score", str(locked), str(photos), "--key", str(locked.with_name("model.key")), "--json", "--no-vanilla"]
    result = runner.invoke(app, [*words, "--wrong-prompts", "2", "--wrong-salts", "2", "--wrong-key-images", "10"])
    assert result.exit_code == 0, result.output
    figures = json.loads(result.stdout)
    assert {"vanilla", "up", "lp", "argmin", "leak", "wrong_best", "wrong_mean", "report"} <= set(figures)
    assert figures["measure"] == "accuracy" and figures["test_images"] == 15
    assert figures["vanilla"] is None
    assert Path(figures["report"]).is_file()


def test_edit_writes_a_picture(photos: Path, tmp_path: Path) -> None:
    output = tmp_path / "look.png"
    words = ["edit", str(photos / "red" / "0.png"), "--spell", "snow", "-o", str(output)]
    before = (photos / "red" / "0.png").read_bytes()
    assert runner.invoke(app, [*words[:-1], words[1]], catch_exceptions=True).exit_code != 0
    assert (photos / "red" / "0.png").read_bytes() == before  # the picture itself is no output
    record = json.loads(runner.invoke(app, [*words, "--json"]).stdout)
    assert record == {"image": words[1], "edited": str(output)}
    assert runner.invoke(app, words).exit_code == 0
    assert Image.open(output).size == (64, 64)
    assert stat.S_IMODE(output.stat().st_mode) == 0o600  # beside the clean picture it helps a thief
    unknown = runner.invoke(app, [*words, "--editor", "object", "--spell", "a dragon"])
    assert "names no object of the library" in unknown.output and "padlock" in unknown.output
    assert "library" not in runner.invoke(app, [*words, "--editor", "object", "--spell", "two padlocks"]).output
    assert runner.invoke(app, [*words[:-1], str(tmp_path / "look.jpg")]).exit_code != 0
    assert not (tmp_path / "look.jpg").exists()


def test_mistakes_are_answered_by_one_sentence(
    locked: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert runner.invoke(app, ["key", "new", str(tmp_path / "other.key"), "--spell", "x"]).exit_code == 0
    broken = tmp_path / "broken"
    for name in ("a", "b"):
        (broken / name).mkdir(parents=True)
        for number in range(12):
            pixels = np.full((20, 20, 3), 20 * number + len(name), np.uint8)
            pixels[0, 0] = (number, ord(name), 0)
            Image.fromarray(pixels).save(broken / name / f"{number}.png")
    (broken / "a" / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\nnot really")
    question = ["verify-outputs", "--victim", "v", "--reference", "r", "--suspect", "s"]
    cases = [
        (["predict", str(locked), str(tmp_path / "none.jpg")], 3, "none.jpg"),
        (["predict", str(locked), str(photos), "--key", str(tmp_path / "other.key")], 4, "another model"),
        (["predict", str(tmp_path / "nowhere"), str(photos)], 5, "not a locked model"),
        (["lock", str(broken), "--spell", "x", "-o", str(tmp_path / "out")], 3, "bad.png"),
        (["lock", str(photos), "--spell", "x", "-o", str(locked)], 5, "exists"),
        (["lock", str(photos), "--spell", "x", "-o", "/"], 5, "Name one"),
        (["lock", str(photos), "--spell", "x", "-o", str(tmp_path / "other.key" / "out")], 9, "Name another folder"),
        (["lock", str(photos), "--spell", "x", "-o", "/proc/none/out"], 9, "Name another folder"),
        (["lock", str(photos), "--spell", "x", "-o", str(tmp_path / ("x" * 300))], 9, "Use a shorter one"),
        (["lock", str(photos), "--spell", "", "-o", str(tmp_path / "out")], 2, "The spell is blank"),
        (["edit", "x.png", "--spell", " \t", "-o", str(tmp_path / "x.png")], 2, "The spell is blank"),
        (["lock", str(photos), "--spell", "x", "--strength", "0", "-o", str(tmp_path / "out")], 2, "for '--strength'"),
        (
            ["lock", str(photos), "--spell", "x", "--learning-rate", "inf", "-o", str(tmp_path / "out")],
            2,
            "for '--learning-rate'",
        ),
        (["attack", str(locked), str(photos), "--key", "x", "--effort", "no"], 2, "There is no effort 'no'"),
        ([*question, "--method", "no"], 2, "There is no method 'no'"),
        (["lock", str(tmp_path / "missing"), "--spell", "x", "-o", str(tmp_path / "out")], 3, "missing"),
        (["lock", str(photos), "--spell", "x", "--recipe", "none", "-o", str(tmp_path / "out")], 2, "recipe"),
    ]
    for words, code, expected in cases:
        capsys.readouterr()
        assert ending(*words)[0] == code, words
        said = re.sub(r"\s+", " ", capsys.readouterr().err)
        assert expected in said, said
        assert "Traceback" not in said


@pytest.mark.parametrize(
    "option",
    [["--spell", "with fog"], ["--editor", "mini"], ["--strength", "0.5"], ["--steps", "2"], ["--no-salt"]],
)
def test_what_the_key_settles_is_no_option_beside_it(option: list[str], locked: Path, tmp_path: Path) -> None:
    key = str(locked.with_name("model.key"))
    result = runner.invoke(app, ["lock", "sample:fashion", "--key", key, "-o", str(tmp_path / "new"), *option])
    assert result.exit_code == 2 and "The key settles" in result.output
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("option", [["--spell", "with fog"], ["--size", "100000"]])
def test_an_edit_takes_a_key_or_a_spell(option: list[str], locked: Path, photos: Path, tmp_path: Path) -> None:
    words = ["edit", str(photos / "red" / "0.png"), "--key", str(locked.with_name("model.key"))]
    assert runner.invoke(app, [*words, "-o", str(tmp_path / "x.png"), *option]).exit_code == 2


def test_a_spell_in_the_environment_is_a_default_that_a_key_overrides(
    locked: Path, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPELLWARD_SPELL", "with fog")
    words = ["edit", str(photos / "red" / "0.png"), "--key", str(locked.with_name("model.key"))]
    assert runner.invoke(app, [*words, "-o", str(tmp_path / "x.png")]).exit_code == 0


def test_top_ends_at_the_number_of_classes(locked: Path, photos: Path) -> None:
    words = ["predict", str(locked), str(photos / "red" / "0.png"), "--top", "9", "--format", "csv"]
    lines = runner.invoke(app, words).stdout.strip().splitlines()
    assert [line.count(",") for line in lines] == [6, 6]


def test_a_file_name_that_is_no_text_is_written_with_escapes(locked: Path, photos: Path, tmp_path: Path) -> None:
    odd = tmp_path / os.fsdecode(b"caf\xe9.png")
    try:
        odd.write_bytes((photos / "red" / "0.png").read_bytes())
    except OSError:
        pytest.skip("this file system takes text alone")
    result = runner.invoke(app, ["predict", str(locked), str(tmp_path), "--json"])
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["predictions"][0]["file"].endswith("caf\\xe9.png")


def test_the_help_says_what_is_taken_where_nothing_is_given() -> None:
    from spellward.editors.diffusion.presets import _IMAGE_TO_IMAGE, _PUBLISHED, _TURBO
    from spellward.editors.mini import MiniEditor
    from spellward.editors.objects import ObjectEditor
    from spellward.models.bundled import INPUT_SIZE

    shown = runner.invoke(app, ["lock", "--help"], env={"COLUMNS": "400", "TERMINAL_WIDTH": "400"}).stdout
    mini, thing = MiniEditor.defaults, ObjectEditor.defaults
    assert (
        f"mini {mini.strength}, object {thing.strength:g}, a pipeline that follows instructions {_PUBLISHED.strength}, "
        f"any other {_IMAGE_TO_IMAGE.strength:g}." in shown
    )
    assert (
        f"mini {mini.steps}, object {thing.steps}, a pipeline that follows instructions {_PUBLISHED.steps}, "
        f"any other {_IMAGE_TO_IMAGE.steps} (turbo {_TURBO.steps})" in shown
    )
    assert f"bundled {INPUT_SIZE}, most others 224" in shown


def test_a_protected_key_stays_protected(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    monkeypatch.setenv("SPELLWARD_PASSPHRASE", "open sesame")
    Key("with oil pastel").save(tmp_path / "mine.key", "open sesame")
    words = ["lock", str(photos), "--key", str(tmp_path / "mine.key"), "-o", str(tmp_path / "model"), "--epochs", "1"]
    result = runner.invoke(app, [*words, "--batch-size", "16", "--recipe", "edited-only", "--json"])
    assert result.exit_code == 0, result.output
    assert "oil pastel" not in (tmp_path / "model.key").read_text()
    assert Key.load(tmp_path / "model.key", "open sesame").prompt == "with oil pastel"
