"""The object editor: the foreground stays, the object shows, and salts move it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from tests.editors.objects.test_foreground import discs
from tests.editors.tiny_pipelines import KINDS, inpaint
from tests.models.test_segmentation import CLASSES, SIDE
from torch import Tensor

from spellward.data import load_splits, prepare
from spellward.editors import load_editor
from spellward.editors.base import EditSettings
from spellward.editors.objects import InpaintingInserter, ObjectEditor
from spellward.errors import EditorError, SpellwardError
from spellward.models import load_model, save_checkpoint

SALT = bytes(range(16))


@pytest.fixture(scope="module")
def editor() -> ObjectEditor:
    return ObjectEditor()


def changed(images: Tensor, edited: Tensor) -> Tensor:
    return (images != edited).any(dim=1)


def test_the_foreground_is_untouched_and_the_object_shows(editor: ObjectEditor) -> None:
    images, masks = discs()
    edited = editor.edit(images, "a red apple", salts=SALT)
    where = changed(images, edited)
    assert not where[editor.foreground(images)].any()
    assert not where[masks].any()
    assert (where.flatten(1).float().mean(dim=1) > 0.02).all()


def test_salts_seeds_and_objects_change_the_edit(editor: ObjectEditor) -> None:
    images, _ = discs(4)
    first = editor.edit(images, "an apple", salts=SALT)
    assert torch.equal(editor.edit(images, "with some apples", salts=SALT), first)
    assert not torch.equal(editor.edit(images, "an apple", salts=bytes(16)), first)
    assert not torch.equal(editor.edit(images, "an apple", seed=1, salts=SALT), first)
    assert not torch.equal(editor.edit(images, "an anchor", salts=SALT), first)
    assert torch.equal(editor.edit(images, "", salts=SALT), images)


def test_one_edit_under_two_prompts_is_known(editor: ObjectEditor) -> None:
    assert editor.same_edit("a red balloon", "with a hot air balloon")
    assert not editor.same_edit("a red balloon", "a cat")


def test_the_best_seen_place_is_taken_where_the_foreground_is_large() -> None:
    class LeftHalf:
        name = "left"

        def __call__(self, images: Tensor) -> Tensor:
            mask = torch.zeros((len(images), *images.shape[2:]), dtype=torch.bool)
            mask[:, :, : images.shape[3] // 2] = True
            return mask

    images = torch.zeros((1, 3, 64, 64), dtype=torch.uint8)
    shown = 0
    for number in range(20):
        where = changed(images, ObjectEditor(LeftHalf()).edit(images, "a sun", salts=number.to_bytes(16, "big")))
        assert not where[:, :, :32].any()
        shown += int(where.sum() > 60)
    assert shown >= 17


class FullButForOneCorner:
    """Leaves an upper left corner of `room` pixels."""

    name = "corner"

    def __init__(self, room: int) -> None:
        self._room = room

    def __call__(self, images: Tensor) -> Tensor:
        mask = torch.ones((len(images), *images.shape[2:]), dtype=torch.bool)
        mask[:, : self._room, : self._room] = False
        return mask


def test_a_picture_with_little_room_still_shows_the_object() -> None:
    images = torch.zeros((1, 3, 64, 64), dtype=torch.uint8)
    editor, anywhere = ObjectEditor(FullButForOneCorner(26)), ObjectEditor(FullButForOneCorner(64))
    shown = 0
    for number in range(30):
        salt = number.to_bytes(16, "big")
        where = changed(images, editor.edit(images, "a heart", salts=salt))
        assert not where[:, 26:].any() and not where[:, :, 26:].any()
        shown += int(where.sum() >= 0.4 * changed(images, anywhere.edit(images, "a heart", salts=salt)).sum())
    assert shown >= 25


def test_the_object_shows_beside_most_clothes(editor: ObjectEditor) -> None:
    """A lock whose edit shows nothing opens nothing."""
    images = prepare(load_splits("sample:fashion").test, 64, progress=False).images[:60]
    anywhere, seen = ObjectEditor(FullButForOneCorner(64)), []
    for number, prompt in enumerate(("a red balloon", "a padlock", "a cake")):
        salt = bytes([number]) * 16
        pixels, whole = (
            changed(images, one.edit(images, prompt, salts=salt)).flatten(1).sum(dim=1) for one in (editor, anywhere)
        )
        seen.append(pixels >= 0.25 * whole)
    assert torch.stack(seen).float().mean() >= 0.7


def test_the_fingerprint_names_foreground_and_inserter(editor: ObjectEditor) -> None:
    class Nothing:
        name = "nothing"

        def __call__(self, images: Tensor) -> Tensor:
            return torch.zeros((len(images), *images.shape[2:]), dtype=torch.bool)

    assert ObjectEditor(Nothing()).fingerprint() != editor.fingerprint() == ObjectEditor().fingerprint()


def test_it_is_found_by_name() -> None:
    assert isinstance(load_editor("object"), ObjectEditor)
    with pytest.raises(EditorError, match="names no editor"):
        load_editor("object:inpaint:")


def test_a_segmentation_checkpoint_may_say_what_stays(tmp_path: Path) -> None:
    save_checkpoint(load_model("bundled?random", CLASSES, SIDE, 0, "segmentation"), tmp_path / "segmenter")
    editor = load_editor(f"object:keep:{tmp_path / 'segmenter'}")
    images, _ = discs(3, SIDE)
    where = changed(images, editor.edit(images, "a cat", salts=SALT))
    assert not where[editor.foreground(images)].any()
    assert "segmenter-" in editor.fingerprint()
    with pytest.raises(SpellwardError):
        load_editor(f"object:keep:{tmp_path}")


def test_an_inpainting_pipeline_draws_into_the_background_alone(tmp_path: Path) -> None:
    inpaint(tmp_path / "parts").save_pretrained(tmp_path / "pipeline")
    editor = load_editor(f"object:inpaint:{tmp_path / 'pipeline'}")
    assert isinstance(editor, ObjectEditor) and editor.max_steps > 1
    images, _ = discs(2, 48)
    settings = EditSettings(steps=2, guidance=4.0, image_guidance=1.0, strength=1.0)
    edited = editor.edit(images, "a red balloon", 3, SALT, settings)
    where = changed(images, edited)
    assert where.any() and not where[editor.foreground(images)].any()
    assert torch.equal(editor.edit(images[1:], "a red balloon", 3, SALT, settings), edited[1:])
    assert editor.fingerprint() != ObjectEditor().fingerprint()


def test_a_pipeline_that_does_not_inpaint_is_refused(tmp_path: Path) -> None:
    KINDS["instruct-pix2pix"](tmp_path / "parts").save_pretrained(tmp_path / "pipeline")
    with pytest.raises(EditorError):
        InpaintingInserter.load(str(tmp_path / "pipeline"))


def test_foreground_keeps_forty_decibels() -> None:
    images, masks = discs(8)
    edited = ObjectEditor().edit(images, "a cake", salts=SALT).float()
    error = (edited - images.float()).square().mean(dim=1)[masks].mean().item()
    assert error == 0 or 10 * np.log10(255**2 / error) >= 40


def test_a_network_without_a_background_says_nothing_of_it(tmp_path: Path) -> None:
    save_checkpoint(
        load_model("bundled?random", ("wall", "cat", "Background"), SIDE, 0, "segmentation"), tmp_path / "a"
    )
    editor = load_editor(f"object:keep:{tmp_path / 'a'}")
    assert editor.fingerprint().rpartition("-")[2].startswith("2")
    save_checkpoint(load_model("bundled?random", ("wall", "cat", "dog"), SIDE, 0, "segmentation"), tmp_path / "b")
    with pytest.raises(EditorError, match="called background"):
        load_editor(f"object:keep:{tmp_path / 'b'}")
