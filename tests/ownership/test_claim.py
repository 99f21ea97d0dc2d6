"""Claims: what is in the folder, that a run may be killed, and what is refused."""

from __future__ import annotations

import shutil
import stat
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import SafetensorError
from tests.ownership.claims import SETTINGS, SPEC, in_another_order

from spellward.data import load_splits, prepare
from spellward.errors import ArtifactError, DataError, ModelError, StorageError
from spellward.models import FitSettings, VisionModel, load_model
from spellward.ownership.claim import Claim, ClaimSettings, create_claim, load_claim
from spellward.ownership.evidence import gathering
from spellward.ownership.evidence.probes import reserved_rows
from spellward.ownership.judge import judge
from spellward.ownership.verify import verify


def test_a_claim_holds_what_a_verdict_needs(claim: Claim, victim: VisionModel) -> None:
    commitment = claim.commitment
    assert claim.probes.shape == (60, 3, 32, 32) and claim.probes.dtype == torch.uint8
    assert claim.victim.shape == (60, 3) and len(claim.references) == commitment.references == 12
    assert np.allclose(claim.victim, victim.logits(claim.probes), atol=1e-5)
    expected = judge(
        claim.victim,
        claim.references,
        claim.victim,
        alpha=commitment.alpha,
        seed=commitment.seed,
        peers=claim.peers,
    )
    assert commitment.threshold == expected.threshold
    assert set(commitment.files) == {
        "probes.safetensors",
        "victim.npy",
        *(f"reference-{n:02}.npy" for n in range(1, 13)),
        "peer-01.npy",
        "peer-02.npy",
    }


def test_claim_and_signing_key_are_private(claim: Claim) -> None:
    assert stat.S_IMODE(claim.folder.stat().st_mode) == 0o700
    key = claim.folder.with_name("claim.signing-key.pem")
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert b"PRIVATE KEY" in key.read_bytes()
    assert not any(b"PRIVATE" in path.read_bytes() for path in claim.folder.iterdir())


def test_it_opens_as_it_was_made(claim: Claim) -> None:
    again = load_claim(claim.folder, claim.commitment.digest())
    assert again.commitment == claim.commitment
    assert torch.equal(again.probes, claim.probes)
    assert all(np.array_equal(one, other) for one, other in zip(again.references, claim.references, strict=True))


def test_a_killed_claim_goes_on_with_the_references_it_has(victim: VisionModel, photos: Path, tmp_path: Path) -> None:
    settings = replace(SETTINGS, seed=5, references=4)

    class Stop(BaseException):
        pass

    def stop(name: str, done: int, total: int) -> None:
        if name.startswith("Reference 3"):
            raise Stop

    with pytest.raises(Stop):
        create_claim(victim, photos, tmp_path / "claim", settings=settings, report=stop)
    assert not (tmp_path / "claim").exists()
    seen = []
    parts = create_claim(
        victim, photos, tmp_path / "claim", settings=settings, report=lambda name, *_: seen.append(name)
    )
    assert not [name for name in seen if name.startswith(("Reference 1 ", "Reference 2 "))]
    whole = create_claim(victim, photos, tmp_path / "whole", settings=settings)
    assert parts.commitment.files == whole.commitment.files


def test_no_private_image_is_sent_unless_asked_for(victim: VisionModel, photos: Path, tmp_path: Path) -> None:
    settings = replace(SETTINGS, references=3, private_images=False)
    claim = create_claim(victim, photos, tmp_path / "claim", settings=settings)
    assert 10 <= len(claim.probes) <= 20
    private = {image.numpy().tobytes() for image in prepare(load_splits(photos).train, 32).images[:]}
    assert not [image for image in claim.probes if image.numpy().tobytes() in private]
    assert not claim.commitment.private_images
    allowed = create_claim(victim, photos, tmp_path / "allowed", settings=replace(settings, private_images=True))
    assert allowed.commitment.private_images


def test_shadows_of_holmes(victim: VisionModel, photos: Path, tmp_path: Path) -> None:
    claim = create_claim(victim, photos, tmp_path / "claim", settings=replace(SETTINGS, shadows=True, references=3))
    assert claim.poisoned is not None and claim.poisoned.shape == claim.victim.shape
    assert len(claim.references) == 3


def test_peers_may_be_left_out(victim: VisionModel, photos: Path, tmp_path: Path) -> None:
    alone = replace(SETTINGS, references=3, peers=0)
    claim = create_claim(victim, photos, tmp_path / "claim", settings=alone)
    assert claim.peers == () and not claim.commitment.opinions_count


def test_a_claim_is_never_written_over(claim: Claim, victim: VisionModel, photos: Path) -> None:
    with pytest.raises(ArtifactError, match="never changed"):
        create_claim(victim, photos, claim.folder, settings=SETTINGS)


def test_a_model_of_other_classes_is_refused(photos: Path, cached: Path, tmp_path: Path) -> None:
    other = load_model("timm/test_resnet?random", ("cat", "dog"), 32)
    with pytest.raises(ModelError, match="other classes"):
        create_claim(other, photos, tmp_path / "claim", settings=SETTINGS)


def test_a_model_that_started_from_none_of_the_bases_is_refused(
    victim: VisionModel, photos: Path, tmp_path: Path
) -> None:
    elsewhere = replace(SETTINGS, bases=("bundled", "bundled?random"))
    with pytest.raises(ModelError, match=r"none of the bases \(bundled, bundled\?random\).*--base"):
        create_claim(victim, photos, tmp_path / "claim", settings=elsewhere)


def test_a_claim_says_how_good_victim_and_references_are(claim: Claim, victim: VisionModel, photos: Path) -> None:
    commitment, private = claim.commitment, prepare(load_splits(photos).train, 32)
    held_out = private.subset(reserved_rows(private, SETTINGS.probes, SETTINGS.seed))
    right = victim.logits(held_out.images[:]).argmax(axis=1) == held_out.labels
    assert commitment.victim_accuracy == pytest.approx(right.mean())
    assert 0.4 < commitment.references_accuracy < 1  # of few images, they may get one more than the victim
    assert commitment.base == SPEC


def test_a_victim_that_guesses_is_refused_before_references_are_trained(
    victim: VisionModel, photos: Path, tmp_path: Path
) -> None:
    """So does one that is asked with other pixels than it was trained with."""
    trained: list[str] = []
    for guessing in (load_model(SPEC, victim.classes, 32, seed=7), replace(victim, mean=(9.0, -9.0, 9.0))):
        with pytest.raises(ModelError, match=r"which guessing gives, too.*takes 32 pixels"):
            create_claim(
                guessing, photos, tmp_path / "claim", settings=SETTINGS, report=lambda name, *_: trained.append(name)
            )
    assert not [name for name in trained if name.startswith("Reference")]


@pytest.mark.parametrize(
    ("epochs", "images", "counts"), [(16, 60, True), (1, 60, False), (16, 2000, False)], ids=["good", "poor", "few"]
)
def test_opinions_count_beside_many_good_references_alone(
    epochs: int,
    images: int,
    counts: bool,
    victim: VisionModel,
    photos: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(gathering, "_MANY", images)
    poor = FitSettings(**{**SETTINGS.fit.__dict__, "epochs": epochs, "learning_rate": 1e-2 if epochs > 1 else 1e-9})
    settings = replace(SETTINGS, references=3, private_images=False, fit=poor)
    claim = create_claim(victim, photos, tmp_path / "claim", settings=settings)
    assert claim.commitment.opinions_count == counts
    assert len(claim.peers) == (0 if counts else 2)


def test_a_model_may_have_its_classes_in_another_order(
    claim: Claim, victim: VisionModel, photos: Path, tmp_path: Path
) -> None:
    order = [2, 0, 1]
    moved = in_another_order(victim, order)
    again = create_claim(moved, photos, tmp_path / "claim", settings=replace(SETTINGS, references=3))
    assert tuple(again.commitment.classes) == moved.classes != tuple(claim.commitment.classes)
    assert again.commitment.victim_accuracy > 0.9
    assert verify(again, victim).answers == verify(again, moved).answers


@pytest.mark.parametrize("change", [{"references": 0}, {"peers": 1}, {"probes": 3}, {"alpha": 0.7}, {"bases": ()}])
def test_settings_without_sense_are_refused(change: dict[str, object]) -> None:
    with pytest.raises(DataError):
        ClaimSettings(**change)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["probes.safetensors", "victim.npy", "reference-02.npy", "commitment.json"])
def test_a_folder_with_a_gap_is_refused(name: str, claim: Claim, tmp_path: Path) -> None:
    shutil.copytree(claim.folder, tmp_path / "claim")
    (tmp_path / "claim" / name).unlink()
    with pytest.raises(ArtifactError):
        load_claim(tmp_path / "claim")


def test_a_file_that_came_in_is_refused(claim: Claim, tmp_path: Path) -> None:
    shutil.copytree(claim.folder, tmp_path / "claim")
    (tmp_path / "claim" / "reference-13.npy").write_bytes(b"")
    with pytest.raises(ArtifactError, match="was not there"):
        load_claim(tmp_path / "claim")


def test_a_full_disk_ends_in_one_sentence_and_leaves_nothing(
    victim: VisionModel, photos: Path, cached: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")

    monkeypatch.setattr("spellward.ownership.claim.save_file", full)
    with pytest.raises(StorageError, match="full"):
        create_claim(victim, photos, tmp_path / "claim", settings=SETTINGS)
    assert not list(tmp_path.glob("*claim*"))


def test_one_base_needs_its_comma() -> None:
    with pytest.raises(DataError, match="comma"):
        ClaimSettings(bases="timm/resnet50")  # type: ignore[arg-type]
