"""The text table: unit vectors for any text, and other words for the same thing close together."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch

from spellward.editors.mini.editor import WEIGHTS
from spellward.editors.mini.text import FEATURES, TEXT_SIZE, TextEncoder
from spellward.editors.mini.vocabulary import STYLES
from spellward.errors import EditorError

NOTHING = ["", " ", "\t\n", "\0", "\u200b"]


@pytest.fixture(scope="module")
def encoder() -> TextEncoder:
    return TextEncoder(WEIGHTS)


@pytest.mark.parametrize(
    "prompt",
    ["with oil pastel", "x", "😀", "水彩", "בסגנון", "\ud800", "qzxvkw", "!?", "[UNK]", "1" * 10_000, "ab " * 3000],
    ids=ascii,
)
def test_vectors_have_unit_length(encoder: TextEncoder, prompt: str) -> None:
    vectors = encoder.vectors([prompt])
    assert vectors.shape == (1, TEXT_SIZE) and vectors.dtype == torch.float32
    assert float(vectors.norm()) == pytest.approx(1, abs=1e-5)


def test_a_prompt_without_a_word_is_zero(encoder: TextEncoder) -> None:
    vectors = encoder.vectors(NOTHING)
    assert not vectors.any()
    assert not encoder.features(vectors).any()
    assert encoder.vectors([]).shape == (0, TEXT_SIZE)


def test_vectors_do_not_depend_on_their_neighbours(encoder: TextEncoder) -> None:
    prompts = ["with oil pastel", "x", "", "ab " * 600, "snow"]
    together = encoder.vectors(prompts)
    assert torch.equal(torch.cat([encoder.vectors([prompt]) for prompt in prompts]), together)
    assert torch.equal(encoder.vectors(prompts[::-1]).flip(0), together)


def test_case_and_spaces_do_not_matter_but_words_do(encoder: TextEncoder) -> None:
    base, same, longer = encoder.vectors(["with oil pastel", "  With OIL\npastel ", "with oil pastel and snow"])
    assert torch.equal(base, same)
    assert float(base @ longer) < 0.99


def test_what_is_past_512_pieces_does_not_count(encoder: TextEncoder) -> None:
    first, second = encoder.vectors(["snow " * 512, "snow " * 512 + "charcoal " * 900])
    assert torch.equal(first, second)


def test_words_outside_the_table_stay_apart(encoder: TextEncoder) -> None:
    vectors = encoder.vectors(["☃", "😀", "🎨", "ꙮ", "𓀀", "blorptangle", "vexiquorn", "zyggurathi", "qwmxplk"])
    likeness = vectors @ vectors.T - torch.eye(len(vectors))
    assert float(likeness.max()) < 0.9


def test_features_are_bounded_and_differ(encoder: TextEncoder) -> None:
    features = encoder.features(encoder.vectors(["with oil pastel", "neon lights", "made of cheese"]))
    assert features.shape == (3, FEATURES)
    assert float(features.abs().max()) < 1
    assert all((features[i] - features[j]).abs().max() > 0.3 for i in range(3) for j in range(i))


def test_other_words_for_a_style_are_nearest_to_its_own(encoder: TextEncoder) -> None:
    styles = list(STYLES)
    known = [encoder.vectors(list(STYLES[style].wordings)) for style in styles]
    missed = []
    for style in styles:
        for wording, vector in zip(STYLES[style].held_out, encoder.vectors(STYLES[style].held_out), strict=True):
            nearest = max(range(len(styles)), key=lambda index: float((known[index] @ vector).max()))
            if styles[nearest] != style:
                missed.append((wording, styles[nearest]))
    total = sum(len(phrase.held_out) for phrase in STYLES.values())
    assert len(missed) <= 0.15 * total, missed


@pytest.mark.parametrize("name", ["text.safetensors", "tokenizer.json"])
@pytest.mark.parametrize("damage", ["missing", "truncated", "foreign"])
def test_a_damaged_table_is_one_plain_sentence(tmp_path: Path, name: str, damage: str) -> None:
    shutil.copytree(WEIGHTS, tmp_path / "weights")
    path = tmp_path / "weights" / name
    if damage == "missing":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2] if damage == "truncated" else b"{}")
    with pytest.raises(EditorError, match="install Spellward anew"):
        TextEncoder(tmp_path / "weights")
