"""Images per second of InstructPix2Pix: the plain one-image loop in fp32 against `DiffusionEditor`, in turn.

    python benchmarks/diffusion_speed.py [--small] [--compile] [--images 8] [--rounds 2]

The architecture is that of timbrooks/instruct-pix2pix (Stable Diffusion 1.5's UNet with 8 input channels, its VAE, and
CLIP-L's text model); the weights are random, since only time is measured and the result is compared with fp32. They
are PyTorch's initial ones under one seed, except that three last convolutions are rescaled to what trained ones give
on these inputs: noise predictions of standard deviation 1, image latents of 5.5, pictures of 0.5 in [-1, 1]. So
nothing saturates and the network's share in the picture, and with it its rounding error, is as large as in a trained
one. PSNR is of the edit alone; the blend with the source (a = 0.5) adds 6 dB.
"""

from __future__ import annotations

import argparse
import copy
import json
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import torch
from diffusers import (
    AutoencoderKL,
    EulerAncestralDiscreteScheduler,
    StableDiffusionInstructPix2PixPipeline,
    UNet2DConditionModel,
)
from PIL import Image
from torch import Tensor, nn
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from spellward.editors.base import EditSettings
from spellward.editors.diffusion import PUBLISHED_SEED, DiffusionEditor

RESULTS = Path(__file__).with_name("results") / "diffusion_speed.json"
PROMPT = "with oil pastel"
SETTINGS = EditSettings(steps=5, guidance=4.5, image_guidance=1.5, strength=1.0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--small", action="store_true", help="an eighth of the width at 64 px, to test this script")
    parser.add_argument("--images", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--batch-size", type=int, default=None)
    parser.add_argument("--compile", action="store_true", help="with torch.compile, too")
    parser.add_argument("--output", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    size = 64 if arguments.small else 256
    images = pictures(arguments.images, size)
    stock = build_pipeline(arguments.small)
    calibrate(stock, images[:1])
    runs: dict[str, Callable[[Tensor], Tensor]] = {"stock": lambda batch: one_image_loop(stock, batch)}
    for compiled in (False, True)[: 1 + arguments.compile]:
        editor = DiffusionEditor(
            copy.deepcopy(stock),
            lambda: "random",
            precision=arguments.precision,
            device="cpu",
            batch_size=arguments.batch_size,
            compile=compiled,
        )
        edit = partial(editor.edit, prompts=PROMPT, seed=PUBLISHED_SEED, settings=SETTINGS)
        runs["compiled" if compiled else "ours"] = edit
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    edited: dict[str, Tensor] = {}
    for run in runs.values():
        for _ in range(2):
            run(images[:1])  # warms up kernels and memory, and compiles
    for _ in range(arguments.rounds):
        for name, run in runs.items():
            start = time.perf_counter()
            edited[name] = run(images)
            seconds[name].append(time.perf_counter() - start)
            print(f"{name}: {len(images) / seconds[name][-1]:.3f} images/s", file=sys.stderr)
    best = {name: len(images) / min(times) for name, times in seconds.items()}
    report = {
        "size": "small" if arguments.small else "full",
        "pixels": size,
        "images": len(images),
        "rounds": arguments.rounds,
        **{f"{name}_images_per_second": round(value, 4) for name, value in best.items()},
        **{f"{name}_ratio": round(best[name] / best["stock"], 2) for name in best if name != "stock"},
        "seconds": {name: [round(value, 2) for value in times] for name, times in seconds.items()},
        **{f"{name}_psnr_db": round(psnr(edited[name], edited["stock"]), 2) for name in best if name != "stock"},
        "stock_picture": describe(edited["stock"]),
        "fingerprint": editor.fingerprint(),
        "batch_size": editor.batch_size,
        "machine": {"processor": processor(), "cores": os.cpu_count(), "threads": torch.get_num_threads()},
        "versions": {"torch": torch.__version__, "diffusers": diffusers.__version__},
    }
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    arguments.output.write_text(json.dumps(report, indent=2) + "\n")
    print(json.dumps(report, indent=2))


def build_pipeline(small: bool) -> StableDiffusionInstructPix2PixPipeline:
    """InstructPix2Pix with random weights in fp32; an eighth of its width if small."""
    torch.manual_seed(0)
    share = 8 if small else 1
    unet = UNet2DConditionModel(
        in_channels=8,
        block_out_channels=tuple(width // share for width in (320, 640, 1280, 1280)),
        attention_head_dim=8,
        cross_attention_dim=768 // share,
        norm_num_groups=32 // share,
        sample_size=64,
    )
    vae = AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        block_out_channels=tuple(width // share for width in (128, 256, 512, 512)),
        layers_per_block=2,
        norm_num_groups=32 // share,
        latent_channels=4,
        sample_size=512,
    )
    text = CLIPTextConfig(
        hidden_size=768 // share,
        intermediate_size=3072 // share,
        num_attention_heads=12,
        num_hidden_layers=12,
        hidden_act="quick_gelu",
        projection_dim=768 // share,
        vocab_size=49408,
    )
    return StableDiffusionInstructPix2PixPipeline(
        unet=unet.eval(),
        vae=vae.eval(),
        text_encoder=CLIPTextModel(text).eval(),
        tokenizer=tokenizer(),
        scheduler=EulerAncestralDiscreteScheduler(
            beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", steps_offset=1
        ),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


def tokenizer() -> CLIPTokenizer:
    """One token a letter; the sequence is 77 tokens long for any prompt, as with the real vocabulary."""
    letters = [chr(code) for code in range(33, 127)]
    tokens = [*letters, *(f"{letter}</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]
    with tempfile.TemporaryDirectory() as folder:
        vocabulary, merges = Path(folder) / "vocab.json", Path(folder) / "merges.txt"
        vocabulary.write_text(json.dumps({token: number for number, token in enumerate(tokens)}))
        merges.write_text("#version: 0.2\n")
        return CLIPTokenizer(str(vocabulary), str(merges), model_max_length=77)


@torch.inference_mode()
def calibrate(pipeline: Any, images: Tensor) -> None:
    """Rescales the last convolutions; see the head of this file."""
    generator = torch.Generator().manual_seed(0)
    pixels = images.float() / 127.5 - 1
    _rescale(pipeline.vae.encoder.conv_out, lambda: pipeline.vae.encode(pixels).latent_dist.mode(), 5.5)
    latents = pipeline.vae.encode(pixels).latent_dist.mode()
    noisy = torch.cat([torch.randn(latents.shape, generator=generator), latents], dim=1)
    text = torch.randn(1, 77, pipeline.unet.config.cross_attention_dim, generator=generator)
    _rescale(pipeline.unet.conv_out, lambda: pipeline.unet(noisy, 500, text).sample, 1.0)
    _rescale(pipeline.vae.decoder.conv_out, lambda: pipeline.vae.decode(latents).sample, 0.5)


def _rescale(layer: nn.Conv2d, run: Callable[[], Tensor], deviation: float) -> None:
    assert layer.bias is not None
    layer.bias.zero_()
    layer.weight.mul_(deviation / run().std())


def one_image_loop(pipeline: Any, images: Tensor) -> Tensor:
    """The loop of ModelLock's released code: one PIL image at a time, a generator seeded anew for each."""
    pipeline.set_progress_bar_config(disable=True)
    edited = []
    for image in images:
        result = pipeline(
            prompt=PROMPT,
            image=Image.fromarray(image.permute(1, 2, 0).numpy()),
            num_inference_steps=SETTINGS.steps,
            image_guidance_scale=SETTINGS.image_guidance,
            guidance_scale=SETTINGS.guidance,
            generator=torch.Generator().manual_seed(PUBLISHED_SEED),
        ).images[0]
        edited.append(torch.from_numpy(np.asarray(result).copy()).permute(2, 0, 1))
    return torch.stack(edited)


def pictures(count: int, size: int) -> Tensor:
    """Smooth random pictures with some grain; uint8 [count, 3, size, size]."""
    generator = torch.Generator().manual_seed(0)
    coarse = torch.rand(count, 3, 8, 8, generator=generator)
    smooth = nn.functional.interpolate(coarse, (size, size), mode="bicubic")
    grain = 0.05 * torch.randn(count, 3, size, size, generator=generator)
    return ((smooth + grain).clamp(0, 1) * 255).to(torch.uint8)


def psnr(one: Tensor, other: Tensor) -> float:
    return float(-10 * torch.log10(((one.double() - other.double()) / 255).square().mean()))


def describe(images: Tensor) -> dict[str, float]:
    """Shows that PSNR means something: neither a flat nor a saturated picture."""
    saturated = ((images == 0) | (images == 255)).float().mean()
    return {"deviation": round(float(images.float().std()), 1), "saturated_share": round(float(saturated), 4)}


def processor() -> str:
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


if __name__ == "__main__":
    main()
