"""Commitments: every byte counts."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from spellward.errors import ArtifactError
from spellward.ownership.claim import Claim, load_claim
from spellward.ownership.evidence.commitment import (
    COMMITMENT_FILE,
    public_hex,
    read_commitment,
    read_signing_key,
    sign,
    write_signing_key,
)


@pytest.fixture
def copy(claim: Claim, tmp_path: Path) -> Path:
    shutil.copytree(claim.folder, tmp_path / "claim")
    return tmp_path / "claim"


def test_any_altered_byte_of_the_commitment_is_refused(copy: Path) -> None:
    path = copy / COMMITMENT_FILE
    whole = path.read_bytes()
    for place in range(len(whole)):
        for flip in (0x01, 0x20):
            altered = bytearray(whole)
            altered[place] ^= flip
            path.write_bytes(bytes(altered))
            with pytest.raises(ArtifactError):
                read_commitment(copy)
    path.write_bytes(whole)
    read_commitment(copy)


def test_a_commitment_of_another_test_is_named(copy: Path) -> None:
    path = copy / COMMITMENT_FILE
    fields = json.loads(path.read_text())
    del fields["opinions_count"]  # came with spellward/6
    path.write_text(json.dumps({**fields, "method": "spellward/5"}, indent=2) + "\n")
    with pytest.raises(ArtifactError, match=r"another version of Spellward has made it .*spellward/5"):
        read_commitment(copy)


@pytest.mark.parametrize("name", ["victim.npy", "reference-01.npy", "peer-01.npy", "probes.safetensors"])
def test_altered_evidence_is_refused(name: str, copy: Path) -> None:
    path = copy / name
    whole = path.read_bytes()
    for place in np.linspace(0, len(whole) - 1, 60).astype(int):
        altered = bytearray(whole)
        altered[place] ^= 0x01
        path.write_bytes(bytes(altered))
        with pytest.raises(ArtifactError, match="altered"):
            read_commitment(copy)


@pytest.mark.parametrize("change", ["", " ", "\n", "{}"])
def test_added_bytes_are_refused(change: str, copy: Path) -> None:
    path = copy / COMMITMENT_FILE
    path.write_text(path.read_text() + change + "\n")
    with pytest.raises(ArtifactError):
        read_commitment(copy)


def test_the_same_content_in_another_layout_is_refused(copy: Path) -> None:
    path = copy / COMMITMENT_FILE
    path.write_text(json.dumps(json.loads(path.read_text())))
    with pytest.raises(ArtifactError, match="altered"):
        read_commitment(copy)


def test_another_signature_passes_only_where_nobody_published_the_first(claim: Claim, copy: Path) -> None:
    """Whoever alters evidence can sign anew with a key of their own: what was published gives them away."""
    key = Ed25519PrivateKey.generate()
    forged = sign(claim.commitment.model_copy(update={"alpha": 0.4, "public_key": public_hex(key)}), key)
    (copy / COMMITMENT_FILE).write_text(forged.text())
    assert read_commitment(copy).alpha == 0.4
    with pytest.raises(ArtifactError, match="published"):
        read_commitment(copy, claim.commitment.digest())


@pytest.mark.parametrize(
    "change",
    [{"probes": 3}, {"classes": ["a", "b", "c", "d", "e"]}, {"std": [0.0] * 3}, {"opinions_count": True}],
    ids=str,
)
def test_a_signed_commitment_has_to_agree_with_itself_and_the_evidence(
    change: dict[str, object], claim: Claim, copy: Path
) -> None:
    key = Ed25519PrivateKey.generate()
    if "opinions_count" in change:
        change = {**change, "private_images": True}
    forged = sign(claim.commitment.model_copy(update={**change, "public_key": public_hex(key)}), key)
    (copy / COMMITMENT_FILE).write_text(forged.text())
    with pytest.raises(ArtifactError, match="otherwise than its evidence"):
        load_claim(copy)


@pytest.mark.parametrize("name", ["seed", "peers", "references", "probes"])
def test_a_commitment_counts_nothing_below_zero(name: str, claim: Claim, copy: Path) -> None:
    key = Ed25519PrivateKey.generate()
    forged = sign(claim.commitment.model_copy(update={name: -1, "public_key": public_hex(key)}), key)
    (copy / COMMITMENT_FILE).write_text(forged.text())
    with pytest.raises(ArtifactError):
        load_claim(copy)


def test_a_signing_key_goes_to_a_file_and_back(tmp_path: Path) -> None:
    key = Ed25519PrivateKey.generate()
    write_signing_key(key, tmp_path / "key.pem")
    assert public_hex(read_signing_key(tmp_path / "key.pem")) == public_hex(key)


@pytest.mark.parametrize("kind", ["missing", "text", "other curve"])
def test_what_is_no_signing_key_is_refused(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    if kind == "text":
        path.write_text("no key")
    if kind == "other curve":
        pem = generate_private_key(SECP256R1()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        path.write_bytes(pem)
    with pytest.raises(ArtifactError):
        read_signing_key(path)
