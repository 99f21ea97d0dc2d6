"""The bundled editor: text-guided, small enough to ship, fast enough for a laptop without a GPU."""

from __future__ import annotations

import hashlib
import json
from collections import OrderedDict
from pathlib import Path
from typing import ClassVar

import torch
import torch.nn.functional as F
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor

from spellward.editors.base import Editor, EditSettings
from spellward.editors.mini.network import FOLD, EditorNetwork
from spellward.editors.mini.sampler import flow_steps
from spellward.editors.mini.text import TextEncoder
from spellward.editors.mini.vocabulary import OBJECTS, STYLES
from spellward.editors.padding import fill_batch, pad_to_multiple
from spellward.editors.salting import codes_from_salts
from spellward.errors import EditorError
from spellward.hardware import has_bf16, keep_freed_memory, power_of_two_threads

WEIGHTS = Path(__file__).with_name("weights")
ALGORITHM = "mini-1"
_PRECISIONS = ("bf16", "fp32")
_MULTIPLE, _LEAST = 8, 16
_PIXELS_A_BATCH = 64 * 64 * 64
_REMEMBERED_PROMPTS = 4096


class MiniEditor(Editor):
    """Edits 64 px images at several hundred a second on two cores; any prompt, any size, 1 to 8 steps.

    From the first one on the process keeps memory that it frees (`keep_freed_memory`).

    Args:
        folder: Weights folder (`editor.safetensors`, `text.safetensors`, `tokenizer.json`).
        precision: "bf16", "fp32", or "auto": bf16 where the device has instructions for it. The two differ in the last
            bits, so a key made in one opens in the other.
        device: Where the network runs.

    Raises:
        EditorError: If the weights are missing or broken.
    """

    name: ClassVar[str] = "mini"
    max_steps: ClassVar[int] = 8
    # A blend of 0.6 keeps detail that the edit alone loses, and clean images are told apart all the same.
    defaults = EditSettings(steps=2, guidance=1.0, image_guidance=1.0, strength=0.4)
    resolution = 64

    def __init__(self, folder: Path = WEIGHTS, precision: str = "auto", device: str = "cpu") -> None:
        if precision not in ("auto", *_PRECISIONS):
            raise EditorError(f"The bundled editor runs in auto, bf16 or fp32, not {precision!r}.")
        keep_freed_memory()
        self._folder, self._device = folder, torch.device(device)
        fastest = "bf16" if has_bf16(self._device) else "fp32"
        self._precision = fastest if precision == "auto" else precision
        self._network = _load_network(folder / "editor.safetensors").to(self._device)
        self._encoder = TextEncoder(folder)
        self._digest = hashlib.sha256(
            b"".join((folder / name).read_bytes() for name in ("editor.safetensors", "text.safetensors"))
            + (folder / "tokenizer.json").read_bytes()
        ).hexdigest()
        self._vectors: OrderedDict[str, Tensor] = OrderedDict()

    def in_precision(self, precision: str) -> MiniEditor:
        """The same editor, with the same weights on the same device, in another precision."""
        return MiniEditor(self._folder, precision, str(self._device))

    def fingerprint(self) -> str:
        kind = self._device.type
        return self._fingerprint(self._precision) + ("" if kind == "cpu" else f":{kind}")

    def _fingerprint(self, precision: str) -> str:
        return f"{ALGORITHM}:{precision}:{self._digest}"

    def identity(self) -> str:
        return f"{ALGORITHM}:{self._digest}"

    def names(self) -> tuple[str, ...]:
        return self.identity(), *(self._fingerprint(precision) for precision in _PRECISIONS)

    def looks(self) -> tuple[tuple[str, ...], ...]:
        return tuple(phrase.wordings for phrase in (*STYLES.values(), *OBJECTS.values()))

    @torch.inference_mode()
    def _edit(
        self, images: Tensor, prompts: list[str], seed: int, salts: list[bytes | None], settings: EditSettings
    ) -> Tensor:
        height, width = images.shape[2:]
        padded = pad_to_multiple(images, _MULTIPLE, _LEAST)
        size = max(1, min(self.batch_size, _PIXELS_A_BATCH // (padded.shape[2] * padded.shape[3])))
        size = 1 << (size.bit_length() - 1)  # of three, one would be split between two threads and rounded otherwise
        vectors = self.text_vectors(prompts)
        codes = codes_from_salts(salts)
        edited = []
        with power_of_two_threads():  # and so would four between three threads
            for start in range(0, len(images), size):
                rows = slice(start, start + size)
                count = len(padded[rows])
                parts = [fill_batch(part[rows], size) for part in (padded, vectors, codes)]
                edited.append(self._edit_full_batch(parts[0], parts[1], parts[2], seed, settings)[:count])
        return torch.cat(edited)[:, :, :height, :width]

    def _edit_full_batch(
        self, images: Tensor, vectors: Tensor, codes: Tensor, seed: int, settings: EditSettings
    ) -> Tensor:
        pictures = self.draw(images, vectors, codes, seed, settings)
        return ((pictures + 1) * 127.5).round().to(torch.uint8).cpu()

    def draw(self, images: Tensor, vectors: Tensor, codes: Tensor, seed: int, settings: EditSettings) -> Tensor:
        """Edits one batch, differentiable in the text vectors and the salts' codes.

        Args:
            images: uint8 [B, 3, H, W] of any size; inside they are padded to sides of a multiple of 8, at least 16.
            vectors: Text vectors float32 [B, TEXT_SIZE] (`TextEncoder`).
            codes: float32 [B, CODE_SIZE] (`codes_from_salts`).
            seed: Of the initial noise.
            settings: Steps and guidance; the blend is left to the caller.

        Returns:
            float32 [B, 3, H, W] in [-1, 1], on the editor's device.
        """
        device, count = self._device, len(images)
        padded = pad_to_multiple(images, _MULTIPLE, _LEAST)
        height, width = padded.shape[2:]
        source = F.pixel_unshuffle(padded.to(device).float() / 127.5 - 1, FOLD)
        source = source.contiguous(memory_format=torch.channels_last)
        noise = torch.randn(source.shape[1:], generator=torch.Generator().manual_seed(seed)).to(device)
        noise = noise.expand(count, -1, -1, -1).contiguous(memory_format=torch.channels_last)
        vectors, codes = vectors.to(device), codes.to(device)
        with torch.autocast(device.type, torch.bfloat16, enabled=self._precision == "bf16"):
            condition = self._network.conditions(vectors, self._encoder.features(vectors.cpu()).to(device), codes)
            positions = self._network.positions(codes, height, width)
            no_edit = None
            if settings.guidance != 1.0:
                nothing = torch.zeros_like(vectors)
                no_edit = self._network.conditions(nothing, self._encoder.features(nothing.cpu()).to(device), codes)
            estimate = source
            for estimate in flow_steps(  # noqa: B007 -- the last estimate is the result
                self._network, source, noise, condition, positions, settings.steps, settings.guidance, no_edit
            ):
                pass
        return F.pixel_shuffle(estimate.clamp(-1, 1), FOLD)[:, :, : images.shape[2], : images.shape[3]]

    def text_vectors(self, prompts: list[str]) -> Tensor:
        """Text vectors float32 [N, TEXT_SIZE] of prompts, as `draw` takes them."""
        return torch.stack([self._vector(prompt) for prompt in prompts])

    def _vector(self, prompt: str) -> Tensor:
        if prompt not in self._vectors:
            self._vectors[prompt] = self._encoder.vectors([prompt])[0]
            if len(self._vectors) > _REMEMBERED_PROMPTS:
                self._vectors.popitem(last=False)
        return self._vectors[prompt]


def _load_network(path: Path) -> EditorNetwork:
    try:
        with safe_open(path, framework="pt") as file:
            config = json.loads((file.metadata() or {})["config"])
        tensors = load_file(path)
        network = EditorNetwork(
            channels=tuple(config["channels"]),
            blocks=tuple(config["blocks"]),
            condition=config["condition"],
            canvas=config["canvas"],
            canvas_size=config["canvas_size"],
        )
        network.load_state_dict({name: tensor.float() for name, tensor in tensors.items()})
    except (OSError, SafetensorError, KeyError, ValueError, RuntimeError) as error:
        raise EditorError(
            f"The bundled editor's weights {path.name} cannot be read; install Spellward anew."
        ) from error
    return network.eval().requires_grad_(False).to(memory_format=torch.channels_last)
