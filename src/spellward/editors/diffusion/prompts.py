"""Prompt embeddings, computed once a prompt and kept for the most recent ones."""

from __future__ import annotations

import inspect
from collections import OrderedDict
from typing import Any

import torch
from torch import Tensor

from spellward.editors.diffusion.loading import quiet

_REMEMBERED = 128

# What a pipeline's `encode_prompt` returns, by the number of its results; None is a pipeline with `_encode_prompt`.
_PAIR = ("prompt_embeds", "negative_prompt_embeds")
_NAMES = {2: _PAIR, 4: (*_PAIR, "pooled_prompt_embeds", "negative_pooled_prompt_embeds")}


class PromptEmbeddings:
    """The arguments that carry prompts into a pipeline's call.

    Args:
        pipeline: Any image-to-image pipeline; of one whose embeddings we do not know the texts themselves are passed.
    """

    def __init__(self, pipeline: Any) -> None:
        self._pipeline = pipeline
        self._kept: OrderedDict[str, dict[str, Tensor]] = OrderedDict()

    def arguments(self, prompts: list[str], device: torch.device) -> dict[str, Any]:
        """Embeddings [B, L, C] by the names under which the pipeline takes them."""
        rows = [self._one(_legal(prompt), device) for prompt in prompts]
        if not rows[0]:
            return {"prompt": [_legal(prompt) for prompt in prompts]}
        return {name: torch.cat([row[name] for row in rows]) for name in rows[0]}

    def _one(self, prompt: str, device: torch.device) -> dict[str, Tensor]:
        if prompt not in self._kept:
            with quiet():
                self._kept[prompt] = self._encode(prompt, device)
            if len(self._kept) > _REMEMBERED:
                self._kept.popitem(last=False)
        self._kept.move_to_end(prompt)
        return self._kept[prompt]

    def _encode(self, prompt: str, device: torch.device) -> dict[str, Tensor]:
        encode = getattr(self._pipeline, "encode_prompt", None)
        if encode is None:
            # Stable Diffusion's InstructPix2Pix gives one tensor, which with guidance would have other rows in it.
            embeddings = [self._pipeline._encode_prompt([text], device, 1, False) for text in (prompt, "")]
            return dict(zip(_PAIR, embeddings, strict=True))
        known = inspect.signature(encode).parameters
        wanted = {"device": device, "num_images_per_prompt": 1, "do_classifier_free_guidance": True}
        results = encode(prompt, **{name: value for name, value in wanted.items() if name in known})
        names = _NAMES.get(len(results)) if isinstance(results, tuple) else None
        accepted = inspect.signature(self._pipeline.__call__).parameters
        if names is None or not set(names) <= set(accepted):
            return {}
        return dict(zip(names, results, strict=True))


def _legal(prompt: str) -> str:
    """Tokenizers know no lone surrogates; each becomes a question mark."""
    return prompt.encode("utf-8", "replace").decode("utf-8")
