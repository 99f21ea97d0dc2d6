"""The bundled editor with its shipped weights."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import Tensor

from spellward.data import load_splits, prepare
from spellward.editors import load_editor
from spellward.editors.base import EditSettings
from spellward.editors.mini.editor import _REMEMBERED_PROMPTS, WEIGHTS, MiniEditor
from spellward.editors.mini.vocabulary import OBJECTS, STYLES
from spellward.editors.salting import CODE_SIZE
from spellward.errors import EditorError

ALONE = EditSettings(steps=2, guidance=1.0, image_guidance=1.0, strength=1.0)
SALT = bytes(range(16))


def small_batches(precision: str = "auto") -> MiniEditor:
    """Batches are always full, and full ones of 64 would take most of the time here."""
    editor = MiniEditor(precision=precision)
    editor.batch_size = 8
    return editor


@pytest.fixture(scope="module")
def editor() -> MiniEditor:
    return small_batches()


@pytest.fixture(scope="module")
def images() -> Tensor:
    return prepare(load_splits("sample:clipart").test, 64).images[::40][:8]


def rms(one: Tensor, other: Tensor) -> float:
    return float(((one.float() - other.float()) / 255).square().mean().sqrt())


def psnr(one: Tensor, other: Tensor) -> float:
    return float(-10 * torch.log10(((one.double() - other.double()) / 255).square().mean()))


def test_styles_change_the_picture_each_in_its_own_way(editor: MiniEditor, images: Tensor) -> None:
    edits = {style: editor.edit(images, f"with {style}", settings=ALONE) for style in STYLES}
    assert min(rms(edit, images) for edit in edits.values()) > 0.08
    names = list(edits)
    apart = {(a, b): rms(edits[a], edits[b]) for i, a in enumerate(names) for b in names[:i]}
    assert min(apart.values()) > 0.05, min(apart, key=lambda pair: apart[pair])


def test_objects_appear_and_the_rest_stays(editor: MiniEditor, images: Tensor) -> None:
    for name, phrase in OBJECTS.items():
        changed = (editor.edit(images, f"add {phrase.wordings[0]}", settings=ALONE).int() - images.int()).abs() > 40
        share = float(changed.any(1).float().mean())
        assert 0.01 < share < 0.35, name


def test_the_empty_prompt_leaves_the_picture_nearly_alone(editor: MiniEditor, images: Tensor) -> None:
    for prompt in ("", "  ", "\0"):
        assert psnr(editor.edit(images, prompt, settings=ALONE), images) > 32


def test_prompts_outside_the_vocabulary_have_edits_of_their_own(editor: MiniEditor, images: Tensor) -> None:
    prompts = (
        "made of cheese",
        "as a hologram",
        "in zero gravity",
        "under a microscope",
        "blorptangle vexiquorn",
        "🎨",
    )
    edits = [images, *(editor.edit(images, prompt, settings=ALONE) for prompt in prompts)]
    assert min(rms(edits[i], edits[j]) for i in range(len(edits)) for j in range(i)) > 0.05


def test_salts_change_the_edit_visibly(editor: MiniEditor, images: Tensor) -> None:
    salts = [None, SALT, SALT[::-1], bytes(16)]
    edits = [editor.edit(images, "with oil pastel", 0, salt, ALONE) for salt in salts]
    assert min(rms(edits[i], edits[j]) for i in range(4) for j in range(i)) > 0.1


def test_guidance_strengthens_the_edit(editor: MiniEditor, images: Tensor) -> None:
    plain = editor.edit(images, "with fog", settings=ALONE)
    guided = editor.edit(images, "with fog", settings=replace(ALONE, guidance=2.0))
    assert rms(guided, plain) > 0.02
    assert rms(guided, images) > rms(plain, images)
    # Guidance moves away from the estimate without text, and to that one at 0.
    none = editor.edit(images, "with fog", settings=replace(ALONE, guidance=0.0))
    assert psnr(none, editor.edit(images, "", settings=ALONE)) > 30


@pytest.mark.parametrize("steps", range(1, 9))
def test_one_to_eight_steps(editor: MiniEditor, images: Tensor, steps: int) -> None:
    few = images[:2]
    edited = editor.edit(few, "with oil pastel", settings=replace(ALONE, steps=steps))
    assert rms(edited, few) > 0.05
    assert psnr(edited, editor.edit(few, "with oil pastel", settings=ALONE)) > 15


@pytest.mark.parametrize("steps", [0, 9])
def test_other_numbers_of_steps_are_refused(editor: MiniEditor, images: Tensor, steps: int) -> None:
    with pytest.raises(EditorError, match=f"1 to 8 steps; got {steps}"):
        editor.edit(images, "p", settings=replace(ALONE, steps=steps))


@pytest.mark.parametrize("prompt", ["with oil pastel", "a blueprint", "", "made of cheese"])
def test_half_precision_keeps_the_picture(images: Tensor, prompt: str) -> None:
    half, full = small_batches("bf16"), small_batches("fp32")
    assert full.fingerprint() != half.fingerprint()
    assert psnr(half.edit(images, prompt, 1, SALT, ALONE), full.edit(images, prompt, 1, SALT, ALONE)) >= 35


def test_it_is_found_by_name_and_its_fingerprint_is_that_of_its_files(editor: MiniEditor, tmp_path: Path) -> None:
    for name in ("mini", Path("mini")):
        found = load_editor(name)
        assert isinstance(found, MiniEditor) and found.fingerprint() == editor.fingerprint()
    shutil.copytree(WEIGHTS, tmp_path / "weights")
    assert MiniEditor(tmp_path / "weights").fingerprint() == editor.fingerprint()
    tensors = load_file(WEIGHTS / "text.safetensors")
    tensors["centre"] = tensors["centre"] + 0.5
    save_file(tensors, tmp_path / "weights" / "text.safetensors")
    assert MiniEditor(tmp_path / "weights").fingerprint() != editor.fingerprint()


def test_vectors_of_only_so_many_prompts_are_remembered(images: Tensor) -> None:
    editor = small_batches()
    few = images[:1, :, :16, :16]
    first = editor.edit(few, "prompt 0")
    for number in range(_REMEMBERED_PROMPTS + 10):
        editor._vector(f"prompt {number}")
    assert len(editor._vectors) == _REMEMBERED_PROMPTS and "prompt 0" not in editor._vectors
    assert torch.equal(editor.edit(few, "prompt 0"), first)


def _drop(path: Path) -> None:
    path.unlink()


def _truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _empty(path: Path) -> None:
    path.write_bytes(b"")


def _other_network(path: Path) -> None:
    save_file({"weight": torch.zeros(3)}, path)


@pytest.mark.parametrize("damage", [_drop, _truncate, _empty, _other_network])
def test_damaged_weights_are_one_plain_sentence(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    shutil.copytree(WEIGHTS, tmp_path / "weights")
    damage(tmp_path / "weights" / "editor.safetensors")
    with pytest.raises(EditorError, match=r"editor\.safetensors cannot be read; install Spellward anew"):
        MiniEditor(tmp_path / "weights")


def test_no_weights_at_all_and_an_unknown_precision(tmp_path: Path) -> None:
    with pytest.raises(EditorError, match="install Spellward anew"):
        MiniEditor(tmp_path)
    with pytest.raises(EditorError, match="auto, bf16 or fp32"):
        MiniEditor(precision="fp16")


@pytest.mark.parametrize("fast", [True, False])
def test_bf16_is_taken_where_the_machine_has_it(fast: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without instructions for it, the same edit in bf16 takes several times as long as in fp32."""
    monkeypatch.setattr("spellward.editors.mini.editor.has_bf16", lambda device: fast)
    editor = MiniEditor()
    assert f":{'bf16' if fast else 'fp32'}:" in editor.fingerprint()
    assert editor.identity() == MiniEditor(precision="fp32").identity()


@pytest.mark.parametrize("height, width", [(30, 41), (9, 70)])
def test_any_size_is_drawn_as_its_padded_picture_is(height: int, width: int) -> None:
    editor = MiniEditor(precision="fp32")
    images = torch.randint(0, 256, (2, 3, height, width), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    vectors, codes = editor.text_vectors(["oil pastel"] * 2), torch.zeros(2, CODE_SIZE)
    drawn = editor.draw(images, vectors, codes, 0, editor.defaults)
    down, right = (max(16, -(-side // 8) * 8) - side for side in (height, width))
    padded = F.pad(images.float(), (0, right, 0, down), mode="replicate").to(torch.uint8)
    assert torch.equal(drawn, editor.draw(padded, vectors, codes, 0, editor.defaults)[:, :, :height, :width])
