"""Training pairs for the bundled editor: source pictures with the teacher's edits, on disk; prompts with vectors.

Styles, pairs of styles and objects are rendered once (`build_pairs`). Unknown prompts, identity and salts are made
while training: they have no end of variants.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from spellward.editors.mini import vocabulary as words
from spellward.editors.mini.text import TextEncoder
from spellward.editors.mini.training.objects import add_object
from spellward.editors.mini.training.sources import SIDE, source_pictures
from spellward.editors.mini.training.teacher import render

STYLES, OBJECTS = tuple(words.STYLES), tuple(words.OBJECTS)
PAIRS = tuple(
    (style, scene)
    for style in STYLES
    if style not in words.SCENES
    for scene in words.SCENES
    if (style, scene) not in words.HELD_OUT_PAIRS
)
STYLE, OBJECT, PAIR, GENERIC, IDENTITY = range(5)
STYLES_EACH = 6
TARGETS_EACH = STYLES_EACH + 2
_RANDOM_PROMPTS = 40_000
Picture = NDArray[np.uint8]


def teacher_edit(kind: int, index: int, picture: Picture) -> Picture:
    """The teacher's answer, uint8 RGB [S, S, 3] in and out."""
    image: Any = picture.astype(np.float32) / 255
    if kind == STYLE:
        edited = render(STYLES[index], image)
    elif kind == OBJECT:
        edited = add_object(OBJECTS[index], image)
    else:
        style, scene = PAIRS[index]
        edited = render(style, render(scene, image))
    return np.clip(edited * 255 + 0.5, 0, 255).astype(np.uint8)


def build_pairs(folder: Path, seed: int, clip_art_rounds: int, crops: int) -> int:
    """Renders sources.npy [N, S, S, 3], targets.npy [N, T, S, S, 3] and meta.npy [N, T, 2]; returns N.

    A complete set in `folder` is used again; an incomplete one (meta.npy is written last) is made anew.
    """
    if (folder / "meta.npy").is_file():
        return len(np.load(folder / "meta.npy", mmap_mode="r"))
    folder.mkdir(parents=True, exist_ok=True)
    pictures = np.stack(list(source_pictures(False, seed, clip_art_rounds, crops)))
    np.random.default_rng(seed).shuffle(pictures)
    np.save(folder / "sources.npy", pictures)
    shape = (len(pictures), TARGETS_EACH, SIDE, SIDE, 3)
    targets = np.lib.format.open_memmap(folder / "targets.npy", mode="w+", dtype=np.uint8, shape=shape)
    meta = np.zeros((len(pictures), TARGETS_EACH, 2), np.int32)
    with get_context("fork").Pool() as pool:
        jobs = ((index, seed, picture) for index, picture in enumerate(pictures))
        for index, (edits, what) in enumerate(pool.imap(_edits_of_one, jobs, chunksize=64)):
            targets[index], meta[index] = edits, what
    targets.flush()
    np.save(folder / "meta.npy", meta)
    return len(pictures)


def _edits_of_one(job: tuple[int, int, Picture]) -> tuple[Picture, NDArray[np.int32]]:
    index, seed, picture = job
    rng = np.random.default_rng([seed, index])
    what = [(STYLE, int(style)) for style in rng.permutation(len(STYLES))[:STYLES_EACH]]
    what += [(OBJECT, int(rng.integers(len(OBJECTS)))), (PAIR, int(rng.integers(len(PAIRS))))]
    return np.stack([teacher_edit(kind, one, picture) for kind, one in what]), np.array(what, np.int32)


@dataclass(frozen=True)
class PromptTable:
    """Vectors of every training prompt; `rows[kind, index]` is the range of rows for one thing."""

    vectors: Tensor
    features: Tensor
    rows: dict[tuple[int, int], tuple[int, int]]

    def draw(self, kind: int, index: int, rng: np.random.Generator) -> int:
        start, end = self.rows[kind, index]
        return int(rng.integers(start, end))


def prompt_table(encoder: TextEncoder, vocabulary: list[str]) -> PromptTable:
    """Encodes all wordings in all templates, and random-word prompts for the generic edit."""
    prompts: list[str] = []
    rows: dict[tuple[int, int], tuple[int, int]] = {}
    for key, texts in _wordings(vocabulary):
        rows[key] = (len(prompts), len(prompts) + len(texts))
        prompts += texts
    vectors = encoder.vectors(prompts)
    return PromptTable(vectors, encoder.features(vectors), rows)


def _wordings(vocabulary: list[str]) -> Iterator[tuple[tuple[int, int], list[str]]]:
    for index, style in enumerate(STYLES):
        texts = [template.format(text) for template in words.STYLE_TEMPLATES for text in words.STYLES[style].wordings]
        yield (STYLE, index), texts
    for index, thing in enumerate(OBJECTS):
        texts = [template.format(text) for template in words.OBJECT_TEMPLATES for text in words.OBJECTS[thing].wordings]
        yield (OBJECT, index), texts
    for index, (style, scene) in enumerate(PAIRS):
        firsts, seconds = words.STYLES[style].wordings[:4], words.STYLES[scene].wordings[:4]
        yield (PAIR, index), [t.format(a, b) for t in words.PAIR_TEMPLATES for a in firsts for b in seconds]
    rng = np.random.default_rng(1)
    known = np.array(vocabulary)
    texts = []
    for _ in range(_RANDOM_PROMPTS):
        chosen = rng.choice(known, size=int(rng.integers(1, 4)), replace=False)
        texts.append(str(rng.choice(words.STYLE_TEMPLATES)).format(" ".join(chosen)))
    yield (GENERIC, 0), texts
    yield (IDENTITY, 0), [""]


def random_words(encoder_vocabulary: dict[str, int]) -> list[str]:
    """Whole English-looking words of the tokenizer that no style or object uses."""
    phrases = [*words.STYLES.values(), *words.OBJECTS.values()]
    taken = {word for phrase in phrases for text in (*phrase.wordings, *phrase.held_out) for word in text.split()}
    usable = [w for w in encoder_vocabulary if w.isalpha() and w.isascii() and len(w) >= 4 and w not in taken]
    return sorted(usable)


def to_unit(pictures: Picture) -> Tensor:
    """uint8 [B, S, S, 3] to float32 [B, 3, S, S] in [0, 1]."""
    return torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 255
