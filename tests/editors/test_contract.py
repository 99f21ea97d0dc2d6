"""What every editor promises; a new editor is one more entry in `EDITORS`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from tests.editors.tiny_pipelines import KINDS
from torch import Tensor

from spellward.editors.base import Editor, EditSettings
from spellward.editors.diffusion import DiffusionEditor
from spellward.editors.mini import MiniEditor
from spellward.editors.objects import ObjectEditor
from spellward.errors import EditorError

SALTS = (bytes(range(16)), bytes(range(16, 32)))
SIZES = ((17, 23), (64, 64), (100, 75))
PROMPTS = {
    "empty": "",
    "blank": " \t\n",
    "one letter": "x",
    "10,000 characters": "with oil pastel and snow " * 400,
    "one endless word": "x" * 10_000,
    "only spaces": " " * 10_000,
    "emoji": "🧑‍🚀🎨 as 🌊👩‍👩‍👧‍👦",
    "right to left": "בסגנון צבעי מים \u202e نمط زيتي",
    "Chinese": "水彩畫風格",
    "combining": "é" + "\u0301" * 500,
    "lone surrogate": "with \ud800 pastel \udfff",
    "NUL": "with\0oil\0pastel",
    "controls": "".join(map(chr, range(32))) + "\x7f\x85\u2028\ufeff\uffff",
    "beyond the BMP": "\U0010ffff\U0001d4de\U0001d4f2\U0001d4f5",
    "special tokens": "[UNK] [CLS] [PAD] <|endoftext|> {} %s",
}


def _mini(precision: str, batch_size: int) -> Callable[[Path], Editor]:
    def build(_: Path) -> Editor:
        editor = MiniEditor(precision=precision)
        editor.batch_size = batch_size
        return editor

    return build


def _diffusion(kind: str) -> Callable[[Path], Editor]:
    def build(folder: Path) -> Editor:
        editor = DiffusionEditor(KINDS[kind](folder), lambda: kind, precision="fp32", device="cpu")
        editor.defaults = EditSettings(steps=2, guidance=4.5, image_guidance=1.5, strength=0.6)
        return editor

    return build


EDITORS: dict[str, Callable[[Path], Editor]] = {
    "mini": _mini("auto", 64),
    "mini-fp32": _mini("fp32", 3),
    "object": lambda _: ObjectEditor(),
    "instruct-pix2pix": _diffusion("instruct-pix2pix"),
}


@pytest.fixture(scope="module", params=EDITORS)
def editor(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Editor:
    return EDITORS[request.param](tmp_path_factory.mktemp("editor"))


def pictures(count: int, height: int = 32, width: int = 32) -> Tensor:
    """Smooth random pictures."""
    coarse = torch.rand(count, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    return (torch.nn.functional.interpolate(coarse, (height, width), mode="bilinear") * 255).to(torch.uint8)


@pytest.mark.parametrize("size", [(1, 1), *SIZES], ids=str)
def test_any_size_comes_back_as_it_was(editor: Editor, size: tuple[int, int]) -> None:
    images = pictures(2, *size)
    edited = editor.edit(images, "with oil pastel", salts=SALTS[0])
    assert edited.shape == images.shape and edited.dtype == torch.uint8 and edited.device == images.device
    if min(size) > 1 or not isinstance(editor, ObjectEditor):  # one pixel is all foreground
        assert not torch.equal(edited, images)
    assert editor.edit(images[:0], "with oil pastel").shape == (0, 3, *size)


@pytest.fixture
def threads(request: pytest.FixtureRequest) -> Iterator[int]:
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


# Two threads with one size alone: beside another worker they wait for each other most of the time.
@pytest.mark.parametrize(
    ("size", "threads"), [*((one, 1) for one in SIZES), ((64, 64), 2), ((64, 64), 3)], ids=str, indirect=["threads"]
)
def test_an_image_is_edited_alike_in_any_batch_and_order(editor: Editor, size: tuple[int, int], threads: int) -> None:
    images, prompts = pictures(4, *size), ["with oil pastel", "", "x", "neon lights"]
    salts = [None, SALTS[0], SALTS[1], SALTS[0]]
    together = editor.edit(images, prompts, 3, salts)
    alone = [editor.edit(images[i : i + 1], prompts[i], 3, salts[i]) for i in range(4)]
    assert torch.equal(torch.cat(alone), together)
    order = [2, 0, 3, 1, 2]
    shuffled = editor.edit(images[order], [prompts[i] for i in order], 3, [salts[i] for i in order])
    assert torch.equal(shuffled, together[order])


def test_more_images_than_a_batch_holds(editor: Editor) -> None:
    count = editor.batch_size + 3
    images = pictures(count, 16, 16)
    together = editor.edit(images, "with oil pastel")
    for start in (0, count - 4):
        rows = slice(start, start + 4)
        assert torch.equal(editor.edit(images[rows], "with oil pastel"), together[rows])


def test_the_same_arguments_give_the_same_pixels_and_others_do_not(editor: Editor) -> None:
    images = pictures(2)
    first = editor.edit(images, "with oil pastel", 1)
    assert torch.equal(editor.edit(images, "with oil pastel", 1), first)
    edits = [
        first,
        editor.edit(images, "neon lights", 1),
        editor.edit(images, "with oil pastel", 1, SALTS[0]),
        editor.edit(images, "with oil pastel", 1, SALTS[1]),
    ]
    for number, one in enumerate(edits):
        for other in edits[:number]:
            assert all(not torch.equal(a, b) for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("prompt", PROMPTS.values(), ids=PROMPTS.keys())
def test_any_prompt_is_taken(editor: Editor, prompt: str) -> None:
    images = pictures(1)
    edited = editor.edit(images, prompt)
    assert edited.shape == images.shape
    assert torch.equal(editor.edit(images, prompt), edited)


def test_the_fingerprint_is_a_stable_line_of_text(editor: Editor) -> None:
    before = editor.fingerprint()
    editor.edit(pictures(1), "with oil pastel", 1, SALTS[0])
    assert editor.fingerprint() == before
    assert before and before.isascii() and before.isprintable()


def test_what_makes_no_sense_is_refused(editor: Editor) -> None:
    images, most = pictures(1), editor.max_steps
    wrong = [
        ({"images": images.float()}, "uint8"),
        ({"images": images[0]}, "uint8"),
        ({"images": images[:, :1]}, "uint8"),
        ({"prompts": "x" * 10_001}, "10000 characters"),
        ({"prompts": ["a", "b"]}, "2 prompts"),
        ({"salts": b"short"}, "16 bytes"),
        ({"seed": -1}, "seed"),
        ({"settings": EditSettings(0, 1.0, 1.0, 1.0)}, "steps"),
        ({"settings": EditSettings(most + 1, 1.0, 1.0, 1.0)}, "steps"),
        ({"settings": EditSettings(1, float("nan"), 1.0, 1.0)}, "Guidance"),
        ({"settings": EditSettings(1, 1.0, 1.0, 1.5)}, "strength"),
    ]
    for arguments, message in wrong:
        with pytest.raises(EditorError, match=message):
            editor.edit(**{"images": images, "prompts": "p", **arguments})  # type: ignore[arg-type]
