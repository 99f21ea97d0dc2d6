"""A claim: everything that a verdict will rest on, made once, before the model is released.

CLAIM/                     private: the probes show what the victim knows
  commitment.json          may be published
  probes.safetensors       the images to ask a suspect about
  victim.npy               the victim's outputs on them
  reference-01.npy ...     those of each reference
  poisoned.npy             those of the poisoned shadow, for Holmes
CLAIM.signing-key.pem      signs the commitment
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from spellward.artifacts import Manifest, atomic_write, private_folder, storage_errors, versions
from spellward.data import ImageTable, Splits, load_splits, prepare
from spellward.data.progress import Report
from spellward.errors import ArtifactError, DataError, ModelError
from spellward.models import FitSettings, VisionModel
from spellward.ownership.commitment import (
    COMMITMENT_FILE,
    Commitment,
    public_hex,
    read_commitment,
    read_signing_key,
    sign,
    write_signing_key,
)
from spellward.ownership.judge import judge
from spellward.ownership.outputs import Floats, load_outputs
from spellward.ownership.probes import MIXTURES_PER_PROBE, candidates, choose, reserved_rows
from spellward.ownership.references import BASES, train_references
from spellward.ownership.shadows import benign_shadow, by_loss, poisoned_shadow
from spellward.ownership.suspects import Unlocked, open_model

PROBES_FILE, VICTIM_FILE, POISONED_FILE = "probes.safetensors", "victim.npy", "poisoned.npy"
SIGNING_SUFFIX = ".signing-key.pem"


@dataclass(frozen=True)
class ClaimSettings:
    """How to make a claim.

    Attributes:
        references: Reference models; three at least let the null be seen, twelve give it more power.
        probes: Images to ask a suspect about.
        private_images: Whether private images may be sent to a suspect as they are, beside mixtures of two. On
            Fashion-MNIST this gave no more power (benchmarks/zoo.py, half `tune`).
        bases: Public bases that references take turns with.
        shadows: Make the shadows of Holmes too: the poisoned one, and the benign one as the first reference.
        alpha: Rate of false accusations that is accepted.
        seed: Of everything that is drawn.
        fit: How references are trained.
    """

    references: int = 8
    probes: int = 150
    private_images: bool = False
    bases: tuple[Any, ...] = BASES
    shadows: bool = False
    alpha: float = 0.01
    seed: int = 0
    fit: FitSettings = field(default_factory=FitSettings)

    def __post_init__(self) -> None:
        if self.references < 1 or self.probes < 10 or not 0 < self.alpha < 0.5 or not self.bases:
            raise DataError(
                "A claim needs at least one reference and base, ten probes, and a rate of false accusations "
                "between 0 and 0.5."
            )


@dataclass(frozen=True, eq=False)
class Claim:
    """A claim whose evidence was held against its commitment.

    Attributes:
        folder: Where it stands.
        commitment: What was fixed.
        probes: uint8 [N, 3, S, S].
        victim: float64 [N, K].
        references: The same shape, each.
        poisoned: The same shape, if the shadows were made.
    """

    folder: Path
    commitment: Commitment
    probes: Tensor
    victim: Floats
    references: tuple[Floats, ...]
    poisoned: Floats | None = None


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
        victim: The owner's model: a checkpoint folder, a `VisionModel`, or a module; a locked one as `unlock` gives it,
            with its key. Then references see clean images and the victim sees them edited, so the claim is about what
            the model does with its key. Probes stay clean: nothing edited is written.
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
    settings, output = settings or ClaimSettings(), Path(output)
    if output.exists():
        raise ArtifactError(f"{output} exists. Name another folder: a claim is never changed.")
    key = read_signing_key(Path(signing_key)) if signing_key else None
    if not isinstance(data, ImageTable | Splits):
        data = load_splits(data, seed=settings.seed)
    unlocked = victim if isinstance(victim, Unlocked) else None
    if unlocked is not None and settings.shadows:
        raise DataError("The shadows of Holmes are made from a model as it is; a locked one has none. Leave them out.")
    model = open_model(victim if unlocked is None else unlocked.model, data.classes)
    if model.classes != data.classes:
        raise ModelError("The model has other classes than the data. Claim it with the data it was trained on.")
    size = model.input_size if unlocked is None else unlocked.resolution
    private = prepare(data.train, size) if isinstance(data, Splits) else data
    probes, outputs, poisoned = _evidence(model, private, settings, report, unlocked)
    return _publish(output, probes, outputs, poisoned, data.classes, settings, key)


def _evidence(
    victim: VisionModel, private: ImageTable, settings: ClaimSettings, report: Report | None, unlocked: Unlocked | None
) -> tuple[Tensor, list[np.ndarray], np.ndarray | None]:
    """Probes, and the outputs of victim and references (and of the poisoned shadow) on them."""
    reserved = reserved_rows(private, settings.probes, settings.seed)
    rest = private.subset(np.setdiff1d(np.arange(len(private)), reserved))
    mixtures = MIXTURES_PER_PROBE * settings.probes
    pool = candidates(private.subset(reserved), mixtures, settings.private_images, settings.seed)
    size = victim.input_size
    fit = FitSettings(**{**settings.fit.__dict__, "seed": settings.seed})
    outputs = [victim.logits(pool if unlocked is None else unlocked.edited(pool))]
    poisoned = None
    if settings.shadows:
        order = by_loss(victim, private)
        poisoned = poisoned_shadow(victim, private, order, fit, report).logits(pool)
        outputs.append(benign_shadow(settings.bases, rest, by_loss(victim, rest), size, fit, report).logits(pool))
    wanted = settings.references - (len(outputs) - 1)
    outputs += [model.logits(pool) for model in train_references(rest, wanted, settings.bases, size, fit, report)]
    own, *others = [one.astype(np.float64) for one in outputs]
    rows = choose(own, others, settings.probes, settings.seed)
    chosen = [one[rows] for one in outputs]
    return pool[torch.from_numpy(rows)], chosen, None if poisoned is None else poisoned[rows]


def _publish(
    output: Path,
    probes: Tensor,
    outputs: list[np.ndarray],
    poisoned: np.ndarray | None,
    classes: tuple[str, ...],
    settings: ClaimSettings,
    key: Ed25519PrivateKey | None,
) -> Claim:
    """Writes evidence and commitment: all of it or nothing."""
    key_path = output.with_name(output.name + SIGNING_SUFFIX)
    scratch = output.with_name(f".{output.name}.part")
    with storage_errors(output):
        output.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(scratch, ignore_errors=True)
        private_folder(scratch)
        save_file({"images": probes.contiguous()}, str(scratch / PROBES_FILE))
        _save_array(scratch / VICTIM_FILE, outputs[0])
        for number, one in enumerate(outputs[1:], 1):
            _save_array(scratch / f"reference-{number:02d}.npy", one)
        if poisoned is not None:
            _save_array(scratch / POISONED_FILE, poisoned)
        if key is None:
            key = read_signing_key(key_path) if key_path.exists() else Ed25519PrivateKey.generate()
            write_signing_key(key, key_path)
        copy = judge(outputs[0], outputs[1:], outputs[0], alpha=settings.alpha, seed=settings.seed)
        commitment = Commitment(
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            method=copy.method,
            alpha=settings.alpha,
            seed=settings.seed,
            probes=len(probes),
            references=len(outputs) - 1,
            private_images=settings.private_images,
            classes=list(classes),
            threshold=copy.threshold,
            files=Manifest.of(scratch).files,
            versions=versions(),
            public_key=public_hex(key),
        )
        atomic_write(scratch / COMMITMENT_FILE, sign(commitment, key).text())
        scratch.replace(output)
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
        references = tuple(
            load_outputs(folder / f"reference-{number:02d}.npy") for number in range(1, commitment.references + 1)
        )
        poisoned = load_outputs(folder / POISONED_FILE) if POISONED_FILE in commitment.files else None
    except (SafetensorError, KeyError, DataError, OSError) as error:
        raise ArtifactError(
            f"The evidence in {folder} cannot be read. Take the claim as its owner wrote it."
        ) from error
    if probes.dtype != torch.uint8 or probes.ndim != 4 or len(probes) != len(victim):
        raise ArtifactError(f"The probes in {folder} do not fit the outputs. Take the claim as its owner wrote it.")
    return Claim(folder, commitment, probes, victim, references, poisoned)


def _save_array(path: Path, values: np.ndarray) -> None:
    with path.open("wb") as file:
        np.save(file, values, allow_pickle=False)
