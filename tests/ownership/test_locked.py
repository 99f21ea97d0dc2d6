"""Claims on locked models: what counts is what the model does with its key."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.ownership.claims import FIT, SETTINGS, SIDE, SPEC
from torch import Tensor

from spellward.data import ImageTable, load_splits, prepare
from spellward.errors import DataError
from spellward.models import VisionModel
from spellward.ownership.claim import Claim, create_claim
from spellward.ownership.evidence import gathering
from spellward.ownership.evidence.references import fine_tuned
from spellward.ownership.suspects import ask, kind_of
from spellward.ownership.verify import verify


@dataclass
class Inverted:
    """A model that has learnt negatives, and the negative as its key."""

    model: VisionModel
    resolution: int = SIDE

    def edited(self, images: Tensor) -> Tensor:
        return 255 - images


@pytest.fixture(scope="module")
def locked(photos: Path, cached: Path) -> Inverted:
    table = prepare(load_splits(photos).train, SIDE)
    negatives = (255 - table.images[:]).permute(0, 2, 3, 1).numpy()
    edited = replace_images(table, negatives)
    return Inverted(fine_tuned(SPEC, edited, SIDE, replace(FIT, seed=77), "Locked"))


def replace_images(table: ImageTable, pixels: np.ndarray) -> ImageTable:
    return ImageTable(torch.from_numpy(pixels).permute(0, 3, 1, 2), table.labels, table.classes, "negatives")


@pytest.fixture(scope="module")
def keyed_claim(locked: Inverted, photos: Path, cached: Path) -> Claim:
    return create_claim(locked, photos, cached.parent / "keyed-claim", settings=SETTINGS)


def test_the_victim_is_heard_through_its_key_and_probes_stay_clean(
    locked: Inverted, keyed_claim: Claim, claim: Claim
) -> None:
    assert np.allclose(keyed_claim.victim, locked.model.logits(255 - keyed_claim.probes), atol=1e-4)
    assert not np.allclose(keyed_claim.victim, locked.model.logits(keyed_claim.probes), atol=0.1)
    for mine, others in zip(keyed_claim.references, claim.references, strict=True):
        assert mine.shape == others.shape


def test_a_copy_is_found_through_the_key_and_an_independent_model_is_not(
    locked: Inverted, keyed_claim: Claim, victim: VisionModel
) -> None:
    assert verify(keyed_claim, locked).verdict == "stolen"
    assert verify(keyed_claim, victim).verdict != "stolen"


def test_peers_are_asked_for_however_many_images_there_are(
    locked: Inverted, victim: VisionModel, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """References see other images than a locked model, so they do not show what its equals would say."""
    monkeypatch.setattr(gathering, "_MANY", 60)
    settings = replace(SETTINGS, references=3, private_images=False)
    plain = create_claim(victim, photos, tmp_path / "plain", settings=settings)
    keyed = create_claim(locked, photos, tmp_path / "keyed", settings=settings)
    assert (plain.commitment.opinions_count, len(plain.peers)) == (True, 0)
    assert (keyed.commitment.opinions_count, len(keyed.peers)) == (False, settings.peers)


def test_an_unlocked_suspect_is_asked_about_edited_probes(locked: Inverted, keyed_claim: Claim) -> None:
    assert kind_of(locked) == "unlocked" and kind_of(locked.model) == "model"
    answers = ask(locked, keyed_claim.probes, ("blue", "green", "red"))
    assert np.array_equal(answers.outputs, locked.model.logits(255 - keyed_claim.probes))
    assert answers.classes == locked.model.classes


def test_a_locked_model_has_no_shadows_of_holmes(locked: Inverted, photos: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="Leave them out"):
        create_claim(locked, photos, tmp_path / "claim", settings=replace(SETTINGS, shadows=True))
    assert not (tmp_path / "claim").exists()
