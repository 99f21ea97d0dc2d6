from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from spellward.cli.main import main
from spellward.errors import KeyRefusedError
from spellward.keys import Key
from spellward.locking.folder import write_lock

SPELL = "with oil pastel"


def run(*arguments: str | Path) -> int:
    with pytest.raises(SystemExit) as ended:
        main([str(argument) for argument in arguments])
    assert isinstance(ended.value.code, int)
    return ended.value.code


@pytest.fixture
def key() -> Key:
    return Key(SPELL, seed=987654321, steps=4)


@pytest.fixture
def path(tmp_path: Path, key: Key) -> Path:
    key.save(tmp_path / "my.key")
    return tmp_path / "my.key"


@pytest.mark.parametrize("flags", [[], ["--json"]])
def test_show_hides_the_secrets_unless_asked(
    path: Path, key: Key, flags: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert key.salt is not None
    assert run("key", "show", path, *flags) == 0
    text = capsys.readouterr().out
    assert key.lock_id in text
    assert not any(secret in text for secret in (SPELL, key.salt.hex(), "987654321"))
    assert run("key", "show", path, "--reveal", *flags) == 0
    text = capsys.readouterr().out
    assert all(secret in text for secret in (SPELL, key.salt.hex(), "987654321"))


def test_show_gives_a_single_json_object(path: Path, key: Key, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("key", "show", path, "--reveal", "--json") == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown.pop("protected") is False
    assert Key(**shown | {"salt": bytes.fromhex(shown["salt"])}) == key


def test_new_writes_a_key_that_loads(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "new.key"
    assert run("key", "new", path, "--spell", SPELL, "--seed", "7", "--editor", "instruct-pix2pix", "--json") == 0
    made = Key.load(path)
    assert (made.prompt, made.seed, made.editor) == (SPELL, 7, "instruct-pix2pix")
    assert json.loads(capsys.readouterr().out)["lock_id"] == made.lock_id
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert run("key", "new", path, "--spell", "other") == 4
    assert Key.load(path) == made


@pytest.mark.parametrize("spell", ["", "  \t"])
def test_a_blank_spell_is_wrong_usage(spell: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("key", "new", tmp_path / "new.key", "--spell", spell) == 2
    assert "The spell is blank" in capsys.readouterr().err
    assert not (tmp_path / "new.key").exists()


def test_new_takes_the_spell_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPELLWARD_SPELL", SPELL)
    assert run("key", "new", tmp_path / "new.key", "--no-salt") == 0
    made = Key.load(tmp_path / "new.key")
    assert made.prompt == SPELL and made.salt is None


def test_the_spell_never_stands_in_a_help_text(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SPELLWARD_SPELL", "my own secret")
    assert run("key", "new", "--help") == 0
    assert "my own secret" not in capsys.readouterr().out


def test_without_a_terminal_nothing_is_asked(path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("key", "new", tmp_path / "new.key") == 4
    assert "SPELLWARD_SPELL" in capsys.readouterr().err
    assert run("key", "protect", path) == 4
    assert "SPELLWARD_PASSPHRASE" in capsys.readouterr().err


def test_protect_adds_changes_and_removes_a_passphrase(path: Path, key: Key, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPELLWARD_PASSPHRASE", "one")
    assert run("key", "protect", path) == 0
    assert Key.load(path, "one") == key
    monkeypatch.setenv("SPELLWARD_NEW_PASSPHRASE", "two")
    assert run("key", "protect", path) == 0
    with pytest.raises(KeyRefusedError):
        Key.load(path, "one")
    assert run("key", "show", path) == 4
    monkeypatch.setenv("SPELLWARD_PASSPHRASE", "two")
    assert run("key", "show", path) == 0
    assert run("key", "protect", path, "--remove") == 0
    assert Key.load(path) == key


def test_pair_takes_a_changed_folder_for_the_keys_own(
    tmp_path: Path, key: Key, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    key, path = key.with_(editor_fingerprint="of mini"), tmp_path / "used.key"
    key.save(path)
    folder = tmp_path / "locked"
    folder.mkdir()
    (folder / "model.safetensors").write_bytes(b"weights")
    write_lock(folder, "0" * 32, "recipe", 1)
    (folder / "model.safetensors").write_bytes(b"pruned weights")
    assert run("key", "pair", folder, path, "-o", tmp_path / "paired.key") == 0
    paired = Key.load(tmp_path / "paired.key")
    assert paired.lock_id == "0" * 32 and paired.with_(lock_id=key.lock_id, weights_digest="") == key
    assert Key.load(path) == key
    assert "score" in capsys.readouterr().err
    assert run("key", "pair", folder, path, "--quiet") == 0
    assert Key.load(path) == paired
    monkeypatch.chdir(tmp_path)
    assert run("key", "pair", folder, path, "--editor", "img2img:locked", "--quiet") == 0
    assert Key.load(path).editor == f"img2img:{folder}"  # from wherever it is opened next
    assert capsys.readouterr().err == ""
    assert run("key", "pair", tmp_path, path) == 5


def test_a_key_that_has_locked_nothing_is_paired_with_nothing(
    tmp_path: Path, path: Path, key: Key, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "locked").mkdir()
    write_lock(tmp_path / "locked", "0" * 32, "recipe", 1)
    assert run("key", "pair", tmp_path / "locked", path) == 4
    assert "never locked" in capsys.readouterr().err and Key.load(path) == key


def test_a_passphrase_can_come_from_a_file(
    path: Path, key: Key, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPELLWARD_PASSPHRASE", "what the file overrides")
    passphrase_file = tmp_path / "passphrase"
    passphrase_file.write_text("hidden word\r\nnot this\n")
    assert run("key", "protect", path, "--passphrase-file", passphrase_file) == 0
    assert Key.load(path, "hidden word") == key
    assert run("key", "show", path, "--passphrase-file", passphrase_file) == 0
    monkeypatch.setenv("SPELLWARD_NEW_PASSPHRASE", "new")
    assert run("key", "protect", path, "--passphrase-file", passphrase_file) == 0
    assert Key.load(path, "new") == key
    capsys.readouterr()
    passphrase_file.write_bytes(b"\xef\xbb\xbfnew\r\n")  # as editors on Windows write it
    assert run("key", "show", path, "--passphrase-file", passphrase_file) == 0
    capsys.readouterr()
    for content in (b"", b"\nlater", b"\xff\xfe"):
        passphrase_file.write_bytes(content)
        assert run("key", "show", path, "--passphrase-file", passphrase_file) == 4
        message = capsys.readouterr().err
        assert str(passphrase_file) in message and message.count("\n") == 1
    assert run("key", "show", path, "--passphrase-file", tmp_path / "none") == 4
