from __future__ import annotations

import json
import os
import pickle
import stat
import warnings
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from spellward.errors import KeyRefusedError, StorageError
from spellward.keys import Key, is_blank, key_from

PROMPT = "with oil pastel"
PASSPHRASE = "correct horse battery staple"
GOLDEN = Key(
    PROMPT,
    salt=bytes(range(16)),
    seed=987654321,
    editor="mini",
    editor_fingerprint="mini/1 golden",
    steps=4,
    guidance=7.5,
    image_guidance=1.5,
    strength=0.9,
    resolution=64,
    lock_id="0123456789abcdef" * 2,
    weights_digest="ab" * 32,
)
PROMPTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=300)
LEVELS = st.none() | st.floats(0, 1000)
KEYS = st.builds(
    Key,
    prompt=PROMPTS,
    salt=st.none() | st.binary(min_size=16, max_size=16),
    seed=st.integers(0, 2**63 - 1),
    editor=PROMPTS,
    editor_fingerprint=PROMPTS,
    steps=st.none() | st.integers(1, 1000),
    guidance=LEVELS,
    image_guidance=LEVELS,
    strength=st.none() | st.floats(0, 1, exclude_min=True),
    resolution=st.none() | st.integers(8, 4096),
)
SAME_FOLDER = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def document(key: Key, path: Path, passphrase: str | None = None) -> dict[str, Any]:
    key.save(path, passphrase, overwrite=True)
    loaded: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return loaded


def refusal(path: Path, content: str | bytes | dict[str, Any], passphrase: str | None = None) -> str:
    """The one-line message with which a file of this content is refused."""
    if isinstance(content, dict):
        content = json.dumps(content)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    path.chmod(0o600)
    with pytest.raises(KeyRefusedError) as caught:
        Key.load(path, passphrase)
    message = str(caught.value)
    assert str(path) in message and "\n" not in message and len(message) < 300 + len(str(path))
    assert message.endswith(".")
    return message


@SAME_FOLDER
@given(key=KEYS)
def test_a_key_comes_back_exactly_from_its_file(tmp_path: Path, key: Key) -> None:
    key.save(tmp_path / "key", overwrite=True)
    assert Key.load(tmp_path / "key") == key


@settings(SAME_FOLDER, max_examples=6)
@given(key=KEYS, passphrase=st.text(min_size=1, max_size=40))
def test_a_key_comes_back_exactly_from_its_protected_file(tmp_path: Path, key: Key, passphrase: str) -> None:
    key.save(tmp_path / "key", passphrase, overwrite=True)
    assert Key.load(tmp_path / "key", passphrase) == key


@pytest.mark.parametrize("prompt", ["", "x" * 10_000, "\U0001f9d9" * 10_000, "\0\n\r\u2028\ufeff\uffff", "e\u0301"])
@pytest.mark.parametrize("passphrase", [None, PASSPHRASE])
def test_prompts_at_the_edges_come_back_exactly(tmp_path: Path, prompt: str, passphrase: str | None) -> None:
    key = Key(prompt)
    key.save(tmp_path / "key", passphrase)
    assert Key.load(tmp_path / "key", passphrase).prompt == prompt


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"prompt": "x" * 10_001}, "10000"),
        ({"prompt": "half \ud83e"}, "prompt"),
        ({"prompt": b"bytes"}, "prompt"),
        ({"salt": b"short"}, "16 bytes"),
        ({"seed": -1}, "seed"),
        ({"seed": True}, "seed"),
        ({"steps": 0}, "steps"),
        ({"steps": 1.0}, "steps"),
        ({"guidance": float("nan")}, "guidance"),
        ({"strength": 0.0}, "strength"),
        ({"resolution": 10**6}, "resolution"),
        ({"lock_id": "0123"}, "lock_id"),
        ({"weights_digest": "sha256"}, "weights_digest"),
        ({"magic": 1}, "magic"),
    ],
)
def test_a_value_that_a_key_cannot_have_is_named(fields: dict[str, Any], says: str) -> None:
    with pytest.raises(KeyRefusedError, match=says) as caught:
        Key(**{"prompt": PROMPT, **fields})
    assert "x" * 100 not in str(caught.value)


def test_two_keys_of_one_prompt_differ_in_salt_seed_and_lock() -> None:
    first, second = Key(PROMPT), Key(PROMPT)
    assert first.salt != second.salt and first.seed != second.seed and first.lock_id != second.lock_id
    assert Key(PROMPT, salt=None).salt is None


def test_a_key_is_frozen_and_changes_give_a_new_one() -> None:
    with pytest.raises(Exception, match="frozen"):
        GOLDEN.prompt = "other"  # type: ignore[misc]
    assert GOLDEN.with_(prompt="other").with_(prompt=PROMPT) == GOLDEN
    with pytest.raises(KeyRefusedError):
        GOLDEN.with_(steps=0)
    assert pickle.loads(pickle.dumps(GOLDEN)) == GOLDEN
    assert {GOLDEN: 1}[GOLDEN.with_()] == 1


def test_no_text_of_a_key_tells_the_secrets(tmp_path: Path) -> None:
    from rich.console import Console

    with Console().capture() as _, (tmp_path / "out").open("w") as file:
        Console(file=file).print(GOLDEN)
    texts = [repr(GOLDEN), str(GOLDEN), f"{GOLDEN}", repr([GOLDEN]), (tmp_path / "out").read_text()]
    for text in texts:
        assert PROMPT not in text and "987654321" not in text and "pastel" not in text and "0.9" not in text
        assert "\\x01\\x02" not in text and "01234567..." in text


def test_a_refusal_does_not_carry_the_secrets(tmp_path: Path) -> None:
    content = document(GOLDEN, tmp_path / "key") | {"steps": "many"}
    (tmp_path / "key").write_text(json.dumps(content))
    with pytest.raises(KeyRefusedError) as caught:
        Key.load(tmp_path / "key")
    error: BaseException | None = caught.value
    while error is not None:
        assert PROMPT not in str(error)
        error = error.__cause__


def test_only_the_owner_can_read_a_key_whatever_the_umask(tmp_path: Path) -> None:
    path = tmp_path / "key"
    before = os.umask(0)
    try:
        GOLDEN.save(path)
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        path.chmod(0o666)
        GOLDEN.save(path, overwrite=True)
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Key.load(path)
    assert [child.name for child in tmp_path.iterdir()] == ["key"]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o622])
def test_a_key_that_others_can_reach_is_warned_about(tmp_path: Path, mode: int) -> None:
    GOLDEN.save(tmp_path / "key")
    (tmp_path / "key").chmod(mode)
    with pytest.warns(UserWarning, match="chmod 600"):
        assert Key.load(tmp_path / "key") == GOLDEN


def test_an_existing_key_is_kept_unless_told_otherwise(tmp_path: Path) -> None:
    GOLDEN.save(tmp_path / "key")
    with pytest.raises(KeyRefusedError, match="exists"):
        Key("another").save(tmp_path / "key")
    assert Key.load(tmp_path / "key") == GOLDEN


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="does not exist"):
        GOLDEN.save(tmp_path / "nowhere" / "key")


def test_files_that_are_no_keys_are_refused(tmp_path: Path) -> None:
    path, good = tmp_path / "key", document(GOLDEN, tmp_path / "key")
    text = json.dumps(good)
    for foreign in ("", "[]", "null", '"key"', "{}", '{"format": "other"}', b"\xff\xfe\x00", b"\x80PNG", "[" * 100_000):
        refusal(path, foreign)
    for end in range(0, len(text), 7):
        refusal(path, text[:end])
    assert "version 2" in refusal(path, good | {"version": 2})
    refusal(path, good | {"version": True})
    refusal(path, good | {"version": "1"})
    assert "magic" in refusal(path, good | {"magic": 1})
    assert "too large" in refusal(path, json.dumps(good) + " " * 1_000_001)
    refusal(path, good | {"salt": "no hex"})
    refusal(path, good | {"salt": 5})
    refusal(path, good | {"salt": "00"})
    refusal(path, text.replace('"seed": 987654321', '"seed": 1234567, "seed": 1'))
    refusal(path, text.replace("7.5", "NaN"))
    assert "prompt" in refusal(path, good | {"prompt": "\ud83e"})


@pytest.mark.parametrize("field", Key.model_fields)
def test_a_missing_field_is_never_filled_with_a_fresh_one(tmp_path: Path, field: str) -> None:
    content = document(GOLDEN, tmp_path / "key")
    del content[field]
    assert field in refusal(tmp_path / "key", content)


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "missing", Path(os.devnull), tmp_path / "a" / "b"):
        with pytest.raises(KeyRefusedError):
            Key.load(path)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(KeyRefusedError, match="not a file"):
        Key.load(tmp_path / "pipe")


def test_a_wrong_passphrase_is_refused_in_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "key"
    GOLDEN.save(path, PASSPHRASE)
    assert Key.is_protected(path)
    assert PROMPT.encode() not in path.read_bytes()
    for wrong in ("", "wrong", PASSPHRASE + " "):
        with pytest.raises(KeyRefusedError, match=r"passphrase for .* is wrong"):
            Key.load(path, wrong)
    with pytest.raises(KeyRefusedError, match="is protected"):
        Key.load(path)
    with pytest.raises(KeyRefusedError, match="at least one character"):
        GOLDEN.save(tmp_path / "other", "")


def test_a_passphrase_is_the_same_from_any_keyboard(tmp_path: Path) -> None:
    GOLDEN.save(tmp_path / "key", "e\u0301")
    assert Key.load(tmp_path / "key", "\u00e9") == GOLDEN


def test_altered_protection_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "key"
    good = document(GOLDEN, path, PASSPHRASE)
    sealed = good["protected"]
    assert (sealed["kdf"], sealed["n"], sealed["r"], sealed["p"]) == ("scrypt", 2**15, 8, 1)
    assert "altered" in refusal(path, good | {"lock_id": "0" * 32}, PASSPHRASE)
    assert "altered" in refusal(path, good | {"magic": 1}, PASSPHRASE)
    # 2**14 is a cost this version would read; the AAD alone must refuse the change.
    assert "altered" in refusal(path, good | {"protected": sealed | {"n": 2**14}}, PASSPHRASE)
    for change in (
        {"n": 2**30}, {"n": 2}, {"n": [1]}, {"r": 9}, {"p": True}, {"kdf": "none"}, {"nonce": ""}, {"salt": 1},
        {"ciphertext": "?"}, {"ciphertext": None}, {"more": 1},
    ):  # fmt: skip
        assert "broken" in refusal(path, good | {"protected": sealed | change}, PASSPHRASE)
    for instead in (None, [], {}, "text"):
        assert "broken" in refusal(path, good | {"protected": instead}, PASSPHRASE)


@pytest.mark.parametrize(("name", "passphrase"), [("key-v1.key", None), ("key-v1-protected.key", PASSPHRASE)])
def test_keys_of_version_1_still_load(golden: Path, update_golden: bool, name: str, passphrase: str | None) -> None:
    if update_golden:
        GOLDEN.save(golden / name, passphrase, overwrite=True)
    with warnings.catch_warnings():
        # A checkout does not keep the mode 0600.
        warnings.simplefilter("ignore")
        assert Key.load(golden / name, passphrase) == GOLDEN


def test_an_unprotected_key_is_written_as_it_was(golden: Path, tmp_path: Path) -> None:
    GOLDEN.save(tmp_path / "key")
    assert (tmp_path / "key").read_bytes() == (golden / "key-v1.key").read_bytes()


def test_a_key_is_taken_from_its_file_too(tmp_path: Path) -> None:
    GOLDEN.save(tmp_path / "key")
    assert key_from(GOLDEN) is GOLDEN
    assert key_from(tmp_path / "key") == key_from(str(tmp_path / "key")) == GOLDEN


@pytest.mark.parametrize("given", [PROMPT, "", "x" * 10_000, "\0", "\ud83e", ".", None, 5, b"key"])
def test_what_is_no_key_is_refused_and_not_repeated(given: Any) -> None:
    with pytest.raises(KeyRefusedError, match=r"Give Key\.load\(path\) or the path of the key file\.$") as caught:
        key_from(given)
    assert PROMPT not in str(caught.value) and caught.value.__context__ is None


def test_a_string_that_names_a_file_by_chance_is_not_repeated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / PROMPT).write_text("no key")
    with pytest.raises(KeyRefusedError, match=r"cannot be used; give Key\.load\(path\)") as caught:
        key_from(PROMPT)
    assert PROMPT not in str(caught.value) and caught.value.__context__ is None
    with pytest.raises(KeyRefusedError, match="cannot be read"):
        key_from(tmp_path / "none")


def test_a_protected_key_needs_its_passphrase_said(tmp_path: Path) -> None:
    GOLDEN.save(tmp_path / "key", PASSPHRASE)
    for path in (tmp_path / "key", str(tmp_path / "key")):
        with pytest.raises(KeyRefusedError, match=r"is protected.*Key\.load\(path, passphrase\)"):
            key_from(path)


def test_a_prompt_of_spaces_alone_is_blank() -> None:
    assert all(map(is_blank, ("", " ", "\t\n", "\u3000")))
    assert not any(map(is_blank, (PROMPT, " x ", "\U0001f9d9")))


def test_behind_a_link_the_key_itself_is_replaced(tmp_path: Path) -> None:
    vault = tmp_path / "vault.key"
    GOLDEN.save(vault)
    (tmp_path / "my.key").symlink_to(vault)
    GOLDEN.save(tmp_path / "my.key", "word", overwrite=True)
    assert (tmp_path / "my.key").is_symlink() and Key.is_protected(vault)
    assert PROMPT not in vault.read_text(encoding="utf-8")
