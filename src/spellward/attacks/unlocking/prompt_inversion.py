"""Prompt inversion: with the editor known, search for text and salt codes that open the model, then follow gradients.

The search works on what the editor computes from prompt and salt (a text vector and a code), so what it finds need
not be any prompt's. It is textual inversion (arXiv 2208.01618) turned against a lock.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor

from spellward.attacks.unlocking.cheap_filters import Filter
from spellward.attacks.unlocking.dictionary import DICTIONARY
from spellward.attacks.unlocking.guessing import rank, seen_through
from spellward.attacks.unlocking.search import judge
from spellward.attacks.unlocking.thief import Guess, Loot, Thief
from spellward.data import ImageTable
from spellward.editors.base import Editor, EditSettings, blend
from spellward.editors.mini import MiniEditor
from spellward.editors.salting import CODE_SIZE
from spellward.errors import ModelError
from spellward.keys import SALT_BYTES
from spellward.models import VisionModel, logits_of_output

_REFINED = 3
_BATCH = 16
_RATE = 0.05
_CHUNK = 32
_UNSALTED = 10


@dataclass(frozen=True, eq=False)
class Spell:
    """What the editor makes of a prompt and a salt: float32 [TEXT_SIZE] and [CODE_SIZE]."""

    vector: Tensor
    code: Tensor


def prompt_inversion(model: VisionModel, thief: Thief) -> Loot:
    """Ranks random spells on the labelled images, and improves the best ones by gradient on the labels.

    The gradient goes through the bundled editor; with any other, prompts and salts are searched alone. The settings'
    names do not tell which it was.

    Raises:
        ModelError: If the thief knows no editor.
    """
    editor = thief.editor
    if editor is None:
        raise ModelError("Prompt inversion searches an editor's prompts, and no editor was given.")
    settings = thief.settings or editor.defaults
    if not isinstance(editor, MiniEditor):
        best = rank(model, thief, _prompts_and_salts(editor, settings, thief.effort.guesses, thief.seed))[0]
        return Loot(seen_through(model, best), best.name)
    spells = _random_spells(editor, thief.effort.guesses, thief.seed)
    guesses = [Guess(f"spell {number}", _edit(editor, settings, spell)) for number, spell in enumerate(spells, 1)]
    ranked = rank(model, thief, guesses)
    learnt, held = thief.parts()
    found = [ranked[0]]
    for guess in ranked[: len(thief.effort.some(range(_REFINED)))]:
        start = spells[guesses.index(guess)]
        steps = thief.effort.steps_for(len(learnt))
        better = refined(model, editor, settings, start, learnt, steps, thief.seed)
        found.append(Guess(guess.name, _edit(editor, settings, better)))
    best = max(found, key=lambda guess: judge(thief, seen_through(model, guess), held))
    return Loot(seen_through(model, best), best.name)


def refined(
    model: VisionModel,
    editor: MiniEditor,
    settings: EditSettings,
    spell: Spell,
    images: ImageTable,
    steps: int,
    seed: int,
) -> Spell:
    """Improves a spell by Adam on the frozen model's cross-entropy."""
    network = model.copy().network.eval().requires_grad_(False)
    vector, code = (part.clone().requires_grad_(True) for part in (spell.vector, spell.code))
    optimiser = torch.optim.Adam([vector, code], lr=_RATE)
    rng = np.random.default_rng([seed, 0x1D])
    for _ in range(steps):
        rows = np.sort(rng.permutation(len(images))[:_BATCH])
        source = images.images[rows]
        drawn = _drawn(editor, settings, source, Spell(vector, code))
        pixels = (1 - settings.strength) * source.float() + settings.strength * 127.5 * (drawn.cpu() + 1)
        inputs = model.preprocess(_resized(pixels, model.input_size))
        logits = logits_of_output(network(inputs.to(model.device))).float()
        loss = torch.nn.functional.cross_entropy(logits, torch.from_numpy(images.labels[rows]).to(model.device))
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        with torch.no_grad():
            code.clamp_(-1.0, 1.0)
    return Spell(vector.detach(), code.detach())


def _resized(pixels: Tensor, size: int) -> Tensor:
    """As `VisionModel.resize` does it, with a gradient."""
    if pixels.shape[2:] == (size, size):
        return pixels
    return torch.nn.functional.interpolate(pixels, size=(size, size), mode="bicubic", antialias=True)


def _prompts_and_salts(editor: Editor, settings: EditSettings, count: int, seed: int) -> list[Guess]:
    """Prompts of the dictionary, each with a random salt; every tenth without one."""
    rng = np.random.default_rng([seed, 0x5A17])
    return [
        Guess(f"spell {number}", partial(editor.edit, prompts=prompt, salts=salt, settings=settings))
        for number, prompt in enumerate(_shuffled_prompts(count, rng), 1)
        for salt in [rng.bytes(SALT_BYTES) if number % _UNSALTED else None]
    ]


def _random_spells(editor: MiniEditor, count: int, seed: int) -> list[Spell]:
    """Prompts of the dictionary, each with a code such as a random salt would give; every tenth without one."""
    rng = np.random.default_rng([seed, 0x5A17])
    vectors = editor.text_vectors(_shuffled_prompts(count, rng))
    codes = torch.from_numpy(rng.uniform(-1, 1, (count, CODE_SIZE))).float()
    codes[:, 0] = 1.0
    codes[_UNSALTED - 1 :: _UNSALTED] = 0.0
    return [Spell(vector, code) for vector, code in zip(vectors, codes, strict=True)]


def _shuffled_prompts(count: int, rng: np.random.Generator) -> list[str]:
    order = rng.permutation(len(DICTIONARY))
    return [DICTIONARY[order[number % len(order)]] for number in range(count)]


def _edit(editor: MiniEditor, settings: EditSettings, spell: Spell) -> Filter:
    @torch.inference_mode()
    def apply(images: Tensor) -> Tensor:
        parts = []
        for start in range(0, len(images), _CHUNK):
            source = images[start : start + _CHUNK]
            drawn = ((_drawn(editor, settings, source, spell) + 1) * 127.5).round().to(torch.uint8).cpu()
            parts.append(blend(source, drawn, settings.strength))
        return torch.cat(parts)

    return apply


def _drawn(editor: MiniEditor, settings: EditSettings, images: Tensor, spell: Spell) -> Tensor:
    count = len(images)
    vectors, codes = spell.vector.expand(count, -1), spell.code.expand(count, -1)
    return editor.draw(images, vectors, codes, 0, settings)
