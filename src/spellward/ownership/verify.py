"""From a claim and a suspect to a verdict; the same claim and answers give the same verdict.

To the last bit on one machine; elsewhere other kernels may move the last digits of a figure.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from spellward.artifacts import atomic_write, private_folder, versions
from spellward.data.images import png_of
from spellward.errors import ArtifactError
from spellward.models import state_digest
from spellward.ownership.answers.exported import check_sheet, probe_file, sheet, write_sheet
from spellward.ownership.claim import Claim, load_claim
from spellward.ownership.judge import DEFAULT, VERSION, judge
from spellward.ownership.suspects import Answers, ask
from spellward.ownership.verdict import Verdict
from spellward.ownership.weights.descent import SHARE, judge_weights
from spellward.ownership.weights.sample import Channels

MATCH = "match-classes"


def verify(
    claim: Claim | str | Path,
    suspect: Any,
    *,
    method: str = DEFAULT,
    published: str | None = None,
    match_classes: bool = False,
) -> Verdict:
    """Asks a suspect about a claim's probes and judges the answers, and its weights where both can be seen.

    Args:
        claim: A claim or its folder.
        suspect: See `suspects.ask`.
        method: The default is what the claim is committed to; the others are baselines, for comparison.
        published: sha256 of the commitment as it was published.
        match_classes: For a suspect that names its classes otherwise, or not at all: find their order in its answers.

    Raises:
        ArtifactError: If the claim does not match its commitment, or was made with another version of the test.
        DataError, ModelError: If the suspect cannot be asked.
    """
    folder = claim.folder if isinstance(claim, Claim) else claim
    opened = claim if isinstance(claim, Claim) and published is None else load_claim(folder, published)
    commitment = opened.commitment
    made_with = (commitment.versions.get("spellward"), commitment.method)
    if made_with != (versions()["spellward"], VERSION):
        raise ArtifactError(
            f"The claim was made with spellward {made_with[0]} (test {made_with[1]}), this is "
            f"{versions()['spellward']} (test {VERSION}). Install that version: another may judge otherwise."
        )
    answers = ask(suspect, opened.probes, tuple(commitment.classes), opened.pixels)
    said = in_order(answers, tuple(commitment.classes))
    verdict = judge(
        opened.victim,
        opened.references,
        said,
        poisoned=opened.poisoned,
        method=method,
        alpha=opened.alpha if method == DEFAULT else commitment.alpha,
        seed=commitment.seed,
        opinions_count=commitment.opinions_count,
        peers=opened.peers,
        match_classes=match_classes,
    )
    model = answers.model
    verdict = replace(
        verdict,
        commitment=commitment.digest(),
        published=published is not None or opened.published,
        answers=_digest(said),
        model=None if model is None else state_digest(model.network),
        options=tuple(name for name, asked in (("key", answers.kind == "unlocked"), (MATCH, match_classes)) if asked),
    )
    if method != DEFAULT:
        return verdict
    weights = opened.weights
    return with_weights(verdict, opened, None if weights is None or model is None else weights.take(model))


def with_weights(verdict: Verdict, claim: Claim, theirs: Channels | None) -> Verdict:
    """The verdict on answers, and what the suspect's weights say besides, where claim and suspect show any.

    Answers and weights have a part each of the accepted rate of false accusations; a p-value stands for the whole.

    Args:
        verdict: On the answers, at the claim's rate for them.
        claim: With weights or without.
        theirs: The suspect's weights, as the claim's sample takes them.
    """
    total = claim.commitment.alpha
    if claim.weights is None:
        return verdict
    scale = total / claim.alpha
    values = [None if one is None else min(1.0, scale * one) for one in (verdict.p_value, verdict.best_p_value)]
    verdict = replace(verdict, alpha=total, p_value=values[0], best_p_value=values[1])
    if theirs is None:
        return verdict
    found = judge_weights(claim.weights, theirs, SHARE * total, claim.commitment.locked)
    if verdict.verdict == "stolen" or not found.found:
        return replace(verdict, weights=found, reason=f"{verdict.reason} {found.text()}")
    return replace(
        verdict,
        verdict="stolen",
        p_value=min(1.0, found.p_value / SHARE),
        effect=found.effect,
        threshold=found.threshold,
        reason=f"{found.text()} By its answers alone it would be {verdict.verdict}: {verdict.reason}",
        channel="weights",
        measure="weights",
        weights=found,
    )


def _digest(said: np.ndarray) -> str:
    """sha256 of answers, whatever kind of number they came in."""
    if said.dtype.kind in "biuf":
        said = said.astype("<f8")
    return hashlib.sha256(repr(said.shape).encode() + np.ascontiguousarray(said).tobytes()).hexdigest()


def in_order(answers: Answers, classes: tuple[str, ...]) -> np.ndarray:
    """Scores with their columns in the victim's order, where the suspect has the same class names in another one."""
    theirs = answers.classes
    if theirs is None or theirs == classes or sorted(theirs) != sorted(classes) or len(set(classes)) < len(classes):
        return answers.outputs
    return answers.outputs[:, [theirs.index(name) for name in classes]]


def _check_pictures(folder: Path, claim: Claim) -> None:
    """Sees to it that no probes take the place of another claim's, which have the same names.

    Raises:
        ArtifactError: If one is there that is not this claim's.
    """
    for place, image in enumerate(claim.probes):
        path = folder / probe_file(place)
        if path.exists() and not _shows(path, image.permute(1, 2, 0).numpy()):
            raise ArtifactError(f"{path} is no probe of this claim. Name another folder.")


def _shows(path: Path, pixels: np.ndarray) -> bool:
    try:
        return np.array_equal(np.asarray(Image.open(path).convert("RGB")), pixels)
    except (OSError, ValueError, Image.DecompressionBombError):
        return False


def export_probes(claim: Claim | str | Path, folder: str | Path) -> Path:
    """Writes the probes as numbered PNG files, for a suspect that is asked elsewhere, with a table to fill in.

    Beside the images stand `answers-template.csv`, which `verify` reads when it is filled in, and `README.txt`.

    Raises:
        ArtifactError: If the claim does not match its commitment, or there is another table, text or probe in the
            folder.
        StorageError: If nothing can be written there.
    """
    opened = claim if isinstance(claim, Claim) else load_claim(claim)
    beside = sheet(opened.commitment.classes, len(opened.probes))
    target = private_folder(folder)
    check_sheet(target, beside)
    _check_pictures(target, opened)
    for place, image in enumerate(opened.probes):
        atomic_write(target / probe_file(place), png_of(image.permute(1, 2, 0).numpy()))
    write_sheet(target, beside)
    return target
