from __future__ import annotations

import json
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from spellward import errors
from spellward.cli import main as cli
from spellward.cli.main import app, main
from spellward.keys import Key


def run(*arguments: str) -> int:
    """The exit code of the command, which prints to where pytest looks."""
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert isinstance(ended.value.code, int)
    return ended.value.code


def failing(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    """Puts a command `fail` in place of all others."""
    broken = typer.Typer(pretty_exceptions_enable=False)

    @broken.command()
    def fail() -> None:
        raise error

    monkeypatch.setattr(cli, "app", broken)


def all_commands() -> list[list[str]]:
    found = []
    for part in cli.APPS:
        group = [part.info.name] if isinstance(part.info.name, str) else []
        for command in part.registered_commands:
            assert command.name and command.callback, "a command names itself"
            found.append([*group, command.name])
    return found


@pytest.mark.parametrize("command", all_commands(), ids=" ".join)
def test_every_help_says_what_it_does_and_ends_with_examples(command: list[str]) -> None:
    result = CliRunner().invoke(app, [*command, "--help"], env={"COLUMNS": "120", "TERMINAL_WIDTH": "120"})
    assert result.exit_code == 0
    tail = result.stdout.split("Examples:")[1]
    assert f"$ spellward {' '.join(command)}" in tail or f"spellward {' '.join(command)}" in tail
    assert "Options" not in tail


def test_the_main_help_names_every_exit_code() -> None:
    text = " ".join(CliRunner().invoke(app, ["--help"]).stdout.split())
    kinds = [
        kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.SpellwardError)
    ]
    assert len({kind.exit_code for kind in kinds}) == len(kinds)
    for code in {0, 1, 2, 130, *(kind.exit_code for kind in kinds)}:
        assert f" {code} " in text.split("Exit codes:")[1]


@pytest.mark.parametrize("kind", [errors.DataError, errors.KeyRefusedError, errors.StorageError, errors.SpellwardError])
def test_an_error_is_one_sentence_on_stderr(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], kind: type[errors.SpellwardError]
) -> None:
    failing(monkeypatch, kind("photos/x.png is broken. Remove it."))
    assert run() == kind.exit_code
    assert capsys.readouterr() == ("", "photos/x.png is broken. Remove it.\n")


def test_an_unexpected_error_is_one_line_and_debug_shows_where(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    failing(monkeypatch, RuntimeError("first line\nsecond line"))
    assert run() == 1
    text = capsys.readouterr().err
    assert text.startswith("Unexpected RuntimeError: first line Run again with --debug") and text.count("\n") == 1
    assert run("--debug") == 1
    assert "Traceback" in capsys.readouterr().err


def test_an_interrupt_ends_with_130(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    failing(monkeypatch, KeyboardInterrupt())
    assert run() == 130
    assert capsys.readouterr().err == "Interrupted. What was finished before is kept; run again.\n"


def test_an_interrupt_that_typer_answers_says_so_too(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("spellward.cli.key_files.load_key", interrupted)
    assert run("key", "show", str(tmp_path / "x.key")) == 130
    assert capsys.readouterr().err.endswith("Interrupted. What was finished before is kept; run again.\n")


@pytest.mark.parametrize("arguments", [["nonsense"], ["key", "show"], ["key", "show", "x", "--nonsense"]])
def test_wrong_usage_ends_with_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(*arguments) == 2
    out, err = capsys.readouterr()
    assert out == "" and "Usage" in err


def test_the_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--version") == 0
    assert capsys.readouterr().out.startswith("spellward 0.")


def test_warnings_are_one_line_on_stderr(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Key("with oil pastel").save(tmp_path / "my.key")
    (tmp_path / "my.key").chmod(0o644)
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        assert run("key", "show", str(tmp_path / "my.key"), "--json") == 0
    out, err = capsys.readouterr()
    assert err.startswith("Warning: Others") and err.count("\n") == 1
    json.loads(out)


def test_help_loads_nothing_slow() -> None:
    code = (
        "import sys\n"
        "from spellward.cli.main import main\n"
        "try:\n"
        "    main(sys.argv[1:])\n"
        "except SystemExit:\n"
        "    print(*{name.partition('.')[0] for name in sys.modules}, file=sys.stderr)\n"
    )
    for words in (["--help"], ["lock", "--help"], ["verify", "--help"]):
        done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, check=True)
        assert "Examples" in done.stdout
        slow = {"torch", "torchvision", "transformers", "timm", "diffusers", "datasets", "scipy", "sklearn"}
        assert not slow & set(done.stderr.split())


def test_the_installed_command_ends_as_it_should(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "spellward.cli.main"]
    done = subprocess.run([*command, "--help"], capture_output=True, text=True, check=True)
    assert "Exit codes" in done.stdout
    done = subprocess.run(
        [*command, "key", "show", str(tmp_path / "none")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 4 and done.stdout == ""
    assert "cannot be read" in done.stderr and done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("given", "expected"),
    [({}, "2000"), ({"GOMP_SPINCOUNT": "7"}, "7"), ({"OMP_WAIT_POLICY": "ACTIVE"}, "None")],
)
def test_threads_let_others_run_unless_the_user_says_how_they_wait(given: dict[str, str], expected: str) -> None:
    code = "import os, sys, spellward.cli.main; print(os.environ.get('GOMP_SPINCOUNT'), 'torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], env=given, capture_output=True, text=True, check=True)
    assert done.stdout.split() == [expected, "False"]  # torch reads it when it is loaded


def test_completion_can_be_shown() -> None:
    done = subprocess.run(
        [sys.executable, "-c", "from spellward.cli.main import main; main()"],
        env={"_SPELLWARD_COMPLETE": "complete_bash", "COMP_WORDS": "spellward ke", "COMP_CWORD": "1", "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "key" in done.stdout
