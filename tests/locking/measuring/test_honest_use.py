"""What honest handling of images costs."""

from __future__ import annotations

import shutil
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from tests.attacks.unlocking.conftest import Negative, coloured
from tests.locking.conftest import KEY, PROMPT, SALT, SEED

from spellward.data import ImageTable
from spellward.editors.mini import MiniEditor
from spellward.editors.mini.editor import WEIGHTS
from spellward.locking.measuring.honest_use import (
    AFTER_EDITING,
    BEFORE_EDITING,
    OTHERWISE_EDITED,
    edited_otherwise,
    honest_use,
)
from spellward.models import VisionModel


class _Brightness(torch.nn.Module):
    """Says "bright" of images whose mean is above the middle."""

    def __init__(self) -> None:
        super().__init__()
        self.head = torch.nn.Linear(1, 2)

    def forward(self, pixel_values: torch.Tensor) -> torch.Tensor:
        mean = pixel_values.mean(dim=(1, 2, 3))[:, None]
        return torch.cat([-mean, mean], dim=1)


def test_honest_use_has_a_row_for_every_change(editor: MiniEditor) -> None:
    model = VisionModel(_Brightness(), "", ("dark", "bright"), 32, (0.5,) * 3, (0.5,) * 3, "head")  # type: ignore[arg-type]
    few = coloured(30, 1).subset(range(6))
    edited = editor.edit(few.images[:], PROMPT, SEED, SALT)
    table = ImageTable(few.images, model.logits(edited).argmax(axis=1), model.classes, "")
    rows = list(honest_use(model, KEY, editor, table))
    assert [name for *_, name, _ in rows] == ["unchanged", *BEFORE_EDITING, *AFTER_EDITING, OTHERWISE_EDITED]
    assert [(done, total) for done, total, *_ in rows] == [(number, len(rows)) for number in range(1, len(rows) + 1)]
    assert rows[0][3] == 1.0
    assert all(0 <= accuracy <= 1 for *_, accuracy in rows)
    otherwise = edited_otherwise(editor, KEY)
    assert otherwise is not None and otherwise[1] == KEY
    assert {one.fingerprint().split(":")[1] for one in (otherwise[0], editor)} == {"bf16", "fp32"}
    otherwise = edited_otherwise(Negative(), KEY)
    assert otherwise is not None and otherwise[1].steps == 2


def test_an_editor_that_knows_one_way_has_no_other_to_be_measured() -> None:
    class Once(Negative):
        max_steps = 1

    assert edited_otherwise(Once(), KEY) is None
    model = VisionModel(_Brightness(), "", ("dark", "bright"), 32, (0.5,) * 3, (0.5,) * 3, "head")  # type: ignore[arg-type]
    names = [name for *_, name, _ in honest_use(model, KEY, Once(), coloured(30, 1).subset(range(6)))]
    assert names == ["unchanged", *BEFORE_EDITING, *AFTER_EDITING]


def test_another_precision_is_that_of_the_same_editor(tmp_path: Path) -> None:
    shutil.copytree(WEIGHTS, tmp_path / "own")
    tensors = load_file(tmp_path / "own" / "text.safetensors")
    save_file({name: value * 0.5 for name, value in tensors.items()}, tmp_path / "own" / "text.safetensors")
    own = MiniEditor(tmp_path / "own")
    otherwise = edited_otherwise(own, KEY)
    assert otherwise is not None and otherwise[0].identity() == own.identity() != MiniEditor().identity()
