"""A claim: everything that a verdict will rest on, made once, before the model is released.

CLAIM/                     private: the probes show what the victim knows
  commitment.json          may be published
  probes.safetensors       the images to ask a suspect about
  victim.npy               the victim's outputs on them
  reference-01.npy ...     those of each reference
  peer-01.npy ...          those of each peer, if there are any
  poisoned.npy             those of the poisoned shadow, for Holmes
  weights.safetensors      some weights of victim, references and their public base
CLAIM.signing-key.pem      signs the commitment
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from spellward.artifacts import (
    atomic_write,
    check_outside,
    check_place,
    named_output,
    new_folder,
    private_folder,
    versions,
)
from spellward.data import ImageTable, Splits, load_splits, prepare
from spellward.data.progress import Report
from spellward.errors import ArtifactError, DataError, ModelError
from spellward.manifest import Manifest
from spellward.models.checkpoint import full_disk_errors
from spellward.ownership.answers.outputs import Floats, load_outputs
from spellward.ownership.evidence.commitment import (
    COMMITMENT_FILE,
    Commitment,
    public_hex,
    read_commitment,
    read_signing_key,
    sign,
    write_signing_key,
)
from spellward.ownership.evidence.gathering import ClaimSettings, Evidence, gather
from spellward.ownership.judge import judge
from spellward.ownership.suspects import Pixels, Unlocked, open_model
from spellward.ownership.weights.descent import SHARE
from spellward.ownership.weights.sample import WEIGHTS_FILE, WeightSample, load_weights, save_weights

__all__ = ["Claim", "ClaimSettings", "create_claim", "load_claim"]

PROBES_FILE, VICTIM_FILE, POISONED_FILE = "probes.safetensors", "victim.npy", "poisoned.npy"
SIGNING_SUFFIX = ".signing-key.pem"


@dataclass(frozen=True, eq=False)
class Claim:
    """A claim whose evidence was held against its commitment.

    Attributes:
        folder: Where it stands.
        commitment: What was fixed.
        probes: uint8 [N, 3, S, S].
        victim: float64 [N, K].
        references, peers: The same shape, each.
        poisoned: The same shape, if the shadows were made.
        weights: What suspects' weights are held against, where the victim started from a base of three references.
        published: Whether the commitment was held against a published digest.
    """

    folder: Path
    commitment: Commitment
    probes: Tensor
    victim: Floats
    references: tuple[Floats, ...]
    peers: tuple[Floats, ...] = ()
    poisoned: Floats | None = None
    weights: WeightSample | None = None
    published: bool = False

    @property
    def pixels(self) -> Pixels:
        """How the victim takes images."""
        (red, green, blue), (first, second, third) = self.commitment.mean, self.commitment.std
        return Pixels((red, green, blue), (first, second, third))

    @property
    def alpha(self) -> float:
        """Rate of false accusations that is left for answers."""
        return self.commitment.alpha * (1 - SHARE if self.weights is not None else 1)


def create_claim(
    victim: Any,
    data: Any,
    output: str | Path,
    *,
    settings: ClaimSettings | None = None,
    signing_key: str | Path | None = None,
    report: Report | None = None,
) -> Claim:
    """Makes a claim on a model; a run that was killed goes on where it stood.

    Args:
        victim: The owner's model: a checkpoint folder, a `VisionModel`, or a module, which is given images of 224
            pixels, normalised as for ImageNet (wrap it in a `VisionModel` if it takes others); a locked one as `unlock`
            gives it, with its key. Then references see clean images and the victim sees them edited, so the claim is
            about what the model does with its key. Probes stay clean: nothing edited is written.
        data: The private data source it was trained on, or `Splits` (the training split counts),
            or an `ImageTable` of it at the model's input size (the key's resolution, of a locked model).
        output: Folder for the claim.
        settings: How.
        signing_key: Ed25519 key in PEM; one is made at OUTPUT.signing-key.pem if not given.
        report: Told about progress.

    Raises:
        ArtifactError: If `output` exists or the signing key cannot be read.
        ModelError: If the victim has other classes than the data.
    """
    settings, output = settings or ClaimSettings(), named_output(output)
    if output.exists():
        raise ArtifactError(f"{output} exists. Name another folder: a claim is never changed.")
    check_place(output)
    check_outside(output, data)
    own_key = output.with_name(output.name + SIGNING_SUFFIX)
    if signing_key is None and own_key.exists():
        signing_key = own_key
    key = read_signing_key(Path(signing_key)) if signing_key else None  # before hours of training
    if not isinstance(data, ImageTable | Splits):
        data = load_splits(data, seed=settings.seed)
    unlocked = victim if isinstance(victim, Unlocked) else None
    if unlocked is not None and settings.shadows:
        raise DataError("The shadows of Holmes are made from a model as it is; a locked one has none. Leave them out.")
    model = open_model(victim if unlocked is None else unlocked.model, data.classes)
    if sorted(model.classes) != sorted(data.classes):
        raise ModelError("The model has other classes than the data. Claim it with the data it was trained on.")
    size = model.input_size if unlocked is None else unlocked.resolution
    private = _in_order(prepare(data.train, size) if isinstance(data, Splits) else data, model.classes)
    evidence = gather(model, private, settings, report, unlocked)
    return _publish(output, evidence, model.classes, settings, key, Pixels(model.mean, model.std))


def _in_order(images: ImageTable, classes: tuple[str, ...]) -> ImageTable:
    """The same images with their classes in a model's order: folders are sorted by name, models need not be."""
    if images.classes == classes:
        return images
    places = np.array([classes.index(name) for name in images.classes])
    fingerprint = hashlib.sha256(f"{images.fingerprint} {classes!r}".encode()).hexdigest()
    return ImageTable(images.images, places[images.labels], classes, fingerprint)


def _publish(
    output: Path,
    evidence: Evidence,
    classes: tuple[str, ...],
    settings: ClaimSettings,
    key: Ed25519PrivateKey | None,
    pixels: Pixels,
) -> Claim:
    """Writes evidence and commitment: all of it or nothing."""
    with new_folder(output) as folder, full_disk_errors(output):
        private_folder(folder)
        save_file({"images": evidence.probes.contiguous()}, str(folder / PROBES_FILE))
        _save_array(folder / VICTIM_FILE, evidence.outputs[0])
        for kind, some in (("reference", evidence.outputs[1:]), ("peer", evidence.peers)):
            for number, one in enumerate(some, 1):
                _save_array(folder / f"{kind}-{number:02d}.npy", one)
        if evidence.poisoned is not None:
            _save_array(folder / POISONED_FILE, evidence.poisoned)
        alpha = settings.alpha
        if evidence.weights is not None:
            save_weights(evidence.weights, folder / WEIGHTS_FILE)
            alpha *= 1 - SHARE
        if key is None:
            key = Ed25519PrivateKey.generate()
            write_signing_key(key, output.with_name(output.name + SIGNING_SUFFIX))
        own, *others = evidence.outputs
        copy = judge(
            own,
            others,
            own,
            alpha=alpha,
            seed=settings.seed,
            opinions_count=evidence.opinions_count,
            peers=evidence.peers,
        )
        commitment = Commitment(
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            method=copy.method,
            alpha=settings.alpha,
            seed=settings.seed,
            probes=len(evidence.probes),
            references=len(others),
            peers=len(evidence.peers),
            private_images=settings.private_images,
            opinions_count=evidence.opinions_count,
            locked=evidence.locked,
            base=evidence.base,
            victim_accuracy=evidence.victim_accuracy,
            references_accuracy=evidence.references_accuracy,
            mean=list(pixels.mean),
            std=list(pixels.std),
            classes=list(classes),
            threshold=copy.threshold,
            files=Manifest.of(folder).files,
            versions=versions(),
            public_key=public_hex(key),
        )
        atomic_write(folder / COMMITMENT_FILE, sign(commitment, key).text())
    return load_claim(output)


def load_claim(folder: str | Path, published: str | None = None) -> Claim:
    """Opens a claim after holding every file against its commitment.

    Args:
        folder: What `create_claim` wrote.
        published: sha256 of the commitment as it was published.

    Raises:
        ArtifactError: If anything was altered, is missing or came in.
    """
    folder = Path(folder)
    commitment = read_commitment(folder, published)
    try:
        probes = load_file(str(folder / PROBES_FILE))["images"]
        victim = load_outputs(folder / VICTIM_FILE)
        references, peers = (
            tuple(load_outputs(folder / f"{kind}-{number:02d}.npy") for number in range(1, count + 1))
            for kind, count in (("reference", commitment.references), ("peer", commitment.peers))
        )
        poisoned = load_outputs(folder / POISONED_FILE) if POISONED_FILE in commitment.files else None
        weights = load_weights(folder / WEIGHTS_FILE) if WEIGHTS_FILE in commitment.files else None
    except (SafetensorError, KeyError, DataError, OSError) as error:
        raise ArtifactError(
            f"The evidence in {folder} cannot be read. Take the claim as its owner wrote it."
        ) from error
    if probes.dtype != torch.uint8 or probes.ndim != 4 or len(probes) != len(victim):
        raise ArtifactError(f"The probes in {folder} do not fit the outputs. Take the claim as its owner wrote it.")
    if not commitment.fits(victim.shape):
        raise ArtifactError(
            f"The commitment in {folder} says otherwise than its evidence. Take the claim as its owner wrote it."
        )
    return Claim(folder, commitment, probes, victim, references, peers, poisoned, weights, published is not None)


def _save_array(path: Path, values: np.ndarray) -> None:
    with path.open("wb") as file:
        np.save(file, values, allow_pickle=False)
