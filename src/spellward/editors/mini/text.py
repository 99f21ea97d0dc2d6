"""Text for the bundled editor: any prompt to one vector, by a static table of word pieces.

The table was distilled from the MiniLM sentence encoder with model2vec (`training/distil_text.py`); the mean of its
rows keeps different wordings of one style together nearly as well as the encoder itself, in 4 MB instead of 80.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.numpy import load_file
from tokenizers import Encoding, Tokenizer
from torch import Tensor

from spellward.errors import EditorError

TEXT_SIZE = 128
FEATURES = 16
_UNKNOWN = "[UNK]"
_MAX_PIECES = 512


class TextEncoder:
    """Encodes prompts with the table in a weights folder (`text.safetensors`, `tokenizer.json`).

    Raises:
        EditorError: If either is missing or broken.
    """

    def __init__(self, folder: Path) -> None:
        try:
            tensors = load_file(folder / "text.safetensors")
            self._table: NDArray[np.int8] = tensors["table"]
            self._scale = tensors["scale"].astype(np.float32)
            self._centre = tensors["centre"].astype(np.float32)
            self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        except Exception as error:  # tokenizers raises nothing narrower
            raise EditorError(
                "The bundled editor's text.safetensors or tokenizer.json cannot be read; install Spellward anew."
            ) from error
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self._unknown = self._tokenizer.token_to_id(_UNKNOWN)
        self._projection = np.random.default_rng(7).normal(size=(TEXT_SIZE, FEATURES)).astype(np.float32)

    def vectors(self, prompts: Sequence[str]) -> Tensor:
        """Encodes prompts.

        Args:
            prompts: Any text, also empty; what is past 512 word pieces does not count.

        Returns:
            float32 [N, TEXT_SIZE] of unit length; zero for a prompt without any word (which means "no edit").
        """
        # Lone surrogates are not text that a tokenizer takes; "replace" turns them into question marks.
        clean = [prompt.encode("utf-8", "replace").decode("utf-8") for prompt in prompts]
        encodings = self._tokenizer.encode_batch(clean, add_special_tokens=False)
        rows = [self._vector(text, encoding) for text, encoding in zip(clean, encodings, strict=True)]
        return torch.from_numpy(np.stack(rows) if rows else np.zeros((0, TEXT_SIZE), np.float32))

    def features(self, vectors: Tensor) -> Tensor:
        """Fixed random features of text vectors, float32 [N, FEATURES] in (-1, 1).

        They hand the network the direction of an unknown prompt directly, so that such prompts stay apart.
        """
        norm = vectors.norm(dim=1, keepdim=True)
        centred = torch.nn.functional.normalize(vectors - torch.from_numpy(self._centre), dim=1)
        features: Tensor = torch.tanh(1.3 * centred @ torch.from_numpy(self._projection)) * (norm > 0)
        return features

    def _vector(self, text: str, encoding: Encoding) -> NDArray[np.float32]:
        ids = np.array(encoding.ids[:_MAX_PIECES], dtype=np.int64)
        known = ids != self._unknown
        total = (self._table[ids[known]] * self._scale[ids[known], None]).sum(axis=0, dtype=np.float32)
        for place in np.flatnonzero(~known):
            start, end = encoding.offsets[place]
            total = total + _hashed(text[start:end])
        return np.asarray(total / max(float(np.linalg.norm(total)), 1e-8), dtype=np.float32)


def _hashed(word: str) -> NDArray[np.float32]:
    """A vector of its own, about as long as a table row, for a word that the table does not know."""
    seed = int.from_bytes(hashlib.sha256(word.encode("utf-8", "replace")).digest()[:8], "little")
    return np.random.default_rng(seed).normal(0, 0.06, TEXT_SIZE).astype(np.float32)
