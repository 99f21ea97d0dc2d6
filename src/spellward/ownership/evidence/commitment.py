"""`commitment.json`: what a claim rests on, fixed and signed before any suspect is seen.

Without it an accuser could make probes that accuse an innocent suspect at will (False Claims against Model Ownership
Resolution, USENIX Security 2024). Publish the file, or its digest, when the model is released.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Literal

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from spellward.artifacts import atomic_write
from spellward.errors import ArtifactError
from spellward.manifest import Manifest
from spellward.models.inspection import is_normalisation
from spellward.plain_json import parse_json

COMMITMENT_FILE = "commitment.json"
_MAX_BYTES = 1_000_000
_AGAIN = "Take the claim folder as its owner wrote it."


class Commitment(BaseModel):
    """Contents of `commitment.json`; every byte of it is signed or is the signature.

    Attributes:
        created: Time in UTC, ISO 8601.
        method, alpha, seed: Of the test.
        probes, references, peers: How many.
        private_images: Whether probes are private images as they are.
        opinions_count: See `case`: whether probes are mixtures and the references learnt from many images.
        locked: Whether the victim is a locked model, asked through its key.
        base: Where the victim started, a public model's spec or "a private model".
        victim_accuracy, references_accuracy: On private images that no reference has learnt; the references' mean.
        mean, std: How the victim takes pixels in [0, 1]; its size is that of the probes.
        classes: Names, in the order of the victim's outputs.
        threshold: The effect beyond which a suspect that gives all scores is said to be stolen (a copy, where it
            hangs on the suspect's opinions); `None` if the method has none.
        files: Digests of all other files of the claim.
        versions: Of what decides the result.
        public_key: Ed25519, 32 bytes in hexadecimal.
        signature: Over everything above, 64 bytes in hexadecimal.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    format: Literal["spellward-claim"] = "spellward-claim"
    version: Literal[1] = 1
    created: str
    method: str
    alpha: float
    seed: int = Field(ge=0)
    probes: int = Field(ge=1)
    references: int = Field(ge=1)
    peers: int = Field(ge=0)
    private_images: bool
    opinions_count: bool
    locked: bool = False
    base: str
    victim_accuracy: float
    references_accuracy: float
    mean: list[float] = Field(min_length=3, max_length=3)
    std: list[float] = Field(min_length=3, max_length=3)
    classes: list[str]
    threshold: float | None
    files: dict[str, str]
    versions: dict[str, str]
    public_key: str = Field(pattern=r"^[0-9a-f]{64}$")
    signature: str = Field(default="", pattern=r"^([0-9a-f]{128})?$")

    def fits(self, shape: tuple[int, ...]) -> bool:
        """Whether what it says agrees with itself and with a victim's outputs of a shape."""
        usable = is_normalisation(self.mean, self.std) and not (
            self.opinions_count and (self.locked or self.private_images)
        )
        return usable and shape == (self.probes, len(self.classes))

    def text(self) -> str:
        """The one way in which this is written."""
        return self.model_dump_json(indent=2) + "\n"

    def message(self) -> bytes:
        """What is signed."""
        return self.model_copy(update={"signature": ""}).text().encode()

    def digest(self) -> str:
        """sha256 of the file: what to publish if the file itself shall stay private."""
        return hashlib.sha256(self.text().encode()).hexdigest()


def sign(commitment: Commitment, key: Ed25519PrivateKey) -> Commitment:
    """The commitment with its signature; `public_key` must be that of the key."""
    return commitment.model_copy(update={"signature": key.sign(commitment.message()).hex()})


def public_hex(key: Ed25519PrivateKey) -> str:
    """The public key in hexadecimal."""
    return key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw).hex()


def write_signing_key(key: Ed25519PrivateKey, path: Path) -> None:
    """Writes a signing key as PEM, mode 0600."""
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    atomic_write(path, pem, mode=0o600)


def read_signing_key(path: Path) -> Ed25519PrivateKey:
    """Reads a signing key.

    Raises:
        ArtifactError: If it is no Ed25519 key without a passphrase.
    """
    try:
        key = load_pem_private_key(path.read_bytes(), password=None)
    except (OSError, ValueError, TypeError) as error:
        raise ArtifactError(f"{path} is no signing key that can be read. Give an Ed25519 key in PEM.") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise ArtifactError(f"{path} is no Ed25519 key. Give one, or leave it out to have one made.")
    return key


def read_commitment(folder: Path, published: str | None = None) -> Commitment:
    """Reads a commitment and holds its signature and all files of the claim against it.

    Args:
        folder: The claim.
        published: sha256 of `commitment.json` as it was published. The signature alone shows that nothing was
            altered since it was signed, not when or by whom; the published digest does.

    Raises:
        ArtifactError: If anything was altered, is missing or came in.
    """
    path = folder / COMMITMENT_FILE
    if not path.is_file():
        raise ArtifactError(f"{folder} is no claim: it has no {COMMITMENT_FILE}.")
    if path.stat().st_size > _MAX_BYTES:
        raise ArtifactError(f"{path} is too large to be a commitment.")
    try:
        text = path.read_bytes().decode("utf-8")
        commitment = Commitment.model_validate(parse_json(text))
        Ed25519PublicKey.from_public_bytes(bytes.fromhex(commitment.public_key)).verify(
            bytes.fromhex(commitment.signature), commitment.message()
        )
        if commitment.text() != text:
            raise ValueError("written in another way")
    except (ValueError, InvalidSignature) as error:
        other = _other_test(path) if isinstance(error, ValidationError) else ""
        raise ArtifactError(f"{path} was altered after it was signed{other}. {_AGAIN}") from error
    if published is not None and published.lower() != commitment.digest():
        raise ArtifactError(f"{path} is not the commitment that was published under this digest. {_AGAIN}")
    Manifest(commitment.files).verify(folder, allowed_extra=(COMMITMENT_FILE,))
    return commitment


def _other_test(path: Path) -> str:
    """What to add where fields are other than expected: another version may have written them."""
    named = re.search(rb'"method": "(spellward/[0-9]{1,4})"', path.read_bytes())
    return f", or another version of Spellward has made it (it names the test {named[1].decode()})" if named else ""
