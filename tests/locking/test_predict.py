"""Predictions for image files are those for the same pixels, and a file that cannot be read is named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from spellward.artifacts import CACHE_VARIABLE
from spellward.errors import DataError, StorageError
from spellward.locking.keying import edit_with_key
from spellward.locking.lock import LockResult
from spellward.locking.predict import edit_file, image_files, is_own_picture, predict_files
from spellward.locking.unlock import UnlockedModel, unlock


@pytest.fixture(scope="module")
def unlocked(tiny_lock: LockResult) -> UnlockedModel:
    return unlock(tiny_lock.folder, tiny_lock.key, editor=tiny_lock.editor)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    (folder / "more").mkdir(parents=True)
    rng = np.random.default_rng(0)
    for number in range(5):
        pixels = rng.integers(0, 256, (64, 64, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / ("more" if number > 2 else ".") / f"{number}.png")
    (folder / "notes.txt").write_text("no image")
    return folder


def pixels_of(files: list[Path]) -> torch.Tensor:
    return torch.from_numpy(np.stack([np.asarray(Image.open(path).convert("RGB")) for path in files])).movedim(3, 1)


def test_folders_give_their_images_and_files_stand_for_themselves(photos: Path) -> None:
    found = image_files([photos, photos / "notes.txt"])
    assert [path.name for path in found] == ["0.png", "1.png", "2.png", "3.png", "4.png", "notes.txt"]
    with pytest.raises(DataError, match=r"none\.jpg"):
        image_files([photos / "none.jpg"])
    (photos / "empty").mkdir()
    with pytest.raises(DataError, match="has no images"):
        image_files([photos / "empty"])


def test_folders_give_every_kind_that_is_trained_on_and_nothing_hidden(tmp_path: Path) -> None:
    for name in ("a.png", "b.ppm", "c.jp2", "._a.png", ".trash/d.png", "notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert [path.name for path in image_files([tmp_path])] == ["a.png", "b.ppm", "c.jp2"]
    assert image_files([tmp_path / "._a.png"]) == [tmp_path / "._a.png"]


def test_pictures_of_an_earlier_run_are_told_from_images(tmp_path: Path) -> None:
    output = tmp_path / "masks"
    own = [output / f"street{end}" for end in (".mask.png", ".overlay.png", ".instances.png")]
    assert all(is_own_picture(path, tmp_path / "x" / ".." / "masks") for path in own)
    assert not any(is_own_picture(path, output) for path in (output / "street.png", tmp_path / "street.mask.png"))


def test_files_are_predicted_as_their_pixels_are(unlocked: UnlockedModel, photos: Path) -> None:
    files = image_files([photos])
    parts = list(predict_files(unlocked, files, batch_size=2))
    assert [path for some, _ in parts for path in some] == files
    ours = np.concatenate([part.probabilities for _, part in parts])
    assert np.allclose(ours, unlocked.predict(pixels_of(files)).probabilities, atol=1e-5)
    assert list(predict_files(unlocked, [])) == []


@pytest.mark.parametrize("mode", ["L", "RGBA", "P", "1", "I;16", "CMYK"])
def test_any_kind_of_image_of_any_size(mode: str, unlocked: UnlockedModel, tmp_path: Path) -> None:
    image = Image.fromarray(np.arange(30 * 50, dtype=np.uint16).reshape(30, 50)) if mode == "I;16" else None
    path = tmp_path / ("image.tiff" if mode == "CMYK" else "image.png")
    (image or Image.effect_noise((50, 30), 60).convert("RGB").convert(mode)).save(path)
    ((_, predictions),) = predict_files(unlocked, [path])
    assert predictions.probabilities.shape == (1, 10)
    assert predictions.probabilities.sum() == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("content", [b"", b"no image", b"\x89PNG\r\n\x1a\nnot really"])
def test_a_broken_file_is_named(content: bytes, unlocked: UnlockedModel, photos: Path) -> None:
    (photos / "broken.png").write_bytes(content)
    with pytest.raises(DataError, match=r"broken\.png") as caught:
        list(predict_files(unlocked, image_files([photos])))
    assert "\n" not in str(caught.value)


def test_an_edited_file_is_what_the_model_sees(
    tiny_lock: LockResult, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    edit_file(photos / "0.png", tiny_lock.key, tmp_path / "look.png")
    expected = edit_with_key(tiny_lock.editor, pixels_of([photos / "0.png"]), tiny_lock.key)
    assert torch.equal(pixels_of([tmp_path / "look.png"]), expected)
    with pytest.raises(StorageError, match="nowhere"):
        edit_file(photos / "0.png", tiny_lock.key, tmp_path / "nowhere" / "look.png")
    with pytest.raises(StorageError, match=r"Cannot write /proc/look\.png: .*\. .*\."):  # a file system that is none
        edit_file(photos / "0.png", tiny_lock.key, Path("/proc/look.png"))
    with pytest.raises(DataError, match=r"notes\.txt"):
        edit_file(photos / "notes.txt", tiny_lock.key, tmp_path / "look.png")


def test_a_list_of_files_or_pictures_is_predicted_as_its_pixels_are(unlocked: UnlockedModel, photos: Path) -> None:
    files = image_files([photos])
    expected = unlocked.predict(pixels_of(files)).probabilities
    for images in (files, [str(path) for path in files], tuple(Image.open(path) for path in files), iter(files)):
        assert np.allclose(unlocked.predict(images).probabilities, expected, atol=1e-5)
    assert np.allclose(unlocked.predict(pixels_of(files).numpy()).probabilities, expected, atol=1e-5)
    for one in (files[0], str(files[0]), Image.open(files[0])):
        assert np.allclose(unlocked.predict(one).probabilities, expected[:1], atol=1e-5)
    for wrong in (5, pixels_of(files).float()):
        with pytest.raises(DataError, match="Images are a uint8 tensor"):
            unlocked.predict(wrong)  # type: ignore[arg-type]


def test_without_a_key_nothing_is_edited(tiny_lock: LockResult, photos: Path) -> None:
    shut = unlock(tiny_lock.folder, None)
    images = pixels_of(image_files([photos]))
    expected = torch.softmax(torch.from_numpy(tiny_lock.model.logits(images)), 1).numpy()
    assert np.allclose(shut.predict(images).probabilities, expected, atol=1e-5)
    assert shut.resolution == 64


def test_the_likeliest_classes_come_first(unlocked: UnlockedModel, photos: Path) -> None:
    predictions = unlocked.predict(pixels_of(image_files([photos])))
    for row, best in zip(predictions.probabilities, predictions.top(4), strict=True):
        assert len(best) == 4
        assert [chance for _, chance in best] == sorted(row.tolist(), reverse=True)[:4]
        assert best[0][0] == predictions.classes[int(row.argmax())]
    assert all(len(best) == len(predictions.classes) for best in predictions.top(99))
