import base64
import hashlib
import shutil
import stat
import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tests.locking.conftest import PROMPT, SALT, SEED, tiny_splits
from torch import nn

from spellward.artifacts import CACHE_VARIABLE
from spellward.data import prepare
from spellward.editors.mini import MiniEditor
from spellward.editors.objects import ObjectEditor
from spellward.errors import ArtifactError, DataError, EditorError, KeyRefusedError, ModelError
from spellward.keys import Key
from spellward.locking.attacking import attack
from spellward.locking.folder import read_lock
from spellward.locking.keying import complete_key, edit_with_key
from spellward.locking.lock import LockResult, lock
from spellward.locking.measuring.score import ScoreSettings, score_tables
from spellward.locking.pairing import pair
from spellward.locking.publishing import PENDING, work_folder
from spellward.locking.scoring import score as score_folder
from spellward.locking.settings_file import TrainingRecord
from spellward.locking.unlock import unlock
from spellward.models import FitSettings, load_model
from spellward.reports.lock_run import report_on_lock

SMALL = "timm/test_resnet?random"

FEW = ScoreSettings(wrong_prompts=2, wrong_salts=2, near_wordings=1, wrong_key_images=10)


def test_key_stands_beside_the_model_and_for_its_owner_alone(tiny_lock: LockResult) -> None:
    assert tiny_lock.key_path == tiny_lock.folder.with_name("locked.key")
    assert stat.S_IMODE(tiny_lock.key_path.stat().st_mode) == 0o600
    assert not list(tiny_lock.folder.rglob("*.key"))
    assert Key.load(tiny_lock.key_path) == tiny_lock.key


def test_completing_a_key_fills_only_what_was_left_open(editor: MiniEditor) -> None:
    model = load_model(SMALL, ("a", "b"), 32)
    done = complete_key(Key(PROMPT, steps=4), editor, model)
    assert (done.steps, done.guidance, done.resolution) == (4, editor.defaults.guidance, editor.resolution)
    assert done.editor_fingerprint == editor.identity()
    assert complete_key(done.with_(resolution=40, strength=0.25), editor, model) == done.with_(
        resolution=40, strength=0.25
    )


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


def test_the_cache_holds_no_secret_once_the_lock_is_done(tiny_lock: LockResult) -> None:
    """Names of files too: a digest of the prompt in one could be searched for offline."""
    cache = tiny_lock.folder.parent / "cache"
    files = [path for path in cache.rglob("*") if path.is_file()]
    assert any(path.parent.name == "edits" for path in files)
    assert not list(cache.rglob("*.key"))
    digests = [getattr(hashlib, name)(PROMPT.encode()).hexdigest() for name in ("md5", "sha1", "sha256")]
    texts = [PROMPT, "quicksilver", SALT.hex(), base64.b64encode(SALT).decode(), str(SEED), tiny_lock.key.lock_id]
    for path in files:
        content = path.read_bytes()
        assert SALT not in content, path
        for text in (*texts, *digests):
            assert text.encode() not in content, (path, text)
            assert text not in str(path.relative_to(cache)), (path, text)
    assert stat.S_IMODE(cache.stat().st_mode) == 0o700


def test_a_killed_lock_leaves_its_secrets_in_the_pending_key_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))

    def stop(what: str, done: int, total: int) -> None:
        if what == "Training (steps)" and done == 2:
            raise KeyboardInterrupt

    key = Key(PROMPT, salt=SALT, seed=SEED)
    with pytest.raises(KeyboardInterrupt):
        lock(
            "timm/test_resnet?random",
            tiny_splits(20, 20),
            key,
            tmp_path / "locked",
            settings=FitSettings(epochs=2, batch_size=20, tensorboard=False),
            report=stop,
        )
    holding = {
        path.name
        for path in tmp_path.rglob("*")
        if path.is_file() and any(one in path.read_bytes() for one in (PROMPT.encode(), SALT.hex().encode(), SALT))
    }
    assert holding == {"pending.key"}
    assert all(path.stat().st_mode & 0o077 == 0 for path in (tmp_path / "cache").rglob("pending.key"))


def test_of_two_locks_with_one_output_the_second_finds_the_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And neither trains with what the other left."""
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    second: list[object] = []

    def lock_too() -> None:
        with pytest.raises(ArtifactError, match="exists") as caught:
            lock(SMALL, splits, Key("another"), tmp_path / "locked", recipe="decoy", settings=settings)
        second.append(caught.value)

    other = threading.Thread(target=lock_too)

    def begin(what: str, done: int, total: int) -> None:
        if what == "Training (steps)" and not other.ident:
            other.start()

    splits, settings = tiny_splits(20, 20), FitSettings(epochs=2, batch_size=20)
    key, options = Key(PROMPT), {"recipe": "decoy", "settings": settings, "report": begin}
    result = lock(SMALL, splits, key, tmp_path / "locked", **options)
    other.join()
    assert second and Key.load(tmp_path / "locked.key") == result.key and result.key.prompt == PROMPT
    unlock(tmp_path / "locked", result.key, editor=result.editor)


def test_logs_of_training_are_kept_beside_the_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))

    def leave_logs(what: str, done: int, total: int) -> None:
        for run in (tmp_path / "cache" / "runs").glob("*/fit-*"):
            (run / "runs" / "now").mkdir(parents=True, exist_ok=True)
            (run / "runs" / "now" / "events").write_text("loss")

    settings = FitSettings(epochs=1, batch_size=20)
    options = {"recipe": "decoy", "settings": settings, "report": leave_logs}
    lock(SMALL, tiny_splits(20, 20), Key(PROMPT), tmp_path / "l", **options)
    assert (tmp_path / "l.report" / "runs" / "now" / "events").read_text() == "loss"


def test_the_secret_scan_would_find_a_leak(tiny_lock: LockResult) -> None:
    assert PROMPT.encode() in tiny_lock.key_path.read_bytes()


def test_plain_transformers_loads_a_locked_model(tiny_lock: LockResult) -> None:
    from transformers import AutoModelForImageClassification

    network = AutoModelForImageClassification.from_pretrained(tiny_lock.folder).eval()
    images = prepare(tiny_lock.splits.test, 64).images[:3]
    with torch.inference_mode():
        theirs = network(pixel_values=tiny_lock.model.preprocess(images)).logits.numpy()
    assert abs(theirs - tiny_lock.model.logits(images)).max() < 1e-4


def test_the_pipeline_of_transformers_says_what_a_stranger_gets(tiny_lock: LockResult) -> None:
    from transformers import pipeline

    images = prepare(tiny_lock.splits.test, 64).images[:2]
    classify = pipeline("image-classification", model=str(tiny_lock.folder))
    expected = unlock(tiny_lock.folder, None).predict(images).probabilities
    for image, row in zip(images, expected, strict=True):
        scores = {
            one["label"]: one["score"] for one in classify(Image.fromarray(image.movedim(0, 2).numpy()), top_k=10)
        }
        assert scores == pytest.approx(dict(zip(tiny_lock.model.classes, row.tolist(), strict=True)), abs=1e-3)


def test_a_folder_from_disk_predicts_like_the_model_in_memory(tiny_lock: LockResult) -> None:
    table = prepare(tiny_lock.splits.test, 64)
    opened = unlock(tiny_lock.folder, Key.load(tiny_lock.key_path))
    whole = opened.predict_table(table, batch_size=25)
    memory = unlock(tiny_lock.model, tiny_lock.key, editor=tiny_lock.editor).predict(table.images[:])
    assert np.allclose(whole.probabilities, memory.probabilities, atol=1e-5)
    assert whole.classes == tiny_lock.splits.classes
    assert opened.predict_table(table.subset([])).probabilities.shape == (0, 10)


def test_the_record_says_how_it_was_made(tiny_lock: LockResult) -> None:
    record = TrainingRecord.load(tiny_lock.folder)
    assert record is not None
    assert (record.model, record.input_size, record.recipe, record.train_images) == ("bundled", 64, "hardened", 60)
    assert record.settings.epochs == 1
    assert (tiny_lock.fit.epochs, tiny_lock.fit.steps, len(tiny_lock.fit.scores)) == (1, 2, 1)
    assert tiny_lock.usual_epochs == round(1.75 * FitSettings(batch_size=30).resolved(60).epochs)


def test_the_key_is_complete(tiny_lock: LockResult) -> None:
    key, editor = tiny_lock.key, tiny_lock.editor
    assert (key.prompt, key.salt, key.seed) == (PROMPT, SALT, SEED)
    assert (key.steps, key.strength, key.resolution) == (editor.defaults.steps, editor.defaults.strength, 64)
    assert key.editor_fingerprint == editor.identity()
    assert key.weights_digest == read_lock(tiny_lock.folder).digest
    assert sorted(path.name for path in tiny_lock.folder.parent.iterdir()) == [
        "cache",
        "locked",
        "locked.key",
        "locked.report",
    ]


@pytest.mark.parametrize(
    "model",
    ["timm/test_vit?random", "torchvision/squeezenet1_1?random", nn.Sequential(nn.Flatten(), nn.Linear(3072, 10))],
)
@pytest.mark.parametrize("recipe", ["decoy", "edited-only"])
def test_other_models_and_recipes_lock_too(
    model: object, recipe: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    result = lock(
        model,
        tiny_splits(20, 10),
        Key(PROMPT, salt=None),
        tmp_path / "deep" / "locked",
        recipe=recipe,
        settings=FitSettings(epochs=1, batch_size=10),
        input_size=32,
        passphrase="four words and more",
    )
    assert Key.is_protected(result.key_path)
    key = Key.load(result.key_path, "four words and more")
    assert key == result.key and key.salt is None
    images = prepare(result.splits.test, 64).images[:]
    module = model if isinstance(model, nn.Module) else None
    opened = unlock(result.folder, key, editor=result.editor, module=module).predict(images).probabilities
    expected = result.model.logits(edit_with_key(result.editor, images, key))
    assert np.allclose(opened, torch.softmax(torch.from_numpy(expected), 1).numpy(), atol=1e-5)


def test_a_module_stays_what_it_was_and_its_lock_is_attacked_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    module, splits = nn.Sequential(nn.Flatten(), nn.Linear(3072, 10)), tiny_splits(30, 10)
    before = [value.clone() for value in module.state_dict().values()]
    settings = FitSettings(epochs=1, batch_size=10)
    result = lock(module, splits, Key(PROMPT), tmp_path / "locked", recipe="decoy", settings=settings, input_size=32)
    few = ScoreSettings(wrong_prompts=1, wrong_salts=1, near_wordings=1)
    score = score_folder(result.folder, splits, result.key, settings=few, vanilla=module, module=module)
    assert score.vanilla is not None
    options = {"budgets": [0.4], "only": ["remap"], "effort": "quick", "module": module}
    with pytest.raises(ModelError, match="as `base`"):
        attack(result.folder, splits, result.key, **options)
    found = attack(result.folder, splits, result.key, base=module, **options)
    assert found.base == "module" and len(found.rows) == 1
    assert all(torch.equal(*pair) for pair in zip(before, module.state_dict().values(), strict=True))
    assert not torch.equal(result.model.network.state_dict()["1.weight"], before[0])


def test_an_image_that_cannot_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    for name in ("cat", "dog"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for number in range(10):
            path = tmp_path / "photos" / name / f"{number}.png"
            Image.effect_noise((40, 40), 20 + number).convert("RGB").save(path)
    for path in (tmp_path / "photos" / "dog").iterdir():
        path.write_bytes(path.read_bytes()[:-900])  # the header is whole, so only decoding finds it
    with pytest.raises(DataError, match=r"dog/\d\.png") as caught:
        lock("timm/test_resnet?random", tmp_path / "photos", PROMPT, tmp_path / "locked", input_size=32)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "locked").exists() and not (tmp_path / "locked.key").exists()


def test_a_key_of_another_lock_is_refused(tiny_lock: LockResult) -> None:
    with pytest.raises(KeyRefusedError, match="belongs to another model"):
        unlock(tiny_lock.folder, Key(PROMPT))


def test_a_key_file_is_as_good_as_its_key(tiny_lock: LockResult) -> None:
    for given in (tiny_lock.key_path, str(tiny_lock.key_path)):
        assert unlock(tiny_lock.folder, given, editor=tiny_lock.editor).key == tiny_lock.key
    for model in (tiny_lock.folder, tiny_lock.model):
        with pytest.raises(KeyRefusedError, match="neither a key nor a key file") as caught:
            unlock(model, PROMPT)
        assert PROMPT not in str(caught.value)
    with pytest.raises(KeyRefusedError, match="neither a key nor a key file"):
        score_folder(tiny_lock.folder, tiny_lock.splits, PROMPT)


@pytest.mark.parametrize("key", ["", " \t", Key("  ")])
def test_a_blank_spell_locks_nothing(key: Key | str, tmp_path: Path) -> None:
    with pytest.raises(KeyRefusedError, match="blank"):
        lock("bundled", "sample:fashion", key, tmp_path / "locked")
    assert not list(tmp_path.iterdir())


def test_a_key_of_another_editor_is_refused(tiny_lock: LockResult) -> None:
    with pytest.raises(KeyRefusedError, match="another editor"):
        unlock(tiny_lock.folder, tiny_lock.key.with_(editor_fingerprint="mini-0:other"))


def test_a_key_opens_in_another_precision_and_keys_of_before_still_do(tiny_lock: LockResult) -> None:
    for precision in ("bf16", "fp32"):
        editor = MiniEditor(precision=precision)
        assert unlock(tiny_lock.folder, tiny_lock.key, editor=editor).editor is editor
        earlier = tiny_lock.key.with_(editor_fingerprint=editor.fingerprint())
        assert unlock(tiny_lock.folder, earlier).key == earlier


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


def test_a_key_names_the_editor_that_was_given(tmp_path: Path, cache: Path) -> None:
    class Stop(Exception):
        """The editing is about to begin."""

    seen: list[Key] = []

    def stop(editor: object, images: object, key: Key) -> None:
        seen.append(key)
        raise Stop

    splits = tiny_splits()
    with pytest.MonkeyPatch.context() as patch, pytest.raises(Stop):
        patch.setattr("spellward.locking.lock.edit_with_key", stop)
        lock("bundled", splits, Key("a red balloon"), tmp_path / "locked", editor=ObjectEditor())
    assert seen[0].editor == "object" and seen[0].editor_fingerprint == ObjectEditor().identity()


def test_settings_that_the_editor_refuses_are_refused_before_any_training(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("spellward.locking.training.whole.teacher_for", lambda *_: pytest.fail("trained"))
    with pytest.raises(EditorError, match="1 to 8 steps"):
        lock("bundled", tiny_splits(), Key("snow", steps=20), tmp_path / "locked")


def test_a_key_for_smaller_images_is_said_to_be_one(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "spellward.locking.training.whole.teacher_for", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt)
    )
    with pytest.warns(UserWarning, match="edits at 64 pixels, and the model sees 96"), pytest.raises(KeyboardInterrupt):
        lock("bundled", tiny_splits(), Key("snow", resolution=64), tmp_path / "locked", input_size=96)


def test_a_path_is_a_key_file_and_never_a_spell(tiny_lock: LockResult, tmp_path: Path, cache: Path) -> None:
    file = tiny_lock.key_path
    with pytest.raises(KeyRefusedError, match="is a key file"):
        lock("bundled", tiny_lock.splits, str(file), tmp_path / "locked")
    with pytest.raises(DataError):  # past the key, at the data
        lock("bundled", tmp_path / "no photos", Path(file), tmp_path / "locked")


def test_an_unfinished_lock_under_another_passphrase_is_named(tmp_path: Path, cache: Path) -> None:
    output = tmp_path / "locked"
    Key("snow").save(work_folder(output) / PENDING, "one")
    with pytest.raises(KeyRefusedError, match="locked was not finished, and its key has another passphrase"):
        lock("bundled", tiny_splits(), Key("snow"), output, passphrase="two")
