"""Refining text vectors and codes of an editor along a gradient."""

from __future__ import annotations

import torch
from tests.attacks.unlocking.conftest import coloured

from spellward.attacks.unlocking.prompt_inversion import Spell, refined
from spellward.editors.mini import MiniEditor
from spellward.models import VisionModel


def test_refining_a_spell_follows_a_gradient(trained: VisionModel) -> None:
    editor = MiniEditor()
    start = Spell(editor.text_vectors(["with blossoms"])[0], torch.zeros(24))
    better = refined(trained, editor, editor.defaults, start, coloured(12, 0), 2, 0)
    assert better.vector.shape == start.vector.shape
    assert not torch.equal(better.vector, start.vector) and not torch.equal(better.code, start.code)
    assert better.code.abs().max() <= 1
