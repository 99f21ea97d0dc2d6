"""Any diffusers image-to-image pipeline as an editor; with InstructPix2Pix it is ModelLock's published scheme."""

from __future__ import annotations

import hashlib
import inspect
import math
from collections.abc import Callable
from typing import Any, ClassVar, Self

import diffusers
import torch
from torch import Tensor

from spellward.editors.base import Editor, EditSettings
from spellward.editors.diffusion.compiling import compile_network, compiled_by_default, frozen
from spellward.editors.diffusion.loading import find_pipeline, load_pipeline, pipeline_digest, quiet
from spellward.editors.diffusion.precision import PRECISIONS, halve, networks_of, resolve_precision
from spellward.editors.diffusion.presets import defaults_of
from spellward.editors.diffusion.prompts import PromptEmbeddings
from spellward.editors.padding import fill_batch, pad_to_multiple
from spellward.editors.salting import apply_code, codes_from_salts
from spellward.errors import EditorError
from spellward.hardware import find_device

ALGORITHM = "diffusion-1"
_BATCH_PIXELS = 256 * 256
# On a CPU an image's place in a batch decides how its rows fall into tiles and threads, and so its last bits.
_CPU_BATCH, _GPU_BATCH = 1, 16


class DiffusionEditor(Editor):
    """Runs a pipeline on one image at a time on a CPU, and on batches of one fixed size on a GPU.

    Every image's generator is seeded alike.

    Without salts the result is that of the stock pipeline run image by image (`PUBLISHED_SEED`, the preset's
    `defaults` and 256 px give ModelLock's published scheme). A salt changes the initial noise and is drawn over the
    result by `apply_code`.

    Args:
        pipeline: An image-to-image pipeline in fp32; it is changed in place and belongs to the editor from now on.
        digest: Gives a name to the weights, for the fingerprint; called when it is first asked for.
        denoising: For pipelines with a strength of their own (plain img2img): the share of steps that are run, 0 to 1.
        precision: "auto" (fp16 on a GPU, bf16 on a CPU that has it), "fp32", "bf16" or "fp16".
        device: "auto" takes the GPU if there is one.
        batch_size: Images of 256 px in one run; larger ones go in smaller batches. 1 on a CPU and 16 on a GPU if not
            given. A run always computes a whole batch, so a single image costs as much. Above 1, a few pixels of an
            image may differ by 1 of 255 with its place in the batch; only 1 keeps the editors' contract to the bit.
        compile: Whether to compile the network with torch.compile: the first image takes a minute or two, later ones
            less time. `None` asks the environment (`SPELLWARD_COMPILE=1`).

    Raises:
        EditorError: For a precision or denoising strength that makes no sense, and where a compiler is missing.
    """

    name: ClassVar[str] = "diffusion"

    def __init__(
        self,
        pipeline: Any,
        digest: Callable[[], str],
        *,
        denoising: float = 0.6,
        precision: str = "auto",
        device: str = "auto",
        batch_size: int | None = None,
        compile: bool | None = None,
    ) -> None:
        if not 0.0 < denoising <= 1.0:
            raise EditorError(f"The denoising strength is above 0 and at most 1; got {denoising}.")
        if batch_size is not None and batch_size < 1:
            raise EditorError(f"The batch size is at least 1; got {batch_size}.")
        self._device = find_device(device)
        self._precision = resolve_precision(precision, self._device)
        self.batch_size = batch_size or (_GPU_BATCH if self._device.type == "cuda" else _CPU_BATCH)
        self._accepts = frozenset(inspect.signature(pipeline.__call__).parameters)
        self.defaults, self.resolution = defaults_of(pipeline, "image_guidance_scale" in self._accepts)
        self._denoising = denoising if "strength" in self._accepts else None
        # The pipeline itself would shrink other sizes.
        self._multiple = math.lcm(8, int(pipeline.image_processor.config.vae_scale_factor))
        self._digest, self._fingerprint, self._identity = digest, "", ""
        self._compiled = compiled_by_default() if compile is None else compile
        self._pipeline = pipeline.to(self._device)
        pipeline.set_progress_bar_config(disable=True)
        halve(pipeline, PRECISIONS[self._precision])
        if self._compiled:
            compile_network(networks_of(pipeline)[0], self._device)
        self._prompts = PromptEmbeddings(pipeline)

    @classmethod
    def load(cls, source: str, *, image_to_image: bool = False, **options: Any) -> Self:
        """Loads a pipeline by folder or Hub id.

        Args:
            source: A folder as `save_pretrained` writes it, or a Hub id such as `INSTRUCT_PIX2PIX`.
            image_to_image: Whether to use the plain image-to-image form of a pipeline that has several.
            options: As the class takes them.

        Raises:
            EditorError: If it is missing, broken, not in safetensors, or needs code of its own.
        """
        folder = find_pipeline(source)
        return cls(load_pipeline(folder, image_to_image), lambda: pipeline_digest(folder), **options)

    def fingerprint(self) -> str:
        """sha256 over `identity` and all that pixels depend on besides: precision, machine, batches and versions."""
        if not self._fingerprint:
            machine = [self._device.type, str(self.batch_size), diffusers.__version__, torch.__version__]
            facts = [self._precision, str(self._compiled), *machine]
            self._fingerprint = hashlib.sha256("\n".join([*facts, self.identity()]).encode()).hexdigest()
        return f"{ALGORITHM}:{self._precision}:{self._fingerprint}"

    def identity(self) -> str:
        """sha256 over weights, tokenizers, configurations, pipeline and scheduler."""
        if not self._identity:
            kinds = [type(self._pipeline).__name__, type(self._pipeline.scheduler).__name__]
            facts = [ALGORITHM, *kinds, str(self._denoising), self._digest()]
            self._identity = f"{ALGORITHM}:{hashlib.sha256(chr(10).join(facts).encode()).hexdigest()}"
        return self._identity

    @torch.inference_mode()
    def _edit(
        self, images: Tensor, prompts: list[str], seed: int, salts: list[bytes | None], settings: EditSettings
    ) -> Tensor:
        self._check(settings)
        height, width = images.shape[2:]
        padded = pad_to_multiple(images, self._multiple, 8 * int(self._pipeline.vae_scale_factor))
        size = max(1, min(self.batch_size, self.batch_size * _BATCH_PIXELS // (padded.shape[2] * padded.shape[3])))
        edited = []
        for start in range(0, len(images), size):
            rows = slice(start, start + size)
            batch, batch_prompts, batch_salts = padded[rows], prompts[rows], salts[rows]
            count = len(batch)
            missing = size - count
            edited.append(
                self._edit_full_batch(
                    fill_batch(batch, size),
                    batch_prompts + batch_prompts[:1] * missing,
                    seed,
                    batch_salts + batch_salts[:1] * missing,
                    settings,
                )[:count]
            )
        return torch.cat(edited)[:, :, :height, :width]

    def _edit_full_batch(
        self, images: Tensor, prompts: list[str], seed: int, salts: list[bytes | None], settings: EditSettings
    ) -> Tensor:
        arguments: dict[str, Any] = {
            "image": images.to(self._device).float() / 255,
            # Generators on the CPU draw the same noise on every device.
            "generator": [torch.Generator().manual_seed(_noise_seed(seed, salt)) for salt in salts],
            "num_inference_steps": settings.steps,
            "guidance_scale": settings.guidance,
            "output_type": "pt",
            **self._prompts.arguments(prompts, self._device),
        }
        if "image_guidance_scale" in self._accepts:
            arguments["image_guidance_scale"] = settings.image_guidance
        if self._denoising is not None:
            arguments["strength"] = self._denoising
        for side, name in ((images.shape[2], "height"), (images.shape[3], "width")):
            if name in self._accepts:
                arguments[name] = side
        with quiet(), frozen(self._compiled, self._device):
            result: Tensor = self._pipeline(**arguments).images
        if result.shape != images.shape:
            raise EditorError(
                f"This pipeline turns {list(images.shape)} into {list(result.shape)}; an editor keeps an image's size."
            )
        result = result.float().cpu()
        if not bool(result.isfinite().all()):
            raise EditorError(f"The diffusion editor overflowed in {self._precision}; load it with precision='fp32'.")
        if any(salt is not None for salt in salts):
            result = apply_code(result, codes_from_salts(salts))
        return (result * 255).round().clamp(0, 255).to(torch.uint8)

    def _check(self, settings: EditSettings) -> None:
        if "image_guidance_scale" in self._accepts and settings.guidance > 1 and settings.image_guidance < 1:
            # The stock pipeline would then leave the text guidance out as well, without a word.
            raise EditorError(f"The image guidance is at least 1; got {settings.image_guidance}.")
        most = int(self._pipeline.scheduler.config.num_train_timesteps)
        if settings.steps > most:
            raise EditorError(f"This diffusion editor takes 1 to {most} steps; got {settings.steps}.")
        if self._denoising is not None and int(settings.steps * self._denoising) < 1:
            raise EditorError(
                f"{settings.steps} steps at a denoising strength of {self._denoising} leave none to run; raise either."
            )


def _noise_seed(seed: int, salt: bytes | None) -> int:
    """The seed itself without a salt, as published; else 63 bits that depend on both."""
    if salt is None:
        return seed
    digest = hashlib.sha256(b"spellward noise v1" + str(seed).encode() + b":" + salt).digest()
    return int.from_bytes(digest[:8], "little") >> 1
