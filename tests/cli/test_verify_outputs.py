from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from tests.ownership.simulator import softmax, world

from spellward.cli.main import main


def run(*arguments: object) -> int:
    with pytest.raises(SystemExit) as ended:
        main(["verify-outputs", *map(str, arguments)])
    return int(ended.value.code or 0)


@pytest.fixture
def files(tmp_path: Path) -> Path:
    made = world(rows=150, references=4)
    np.save(tmp_path / "v.npy", made.victim)
    for place, reference in enumerate(made.references, start=1):
        np.savetxt(tmp_path / f"b{place}.csv", softmax(reference), delimiter=",")
    np.savez(tmp_path / "innocent.npz", made.innocent())
    np.save(tmp_path / "copy.npy", softmax(0.5 * made.victim).astype(np.float32))
    np.save(tmp_path / "classes.npy", made.victim.argmax(axis=1))
    np.save(tmp_path / "nan.npy", np.full_like(made.victim, np.nan))
    np.save(tmp_path / "fewer.npy", made.victim[:, :4])
    np.save(tmp_path / "short.npy", made.victim[:40])
    np.save(tmp_path / "p.npy", made.related(0.8, seed=9))
    return tmp_path


def given(folder: Path, suspect: str, count: int = 4) -> list[object]:
    references = [part for place in range(1, count + 1) for part in ("--reference", folder / f"b{place}.csv")]
    return ["--victim", folder / "v.npy", *references, "--suspect", folder / suspect]


def test_peers_count(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A peer that is as like the victim as the suspect is takes the suspect's likeness for what it is worth."""
    made = world(rows=150, references=4)
    for number in (3, 5):
        np.save(files / f"equal-{number}.npy", made.related(0.97, seed=number))
    np.save(files / "near.npy", made.related(0.97, seed=4))
    peers = ["--peer", files / "equal-3.npy", "--peer", files / "equal-5.npy"]
    verdicts = []
    for more in ([], peers):
        assert run(*given(files, "near.npy"), *more, "--json") == 0
        verdicts.append(json.loads(capsys.readouterr().out)["verdict"])
    assert verdicts[0] == "stolen" != verdicts[1]
    assert run(*given(files, "near.npy"), *peers[:2]) == 3
    assert "One peer" in capsys.readouterr().err


@pytest.mark.parametrize("count", [1, 4])
@pytest.mark.parametrize(
    ("suspect", "verdict"),
    [
        ("v.npy", "stolen"),
        ("copy.npy", "stolen"),
        ("innocent.npz", "not shown"),
        ("nan.npy", "inconclusive"),
        ("fewer.npy", "inconclusive"),
        ("short.npy", "inconclusive"),
    ],
)
def test_verdicts_of_any_kind_end_with_0(
    files: Path, capsys: pytest.CaptureFixture[str], suspect: str, verdict: str, count: int
) -> None:
    assert run(*given(files, suspect, count), "--json") == 0
    record = json.loads(capsys.readouterr().out, parse_constant=lambda name: pytest.fail(f"{name} in JSON"))
    assert record["verdict"] == verdict
    assert record.keys() >= {"verdict", "p_value", "effect", "queries", "reason", "method"}


@pytest.mark.parametrize("method", ["holmes", "dataset-inference", "akh", "agreement"])
def test_the_baselines_run_too(files: Path, capsys: pytest.CaptureFixture[str], method: str) -> None:
    poisoned = ["--poisoned", files / "p.npy"]
    assert run(*given(files, "classes.npy"), *poisoned, "--method", method, "--json") == 0
    assert json.loads(capsys.readouterr().out)["method"] == method


def test_without_json_a_reader_gets_lines(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(*given(files, "copy.npy")) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["verdict", "stolen"]
    assert any("noise: inconclusive" in line for line in lines)


@pytest.mark.parametrize("option", [("--method", "magic"), ("--alpha", "0")])
def test_options_that_make_no_sense_are_wrong_usage(
    files: Path, capsys: pytest.CaptureFixture[str], option: tuple[str, str]
) -> None:
    assert run(*given(files, "copy.npy"), *option) == 2
    assert "Invalid value" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"--victim": "missing.npy"}, "missing.npy"),
        ({"--victim": "nan.npy"}, "victim"),
        ({"--victim": "fewer.npy"}, "shape"),
        ({"--poisoned": "short.npy"}, "shape"),
        ({"--suspect": "missing.npy"}, "missing.npy"),
        ({"--method": "holmes"}, "--poisoned"),
    ],
)
def test_unusable_input_ends_with_one_line(
    files: Path, capsys: pytest.CaptureFixture[str], change: dict[str, str], named: str
) -> None:
    arguments = given(files, "copy.npy")
    for option, value in change.items():
        text = files / value if value.endswith(".npy") else value
        if option in arguments:
            arguments[arguments.index(option) + 1] = text
        else:
            arguments += [option, text]
    assert run(*arguments) == 3
    error = capsys.readouterr().err
    assert named in error and error.count("\n") == 1


@pytest.mark.parametrize(("count", "hinted"), [(1, True), (3, False)])
def test_few_references_are_said_to_be_few(
    count: int, hinted: bool, files: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*given(files, "innocent.npz", count)) == 0
    said = capsys.readouterr()
    assert ("fewer than three references" in said.err) == hinted
    assert "published" not in said.out and "options" not in said.out
