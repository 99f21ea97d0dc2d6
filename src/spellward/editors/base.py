"""The contract of every editor: images and a prompt in, edited images of the same size out.

An author of a new editor writes `_edit` and `fingerprint`; this base class owns validation, per-image broadcasting,
batching and the blend with the source image.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from spellward.errors import EditorError
from spellward.keys import MAX_PROMPT_CHARACTERS, SALT_BYTES


@dataclass(frozen=True)
class EditSettings:
    """What an edit depends on besides the image, the prompt, the seed and the salt.

    Attributes:
        steps: Denoising steps, at least 1.
        guidance: Text guidance scale; 1 means no guidance.
        image_guidance: Source image guidance scale, for editors that know one.
        strength: The blend a of ModelLock: result = (1 - a) * image + a * edit, in (0, 1].
    """

    steps: int
    guidance: float
    image_guidance: float
    strength: float


class Editor(ABC):
    """A text-guided image editor whose result for an image depends on nothing but that image and the arguments."""

    name: ClassVar[str]
    keeps_subject: ClassVar[bool] = False
    """Whether an edit leaves what the image is of as it is: layers that see it in keyed images see it in clean ones."""
    max_steps: ClassVar[int] = 1000
    guided: bool = True
    """Whether guidance changes an edit."""
    defaults: EditSettings
    batch_size: int = 64
    resolution: int = 64
    """The side, in pixels, at which images are edited by default."""

    @abstractmethod
    def _edit(
        self, images: Tensor, prompts: list[str], seed: int, salts: list[bytes | None], settings: EditSettings
    ) -> Tensor:
        """Edits one batch; uint8 [B, 3, H, W] in, the same out, before the blend."""

    @abstractmethod
    def fingerprint(self) -> str:
        """Names everything that changes the output: weights digest, scheduler, dtype, version of the algorithm."""

    def identity(self) -> str:
        """What a key needs of an editor: `fingerprint` without what changes the last bits alone, such as precision.

        A key made on one machine opens on another, though its editor may run in another precision there.
        """
        return self.fingerprint()

    def names(self) -> tuple[str, ...]:
        """What a key may call this editor: its identity or, before there were identities, its fingerprint."""
        return self.identity(), self.fingerprint()

    def same_edit(self, prompt: str, other: str) -> bool:
        """Whether two prompts are known to give one and the same edit; then neither is a wrong key for the other."""
        return prompt == other

    def looks(self) -> tuple[tuple[str, ...], ...]:
        """Wordings of each look that the editor is known to know, so that anybody who has it would try them first."""
        return ()

    def edit(
        self,
        images: Tensor | np.ndarray,
        prompts: str | Sequence[str],
        seed: int = 0,
        salts: bytes | Sequence[bytes | None] | None = None,
        settings: EditSettings | None = None,
    ) -> Tensor:
        """Edits images; the same image under the same arguments gives the same pixels in any batch and order.

        Args:
            images: uint8 [N, 3, H, W], RGB, 0 to 255, N may be 0; a tensor, or an array of NumPy.
            prompts: One prompt for all images, or one for each.
            seed: Seed of the initial noise, 0 to 2**63 - 1; the noise is the same for every image (ModelLock's
                released code does so).
            salts: 16 secret bytes that vary the edit under one prompt, `None` for none; one for all or one for each.
            settings: Steps, guidance, strength; the editor's `defaults` if not given.

        Returns:
            uint8 [N, 3, H, W], always a tensor.

        Raises:
            EditorError: For images of another dtype or shape, or arguments that make no sense.
        """
        settings = settings or self.defaults
        images = _tensor_of(images)
        prompt_list = [prompts] * len(images) if isinstance(prompts, str) else list(prompts)
        salt_list = [salts] * len(images) if salts is None or isinstance(salts, bytes) else list(salts)
        _validate(images, prompt_list, seed, salt_list, settings, self.max_steps)
        edited = torch.empty_like(images)
        for rows in self._batches(len(images)):
            source = images[rows]
            result = self._edit(source, prompt_list[rows], seed, salt_list[rows], settings)
            edited[rows] = blend(source, result, settings.strength)
        return edited

    def _batches(self, count: int) -> Iterator[slice]:
        for start in range(0, count, self.batch_size):
            yield slice(start, min(count, start + self.batch_size))


def blend(source: Tensor, edited: Tensor, strength: float) -> Tensor:
    """(1 - a) * source + a * edited in uint8 (ModelLock, released evaluation code)."""
    if strength == 1.0:
        return edited
    mixed = (1.0 - strength) * source.float() + strength * edited.float()
    return mixed.round().clamp(0, 255).to(torch.uint8)


def tensor_from(pixels: np.ndarray) -> Tensor:
    """A tensor of the same uint8 values; they are copied only where PyTorch cannot share them (read-only, flipped)."""
    return torch.from_numpy(np.require(pixels, requirements=("C", "W")))


def _tensor_of(images: object) -> Tensor:
    if isinstance(images, np.ndarray) and images.dtype == np.uint8:
        return tensor_from(images)
    if not isinstance(images, Tensor):
        what = f"an array of {images.dtype}" if isinstance(images, np.ndarray) else type(images).__name__
        raise EditorError(f"An editor takes uint8 images [N, 3, H, W] as a tensor or an array of NumPy; got {what}.")
    return images


def _validate(
    images: Tensor, prompts: list[str], seed: int, salts: list[bytes | None], settings: EditSettings, max_steps: int
) -> None:
    if images.dtype != torch.uint8 or images.ndim != 4 or images.shape[1] != 3:
        raise EditorError(f"An editor takes uint8 images [N, 3, H, W]; got {images.dtype} {list(images.shape)}.")
    if len(images) and min(images.shape[2:]) < 1:
        raise EditorError(f"An editor needs images with at least one pixel; got {list(images.shape)}.")
    if len(prompts) != len(images) or len(salts) != len(images):
        raise EditorError(f"Got {len(images)} images but {len(prompts)} prompts and {len(salts)} salts.")
    for prompt in set(prompts):
        if len(prompt) > MAX_PROMPT_CHARACTERS:
            raise EditorError(f"A prompt has at most {MAX_PROMPT_CHARACTERS} characters; this one has {len(prompt)}.")
    if any(salt is not None and len(salt) != SALT_BYTES for salt in salts):
        raise EditorError("A salt is 16 bytes (128 bits).")
    if not 0 <= seed < 2**63:
        raise EditorError(f"A seed is a whole number from 0 to 2**63 - 1; got {seed}.")
    if not 1 <= settings.steps <= max_steps:
        raise EditorError(f"This editor takes 1 to {max_steps} steps; got {settings.steps}.")
    if not (math.isfinite(settings.guidance) and math.isfinite(settings.image_guidance)):
        raise EditorError(f"Guidance is a number; got {settings.guidance} and {settings.image_guidance}.")
    if not 0.0 < settings.strength <= 1.0:
        raise EditorError(f"The strength (blend) is above 0 and at most 1; got {settings.strength}.")
