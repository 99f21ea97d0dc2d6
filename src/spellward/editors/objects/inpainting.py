"""Objects drawn into the background by any diffusers inpainting pipeline, as ModelLock's object lock does."""

from __future__ import annotations

import inspect
import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from spellward.editors.base import EditSettings
from spellward.editors.diffusion.loading import find_pipeline, load_inpainting, pipeline_digest, quiet
from spellward.editors.padding import pad_to_multiple
from spellward.hardware import find_device

DEFAULTS = EditSettings(steps=20, guidance=7.5, image_guidance=1.0, strength=1.0)


class InpaintingInserter:
    """Runs a pipeline on one image at a time, so that no image's result depends on another.

    Args:
        pipeline: An inpainting pipeline in fp32.
        digest: Names its weights, for the fingerprint.
        device: "auto" takes the GPU if there is one.
    """

    def __init__(self, pipeline: Any, digest: str, device: str = "auto") -> None:
        self._pipeline = pipeline.to(find_device(device))
        self._multiple = math.lcm(8, int(pipeline.image_processor.config.vae_scale_factor))
        self._accepts = frozenset(inspect.signature(pipeline.__call__).parameters)
        self.name = f"inpaint-{digest}"

    @classmethod
    def load(cls, source: str) -> InpaintingInserter:
        """Loads a pipeline by folder or Hub id.

        Raises:
            EditorError: If it is missing, broken, not in safetensors, needs code of its own or does not inpaint.
        """
        folder = find_pipeline(source)
        return cls(load_inpainting(folder), pipeline_digest(folder))

    @torch.inference_mode()
    def __call__(
        self, image: np.ndarray, where: np.ndarray, prompt: str, seed: int, settings: EditSettings
    ) -> np.ndarray:
        """Draws the prompt into an image.

        Args:
            image: uint8 [H, W, 3].
            where: bool [H, W]; the caller keeps what lies outside.
            prompt, seed, settings: As for any editor.

        Returns:
            uint8 [H, W, 3].
        """
        height, width = where.shape
        pixels = pad_to_multiple(torch.from_numpy(image).permute(2, 0, 1)[None].float() / 255, self._multiple)
        mask = pad_to_multiple(torch.from_numpy(where)[None, None].float(), self._multiple)
        arguments: dict[str, Any] = {
            "prompt": prompt,
            "image": pixels,
            "mask_image": mask,
            "generator": torch.Generator().manual_seed(seed),
            "num_inference_steps": settings.steps,
            "guidance_scale": settings.guidance,
            "output_type": "pt",
        }
        for side, name in ((pixels.shape[2], "height"), (pixels.shape[3], "width")):
            if name in self._accepts:
                arguments[name] = side
        with quiet():
            result: Tensor = self._pipeline(**arguments).images
        drawn = (result[0].float().cpu().permute(1, 2, 0) * 255).round().clamp(0, 255).to(torch.uint8).numpy()
        return np.asarray(drawn[:height, :width])
