import shutil
from pathlib import Path

import pytest
import torch

from spellward.editors import load_editor
from spellward.editors.base import EditSettings, blend
from spellward.editors.mini.editor import WEIGHTS, MiniEditor
from spellward.errors import EditorError

WHOLE = EditSettings(steps=2, guidance=1.0, image_guidance=1.0, strength=1.0)
STRANGE = ("", " ", "a" * 10_000, "日本の版画", "🐉🔥", "שלום", "\ud800 half", "nul \0 byte", "Ω≈ç√")


@pytest.fixture(scope="module")
def editor() -> MiniEditor:
    return MiniEditor()


@pytest.fixture(scope="module")
def images() -> torch.Tensor:
    rough = torch.rand((5, 3, 8, 8), generator=torch.Generator().manual_seed(0))
    return (torch.nn.functional.interpolate(rough, size=(64, 64), mode="bilinear") * 255).to(torch.uint8)


def decibels(first: torch.Tensor, second: torch.Tensor) -> float:
    error = ((first.float() - second.float()) / 255).square().mean()
    return float(-10 * torch.log10(error + 1e-12))


def rms(first: torch.Tensor, second: torch.Tensor) -> float:
    return float(((first.float() - second.float()) / 255).square().mean().sqrt())


def test_pixels_do_not_depend_on_batch_or_order(editor: MiniEditor, images: torch.Tensor) -> None:
    prompts, salts = [f"style {n}" for n in range(5)], [None, *(bytes([n] * 16) for n in range(4))]
    together = editor.edit(images, prompts, 3, salts)
    order = [3, 0, 4, 2, 1]
    shuffled = editor.edit(images[order], [prompts[n] for n in order], 3, [salts[n] for n in order])
    alone = torch.cat([editor.edit(images[n : n + 1], prompts[n], 3, salts[n]) for n in range(5)])
    assert torch.equal(together, alone)
    assert torch.equal(together[order], shuffled)


@pytest.mark.parametrize("size", [(17, 23), (64, 64), (100, 75), (8, 128), (1, 1)])
def test_any_size_comes_back_as_it_was(editor: MiniEditor, size: tuple[int, int]) -> None:
    picture = torch.randint(0, 256, (2, 3, *size), dtype=torch.uint8)
    edited = editor.edit(picture, "snow", settings=WHOLE)
    assert edited.shape == picture.shape
    assert edited.dtype == torch.uint8


@pytest.mark.parametrize("prompt", STRANGE)
def test_any_prompt_is_taken(editor: MiniEditor, images: torch.Tensor, prompt: str) -> None:
    assert editor.edit(images[:1], prompt).shape == (1, 3, 64, 64)


def test_styles_change_pictures_and_an_empty_prompt_does_not(editor: MiniEditor, images: torch.Tensor) -> None:
    assert decibels(editor.edit(images, "", settings=WHOLE), images) > 35
    edits = [editor.edit(images, prompt, settings=WHOLE) for prompt in ("with oil pastel", "x-ray", "made of cheese")]
    for number, edit in enumerate(edits):
        assert rms(edit, images) > 0.08
        for other in edits[:number]:
            assert rms(edit, other) > 0.1


def test_salts_change_an_edit_and_other_words_for_a_style_hardly(editor: MiniEditor, images: torch.Tensor) -> None:
    one, two = (editor.edit(images, "with oil pastel", 0, bytes([n] * 16), WHOLE) for n in (1, 2))
    assert rms(one, two) > 0.08
    plain = editor.edit(images, "with oil pastel", settings=WHOLE)
    assert rms(plain, editor.edit(images, "an oil pastel drawing", settings=WHOLE)) < 0.5 * rms(plain, one)


def test_bf16_stays_near_fp32(editor: MiniEditor, images: torch.Tensor) -> None:
    exact = MiniEditor(precision="fp32")
    assert decibels(editor.edit(images, "pop art", 1), exact.edit(images, "pop art", 1)) > 35
    assert editor.fingerprint() != exact.fingerprint()


@pytest.mark.parametrize("steps", [1, 4, 8])
def test_one_to_eight_steps(editor: MiniEditor, images: torch.Tensor, steps: int) -> None:
    settings = EditSettings(steps=steps, guidance=1.5, image_guidance=1.0, strength=1.0)
    assert rms(editor.edit(images, "night", settings=settings), images) > 0.1


def test_what_makes_no_sense_is_refused(editor: MiniEditor, images: torch.Tensor) -> None:
    for bad in (images.float(), images[:, :1], images[0]):
        with pytest.raises(EditorError, match="uint8"):
            editor.edit(bad, "x")
    with pytest.raises(EditorError, match="1 to 8 steps"):
        editor.edit(images, "x", settings=EditSettings(9, 1.0, 1.0, 1.0))
    with pytest.raises(EditorError, match="strength"):
        editor.edit(images, "x", settings=EditSettings(1, 1.0, 1.0, 0.0))
    with pytest.raises(EditorError, match="salt"):
        editor.edit(images, "x", salts=b"short")
    with pytest.raises(EditorError, match="5 images but 2 prompts"):
        editor.edit(images, ["x", "y"])
    with pytest.raises(EditorError, match="10000"):
        editor.edit(images, "x" * 10_001)


def test_broken_weights_are_refused(tmp_path: Path) -> None:
    folder = tmp_path / "weights"
    shutil.copytree(WEIGHTS, folder)
    path = folder / "editor.safetensors"
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(EditorError, match="cannot be read"):
        MiniEditor(folder)


def test_blend_is_a_weighted_mean() -> None:
    black, white = torch.zeros((1, 3, 2, 2), dtype=torch.uint8), torch.full((1, 3, 2, 2), 200, dtype=torch.uint8)
    assert (blend(black, white, 0.25) == 50).all()
    assert torch.equal(blend(black, white, 1.0), white)


def test_the_bundled_editor_is_found_by_name() -> None:
    assert isinstance(load_editor("mini"), MiniEditor)
