"""Diffusion editors against the stock pipelines' one-image loop, on tiny random pipelines."""

from __future__ import annotations

import json
import logging
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import AutoPipelineForImage2Image, StableDiffusionInstructPix2PixPipeline
from PIL import Image
from tests.conftest import FarHub
from tests.editors.tiny_pipelines import KINDS, NOT_EDITORS
from torch import Tensor

from spellward.editors import EDITORS, load_editor
from spellward.editors.base import EditSettings, blend
from spellward.editors.diffusion import PUBLISHED_SEED, DiffusionEditor
from spellward.editors.diffusion.editor import _noise_seed
from spellward.errors import EditorError

SALT = bytes(range(16))
FAST = EditSettings(steps=2, guidance=4.5, image_guidance=1.5, strength=1.0)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("pipelines")
    for name, build in KINDS.items():
        build(root).save_pretrained(root / name)
    return {name: root / name for name in KINDS}


@pytest.fixture(scope="module")
def editor(folders: dict[str, Path]) -> DiffusionEditor:
    return DiffusionEditor.load(str(folders["instruct-pix2pix"]), precision="fp32", device="cpu", batch_size=3)


def pictures(count: int, height: int = 32, width: int = 32, seed: int = 0) -> Tensor:
    """Smooth random pictures, so that they are not all noise."""
    coarse = torch.rand(count, 3, 4, 4, generator=torch.Generator().manual_seed(seed))
    return (torch.nn.functional.interpolate(coarse, (height, width), mode="bilinear") * 255).to(torch.uint8)


def stock_loop(pipeline: Any, images: Tensor, prompts: list[str], seed: int, **arguments: Any) -> Tensor:
    """One image at a time through the pipeline as its documentation calls it: PIL in, PIL out."""
    pipeline.set_progress_bar_config(disable=True)
    edited = []
    for image, prompt in zip(images, prompts, strict=True):
        source = Image.fromarray(image.permute(1, 2, 0).numpy())
        generator = torch.Generator().manual_seed(seed)
        result = pipeline(prompt=prompt, image=source, generator=generator, **arguments).images[0]
        edited.append(torch.from_numpy(np.asarray(result).copy()).permute(2, 0, 1))
    return torch.stack(edited)


def difference(one: Tensor, other: Tensor) -> int:
    return int((one.int() - other.int()).abs().max())


def psnr(one: Tensor, other: Tensor) -> float:
    return float(-10 * torch.log10(((one.double() - other.double()) / 255).square().mean()))


def test_without_a_salt_it_is_the_published_scheme(folders: dict[str, Path], editor: DiffusionEditor) -> None:
    assert editor.defaults == EditSettings(steps=5, guidance=4.5, image_guidance=1.5, strength=0.5)
    assert editor.resolution == 256
    images, prompts = pictures(4), ["with oil pastel", "", "in pop art", "x"]
    stock = stock_loop(
        StableDiffusionInstructPix2PixPipeline.from_pretrained(folders["instruct-pix2pix"]),
        images,
        prompts,
        PUBLISHED_SEED,
        num_inference_steps=5,
        image_guidance_scale=1.5,
        guidance_scale=4.5,
    )
    assert stock.float().std() > 20
    assert difference(stock, images) > 50
    assert difference(editor.edit(images, prompts, PUBLISHED_SEED), blend(images, stock, 0.5)) <= 1
    whole = EditSettings(steps=5, guidance=4.5, image_guidance=1.5, strength=1.0)
    assert difference(editor.edit(images, prompts, PUBLISHED_SEED, settings=whole), stock) <= 1


@pytest.mark.parametrize("name", ["stable-diffusion", "stable-diffusion-xl"])
@pytest.mark.parametrize("guidance", [1.0, 7.5])
def test_image_to_image_is_the_stock_pipeline(folders: dict[str, Path], name: str, guidance: float) -> None:
    editor = DiffusionEditor.load(str(folders[name]), precision="fp32", device="cpu", batch_size=2, denoising=0.7)
    images, prompts = pictures(3), ["with oil pastel", "", "in pop art"]
    stock = stock_loop(
        AutoPipelineForImage2Image.from_pretrained(folders[name]),
        images,
        prompts,
        5,
        num_inference_steps=4,
        strength=0.7,
        guidance_scale=guidance,
    )
    edited = editor.edit(images, prompts, 5, settings=EditSettings(4, guidance, 1.0, 1.0))
    assert difference(edited, stock) <= 1


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="compiles for the processor")
def test_compiled_it_edits_as_before_in_any_batch(folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    folder = str(folders["instruct-pix2pix"])
    plain = DiffusionEditor.load(folder, precision="fp32", device="cpu")
    monkeypatch.setenv("SPELLWARD_COMPILE", "1")
    editor = DiffusionEditor.load(folder, precision="fp32", device="cpu")
    images = pictures(3)
    edited = editor.edit(images, "with oil pastel", 1, SALT, FAST)
    assert difference(edited, plain.edit(images, "with oil pastel", 1, SALT, FAST)) <= 1
    assert torch.equal(editor.edit(images[2:], "with oil pastel", 1, SALT, FAST), edited[2:])
    assert editor.fingerprint() != plain.fingerprint()


def test_without_a_compiler_it_says_so(folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(EditorError, match="no-such-compiler"):
        DiffusionEditor.load(str(folders["stable-diffusion"]), device="cpu", compile=True)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("size", [(32, 32), (33, 67)])
def test_an_image_is_edited_alike_in_any_batch_and_order(
    folders: dict[str, Path], precision: str, size: tuple[int, int]
) -> None:
    folder = str(folders["instruct-pix2pix"])
    editor = DiffusionEditor.load(folder, precision=precision, device="cpu")
    images, prompts = pictures(5, *size), list("abcde")
    salts = [None, SALT, None, SALT[::-1], SALT]
    together = editor.edit(images, prompts, 1, salts, FAST)
    alone = [editor.edit(images[i : i + 1], prompts[i], 1, salts[i], FAST) for i in range(5)]
    assert torch.equal(torch.cat(alone), together)
    backwards = editor.edit(images.flip(0), prompts[::-1], 1, salts[::-1], FAST)
    assert torch.equal(backwards.flip(0), together)
    assert editor.edit(images[:0], "a").shape == (0, 3, *size)


def test_a_given_batch_size_moves_no_pixel_by_more_than_one(folders: dict[str, Path], editor: DiffusionEditor) -> None:
    one = DiffusionEditor.load(str(folders["instruct-pix2pix"]), precision="fp32", device="cpu")
    images, prompts = pictures(5, 33, 67), list("abcde")
    assert (one.batch_size, editor.batch_size) == (1, 3)
    assert difference(editor.edit(images, prompts, 1, None, FAST), one.edit(images, prompts, 1, None, FAST)) <= 1


@pytest.mark.parametrize("name", list(KINDS))
def test_half_precision_keeps_the_picture(folders: dict[str, Path], name: str) -> None:
    images = pictures(2)
    full, half = (
        DiffusionEditor.load(str(folders[name]), precision=precision, device="cpu", batch_size=2).edit(
            images, "with oil pastel", 1, settings=EditSettings(5, 4.5, 1.5, 1.0)
        )
        for precision in ("fp32", "bf16")
    )
    assert full.float().std() > 20
    assert psnr(half, full) >= 35


@pytest.mark.parametrize("size", [(1, 1), (7, 50), (33, 64)])
def test_any_size(editor: DiffusionEditor, size: tuple[int, int]) -> None:
    images = pictures(2, *size)
    edited = editor.edit(images, "p", settings=FAST)
    assert edited.shape == images.shape and edited.dtype == torch.uint8


def test_any_prompt_and_none_in_the_logs(
    editor: DiffusionEditor, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    prompts = ["", " ", "\0", "\ud800", "ä 漢字 😀 \u202e", "pastel " * 1428, "\n" * 10_000, "x" * 10_000]
    with caplog.at_level(logging.DEBUG):
        edited = editor.edit(pictures(1).expand(len(prompts), -1, -1, -1), prompts, settings=FAST)
    assert len(edited) == len(prompts)
    seen = caplog.text + "".join(capfd.readouterr())
    assert "pastel" not in seen and "%|" not in seen
    with pytest.raises(EditorError, match="10000 characters"):
        editor.edit(pictures(1), "x" * 10_001)


def test_prompts_seeds_and_salts_change_the_edit(editor: DiffusionEditor) -> None:
    images = pictures(1)
    edits = [
        editor.edit(images, "a", 1, settings=FAST),
        editor.edit(images, "b", 1, settings=FAST),
        editor.edit(images, "a", 2, settings=FAST),
        editor.edit(images, "a", 1, SALT, FAST),
        editor.edit(images, "a", 1, SALT[::-1], FAST),
    ]
    for number, one in enumerate(edits):
        assert all(not torch.equal(one, other) for other in edits[number + 1 :])
    assert difference(edits[3], edits[0]) > 20
    assert _noise_seed(7, None) == 7
    assert len({_noise_seed(7, None), _noise_seed(7, SALT), _noise_seed(8, SALT), _noise_seed(7, SALT[::-1])}) == 4


def test_the_identity_leaves_the_precision_out(folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", sys.executable)  # nothing is compiled here, and there may be no compiler

    def identity(name: str, **options: Any) -> str:
        return DiffusionEditor.load(str(folders[name]), device="cpu", **options).identity()

    first = identity("stable-diffusion", precision="fp32")
    assert identity("stable-diffusion", precision="bf16", compile=True) == first
    assert identity("stable-diffusion", precision="fp32", denoising=0.5) != first
    assert identity("instruct-pix2pix", precision="fp32") != first


def test_the_fingerprint_names_what_changes_the_output(
    folders: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CXX", sys.executable)  # nothing is compiled here, and there may be no compiler

    def fingerprint(folder: Path, **options: Any) -> str:
        return DiffusionEditor.load(str(folder), device="cpu", **options).fingerprint()

    def changed(name: str, alter: Callable[[Path], object]) -> str:
        folder = tmp_path / name
        shutil.copytree(folders["stable-diffusion"], folder)
        alter(folder)
        return fingerprint(folder, precision="fp32")

    def edit_json(path: Path, **fields: object) -> None:
        path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))

    scheduler, weights = Path("scheduler/scheduler_config.json"), Path("vae/diffusion_pytorch_model.safetensors")
    first = fingerprint(folders["stable-diffusion"], precision="fp32")
    others = [
        fingerprint(folders["stable-diffusion"], precision="bf16"),
        fingerprint(folders["stable-diffusion"], precision="fp32", denoising=0.5),
        fingerprint(folders["stable-diffusion"], precision="fp32", compile=True),
        fingerprint(folders["stable-diffusion"], precision="fp32", batch_size=3),
        fingerprint(folders["instruct-pix2pix"], precision="fp32"),
        changed("scheduler", lambda folder: edit_json(folder / scheduler, beta_end=0.013)),
        changed("weights", lambda folder: (folder / weights).write_bytes(_flipped((folder / weights).read_bytes()))),
    ]
    assert len({first, *others}) == 8
    assert changed("again", lambda folder: edit_json(folder / scheduler, _diffusers_version="9")) == first


def _flipped(content: bytes) -> bytes:
    return content[:-1] + bytes([content[-1] ^ 1])


def test_what_cannot_be_loaded(folders: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(EditorError, match="nobody/nothing' is neither a folder") as caught:
        load_editor("nobody/nothing")
    assert "\n" not in str(caught.value)
    with pytest.raises(EditorError, match=r"holds no model_index\.json"):
        load_editor(tmp_path)

    pickled = tmp_path / "pickled"
    shutil.copytree(folders["instruct-pix2pix"], pickled)
    weights = pickled / "unet" / "diffusion_pytorch_model.safetensors"
    torch.save({}, weights.with_suffix(".bin"))
    weights.unlink()
    with pytest.raises(EditorError, match="cannot be loaded from safetensors"):
        load_editor(str(pickled))

    broken = tmp_path / "broken"
    shutil.copytree(folders["instruct-pix2pix"], broken)
    (broken / "unet" / "diffusion_pytorch_model.safetensors").write_bytes(b"truncated")
    with pytest.raises(EditorError, match="cannot be loaded from safetensors"):
        load_editor(str(broken))

    foreign = tmp_path / "foreign"
    shutil.copytree(folders["instruct-pix2pix"], foreign)
    index = json.loads((foreign / "model_index.json").read_text())
    (foreign / "model_index.json").write_text(json.dumps({**index, "unet": ["my_unet", "MyUNet"]}))
    (foreign / "unet" / "my_unet.py").write_text("raise SystemExit('code was run')")
    with pytest.raises(EditorError, match="code of its own for 'unet'"):
        load_editor(str(foreign))


def test_of_a_hub_out_of_reach_one_sentence_is_said(far_hub: FarHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("diffusers.DiffusionPipeline.download", far_hub.ask)
    with pytest.raises(EditorError, match="'nope' is neither a folder nor in the Hub's cache"):
        load_editor("nope")
    assert far_hub.said == []


def test_pipelines_that_edit_no_image_by_a_prompt_alone(folders: dict[str, Path], tmp_path: Path) -> None:
    for name, build in NOT_EDITORS.items():
        build(tmp_path).save_pretrained(tmp_path / name)
    with pytest.raises(EditorError, match="mask_image"):
        load_editor(str(tmp_path / "inpaint"))
    upscaler = DiffusionEditor.load(str(tmp_path / "upscale"), precision="fp32", device="cpu")
    with pytest.raises(EditorError, match="keeps an image's size"):
        upscaler.edit(pictures(1), "p", settings=FAST)


def test_specs(folders: dict[str, Path]) -> None:
    assert set(EDITORS) == {"mini", "object", "instruct-pix2pix"}
    assert load_editor(f"img2img:{folders['stable-diffusion']}").defaults.steps == 20
    assert load_editor(str(folders["stable-diffusion-xl"])).defaults.guidance == 1.0
    with pytest.raises(EditorError, match="cannot be loaded"):  # it has no plain image-to-image form
        load_editor(f"img2img:{folders['instruct-pix2pix']}")


def test_settings_that_make_no_sense(folders: dict[str, Path], editor: DiffusionEditor) -> None:
    for guidance, image_guidance in ((float("nan"), 1.5), (4.5, float("inf")), (4.5, 0.5)):
        with pytest.raises(EditorError, match=r"[Gg]uidance is"):
            editor.edit(pictures(1), "p", settings=EditSettings(2, guidance, image_guidance, 1.0))
    folder = str(folders["stable-diffusion"])
    with pytest.raises(EditorError, match="leave none to run"):
        DiffusionEditor.load(folder, denoising=0.2).edit(pictures(1), "p", settings=FAST)
    with pytest.raises(EditorError, match="denoising strength is above 0"):
        DiffusionEditor.load(folder, denoising=0.0)
    with pytest.raises(EditorError, match="bf16"):
        DiffusionEditor.load(folder, precision="int8")
    with pytest.raises(EditorError, match="batch size"):
        DiffusionEditor.load(folder, batch_size=0)
