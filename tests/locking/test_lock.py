import base64
import hashlib
import shutil
import stat
from pathlib import Path

import pytest
import torch
from tests.locking.conftest import PROMPT, SALT, SEED

from spellward.data import prepare
from spellward.errors import ArtifactError, KeyRefusedError
from spellward.keys import Key
from spellward.locking.lock import LockResult, lock
from spellward.locking.pairing import pair
from spellward.locking.score import ScoreSettings, score_tables
from spellward.locking.unlock import edit_with_key, unlock
from spellward.reports.lock_run import report_on_lock

FEW = ScoreSettings(wrong_prompts=2, wrong_salts=2, near_wordings=1, wrong_key_images=10)


def test_key_stands_beside_the_model_and_for_its_owner_alone(tiny_lock: LockResult) -> None:
    assert tiny_lock.key_path == tiny_lock.folder.with_name("locked.key")
    assert stat.S_IMODE(tiny_lock.key_path.stat().st_mode) == 0o600
    assert not list(tiny_lock.folder.rglob("*.key"))
    assert Key.load(tiny_lock.key_path) == tiny_lock.key


def test_nothing_but_the_key_holds_the_secrets(tiny_lock: LockResult, tmp_path: Path) -> None:
    _, page = report_on_lock(tiny_lock, FEW)
    editor = tiny_lock.editor
    secrets = {
        "prompt": PROMPT.encode(),
        "a word of the prompt": b"quicksilver",
        "salt": SALT,
        "salt in hexadecimal": SALT.hex().encode(),
        "salt in base64": base64.b64encode(SALT),
        "seed": str(SEED).encode(),
        "editor": editor.fingerprint().encode(),
        "weights of the editor": editor.fingerprint().rpartition(":")[2].encode(),
        "name of the editor": b'"mini"',
        **{name: getattr(hashlib, name)(PROMPT.encode()).hexdigest().encode() for name in ("md5", "sha1", "sha256")},
    }
    edited = edit_with_key(editor, prepare(tiny_lock.splits.test, 64).images[:4], tiny_lock.key)
    secrets["edited sample"] = edited[0].numpy().tobytes()[:512]
    files = [path for folder in (tiny_lock.folder, page.parent) for path in folder.rglob("*") if path.is_file()]
    assert len(files) >= 6
    for path in files:
        content = path.read_bytes()
        for name, secret in secrets.items():
            assert secret not in content, f"{path.name} holds the {name}"
    assert b"data:image" not in (page.parent / "public.html").read_bytes()
    assert b"data:image" in page.read_bytes()


def test_the_secret_scan_would_find_a_leak(tiny_lock: LockResult) -> None:
    assert PROMPT.encode() in tiny_lock.key_path.read_bytes()


def test_plain_transformers_loads_a_locked_model(tiny_lock: LockResult) -> None:
    from transformers import AutoModelForImageClassification

    network = AutoModelForImageClassification.from_pretrained(tiny_lock.folder).eval()
    images = prepare(tiny_lock.splits.test, 64).images[:3]
    with torch.inference_mode():
        theirs = network(pixel_values=tiny_lock.model.preprocess(images)).logits.numpy()
    assert abs(theirs - tiny_lock.model.logits(images)).max() < 1e-4


def test_a_key_of_another_lock_is_refused(tiny_lock: LockResult) -> None:
    with pytest.raises(KeyRefusedError, match="belongs to another model"):
        unlock(tiny_lock.folder, Key(PROMPT))


def test_a_key_of_another_editor_is_refused(tiny_lock: LockResult) -> None:
    with pytest.raises(KeyRefusedError, match="another editor"):
        unlock(tiny_lock.folder, tiny_lock.key.with_(editor_fingerprint="mini-0:other"))


def test_an_altered_checkpoint_is_refused_until_it_is_paired_anew(tiny_lock: LockResult, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(tiny_lock.folder, copy)
    weights = copy / "model.safetensors"
    raw = bytearray(weights.read_bytes())
    raw[-1] ^= 1
    weights.write_bytes(bytes(raw))
    with pytest.raises(ArtifactError, match="altered"):
        unlock(copy, tiny_lock.key)
    assert unlock(copy, pair(copy, tiny_lock.key)).model.classes == tiny_lock.model.classes


def test_an_earlier_lock_is_never_written_over(tiny_lock: LockResult) -> None:
    with pytest.raises(ArtifactError, match="exists"):
        lock("bundled", tiny_lock.splits, "another spell", tiny_lock.folder)


def test_unlocking_edits_and_predicts_in_one_call(tiny_lock: LockResult) -> None:
    images = prepare(tiny_lock.splits.test, 64).images[:5]
    opened = unlock(tiny_lock.folder, tiny_lock.key).predict(images)
    assert opened.probabilities.shape == (5, 10)
    assert opened.probabilities.sum(axis=1) == pytest.approx(1.0, abs=1e-5)
    assert opened.edit_seconds > 0
    assert len(next(opened.top(3))) == 3


def test_score_has_every_figure_as_a_fraction(tiny_lock: LockResult) -> None:
    train, test = (prepare(part, 64).subset(range(40)) for part in (tiny_lock.splits.train, tiny_lock.splits.test))
    *steps, last = score_tables(
        tiny_lock.model, tiny_lock.key, tiny_lock.editor, train, test, settings=FEW, vanilla=tiny_lock.model
    )
    assert [done for done, _, _ in steps] == sorted(done for done, _, _ in steps)
    assert last[2] is not None
    summary = last[2].summary()
    for name in ("vanilla", "up", "lp", "argmin", "leak", "wrong_best", "wrong_mean", "salts_best"):
        assert summary[name] is not None and 0 <= summary[name] <= 1, name
    assert all(PROMPT not in one.what for one in last[2].wrong)
