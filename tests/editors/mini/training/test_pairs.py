"""Training pairs: the teacher's edits on disk, and prompts that mean what they stand for."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

pytest.importorskip("cv2", reason="the extra `editor` is not installed")

from spellward.data.sample import in_sample_half
from spellward.editors.mini.editor import WEIGHTS
from spellward.editors.mini.text import TextEncoder
from spellward.editors.mini.training import pairs, sources
from spellward.editors.mini.training.generic import generic_edit
from spellward.editors.mini.training.objects import CLIP_ART, SPRITES
from spellward.editors.mini.training.teacher import render
from spellward.editors.mini.vocabulary import HELD_OUT_PAIRS, OBJECTS, STYLES

needs_clip_art = pytest.mark.skipif(not CLIP_ART.is_dir(), reason="Debian's openclipart-png is not installed")


def pictures(count: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, 64, 64, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def encoder() -> TextEncoder:
    return TextEncoder(WEIGHTS)


def test_random_words_share_nothing_with_the_vocabulary(encoder: TextEncoder) -> None:
    words = pairs.random_words(encoder._tokenizer.get_vocab())
    phrases = [*STYLES.values(), *OBJECTS.values()]
    taken = {word for phrase in phrases for text in (*phrase.wordings, *phrase.held_out) for word in text.split()}
    assert len(words) > 5000 and words == sorted(set(words))
    assert not taken & set(words)
    assert all(re.fullmatch("[a-zA-Z]{4,}", word) for word in words)


def test_pairs_leave_out_those_that_are_measured() -> None:
    assert not set(pairs.PAIRS) & set(HELD_OUT_PAIRS)
    assert len(set(pairs.PAIRS)) == len(pairs.PAIRS)


def test_prompts_stand_for_what_they_say(encoder: TextEncoder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pairs, "_RANDOM_PROMPTS", 20)
    table = pairs.prompt_table(encoder, ["zebra", "quartz", "velvet"])
    assert table.vectors.shape[0] == table.features.shape[0]
    ends = sorted(table.rows.values())
    assert ends[0][0] == 0 and ends[-1][1] == len(table.vectors)
    assert all(first[1] == second[0] for first, second in itertools.pairwise(ends))
    assert len(table.rows) == len(pairs.STYLES) + len(pairs.OBJECTS) + len(pairs.PAIRS) + 2
    rng = np.random.default_rng(0)
    assert not table.vectors[table.draw(pairs.IDENTITY, 0, rng)].any()
    snow = pairs.STYLES.index("snow")
    start, end = table.rows[pairs.STYLE, snow]
    assert (table.vectors[start:end] - encoder.vectors(["with snow"])[0]).norm(dim=1).min() < 1e-5
    assert all(start <= table.draw(pairs.STYLE, snow, rng) < end for _ in range(50))


@pytest.mark.parametrize("kind", [pairs.STYLE, pairs.PAIR])
def test_the_teacher_answers_in_bytes(kind: int) -> None:
    picture = pictures(1)[0]
    edited = pairs.teacher_edit(kind, 3, picture)
    assert edited.shape == picture.shape and edited.dtype == np.uint8
    image = picture.astype(np.float32) / 255
    names = (pairs.STYLES[3],) if kind == pairs.STYLE else pairs.PAIRS[3][::-1]
    for name in names:
        image = render(name, image)
    assert np.abs(edited / 255 - image).max() <= 0.5 / 255 + 1e-4


@needs_clip_art
@pytest.mark.parametrize("name", SPRITES)
def test_objects_are_added_at_their_own_place(name: str) -> None:
    picture = np.full((64, 64, 3), 128, np.uint8)
    changed = (pairs.teacher_edit(pairs.OBJECT, pairs.OBJECTS.index(name), picture) != picture).any(2)
    assert 0.005 < changed.mean() < 0.2
    right, bottom = SPRITES[name][1]
    rows, columns = np.nonzero(changed)
    assert (columns.mean() > 32) == right and (rows.mean() > 32) == bottom


@needs_clip_art
def test_pairs_are_built_once_and_are_the_teachers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def three(*_: object) -> Iterator[np.ndarray]:
        calls.append(1)
        yield from pictures(3)

    monkeypatch.setattr(pairs, "source_pictures", three)
    assert pairs.build_pairs(tmp_path / "pairs", 0, 1, 1) == 3
    assert pairs.build_pairs(tmp_path / "pairs", 0, 1, 1) == 3
    assert len(calls) == 1
    found, targets, meta = (np.load(tmp_path / "pairs" / f"{name}.npy") for name in ("sources", "targets", "meta"))
    assert targets.shape == (3, pairs.TARGETS_EACH, 64, 64, 3)
    for picture, edits, what in zip(found, targets, meta, strict=True):
        assert [kind for kind, _ in what[-2:]] == [pairs.OBJECT, pairs.PAIR]
        assert len({index for kind, index in what if kind == pairs.STYLE}) == pairs.STYLES_EACH
        for edited, (kind, index) in zip(edits, what, strict=True):
            assert np.array_equal(edited, pairs.teacher_edit(kind, index, picture))
    # A set that was cut short is made anew.
    (tmp_path / "pairs" / "meta.npy").unlink()
    pairs.build_pairs(tmp_path / "pairs", 0, 1, 1)
    assert len(calls) == 2
    assert np.array_equal(np.load(tmp_path / "pairs" / "targets.npy"), targets)


@needs_clip_art
def test_the_sample_is_never_trained_on() -> None:
    files = sources.clip_art_files()
    assert len(files) > 100
    assert not any(in_sample_half(path.relative_to(CLIP_ART).as_posix()) for path in files)


def test_unknown_prompts_get_a_bounded_edit_of_their_own(encoder: TextEncoder) -> None:
    images = pairs.to_unit(pictures(4))
    features = encoder.features(encoder.vectors(["made of cheese", "a hologram", "zero gravity", "made of cheese"]))
    images = images[:1].expand(4, -1, -1, -1)
    edited = generic_edit(images, features)
    assert edited.shape == images.shape and edited.min() >= 0 and edited.max() <= 1
    assert torch.equal(edited[0], edited[3])
    assert all((edited[i] - edited[j]).square().mean().sqrt() > 0.05 for i in range(3) for j in range(i))
    with pytest.raises(ValueError, match="16 features"):
        generic_edit(images, features[:, :3])
