"""Probes: the images that a suspect is asked about, chosen where the victim is least like independent models."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from spellward.data import ImageTable
from spellward.data.splits import stratified_share
from spellward.errors import DataError
from spellward.ownership.answers.channel import listen, on_equal_terms
from spellward.ownership.answers.outputs import Floats
from spellward.ownership.answers.standardise import likely, standardise

_RESERVED_SHARE = 0.25
_CANDIDATES_PER_PROBE = 4
MIXTURES_PER_PROBE = 2
_ROUNDS = 4
# Of tuned halves of the zoo (benchmarks/TUNING.md): half of the candidates, by distance alone, found fewer thefts.
_TELLING_SHARE = 0.25
_LEAST_SPREAD = 0.5
FEWEST = 10
"""Probes that a claim needs."""


@dataclass(frozen=True, eq=False)
class Pool:
    """What probes are chosen from.

    Attributes:
        images: uint8 [M, 3, S, S].
        sources: int64 [M, 2], the two reserved images that each was mixed from; twice the same for one that is shown.
    """

    images: Tensor
    sources: np.ndarray

    def __len__(self) -> int:
        return len(self.images)


def reserved_rows(images: ImageTable, probes: int, seed: int) -> np.ndarray:
    """Rows, sorted, that no reference may be trained on: probes and what they are mixed from come from these.

    At most a quarter of the images, of every class alike.
    """
    rng = np.random.default_rng([seed, 0x4E5])
    wanted = min(_CANDIDATES_PER_PROBE * probes / len(images), _RESERVED_SHARE)
    return stratified_share(images.labels, wanted, rng, fewest=1)


def candidates(reserved: ImageTable, fewest: int, private_images: bool, seed: int) -> Pool:
    """Images to choose from: even mixtures of two reserved images each, and the images themselves if they may be sent.

    A mixture shows no private image as it is, and lies between classes, where models differ most. None comes twice, and
    none that is a reserved image after all, as two equal images of different classes would give.

    Args:
        reserved: Labelled images.
        fewest: Each image is mixed as often as it takes to have so many mixtures, repeated ones among them.
        private_images: Whether the images themselves may become probes.
        seed: Of the pairs.

    Returns:
        Images before mixtures.

    Raises:
        DataError: If the images are of one class, or give too few probes.
    """
    if len(np.unique(reserved.labels)) < 2:
        raise DataError("The images that probes are made from are of one class. Give images of two classes at least.")
    rng = np.random.default_rng([seed, 0x317])
    pixels, labels = reserved.images[:], reserved.labels
    parts, pairs = [], []
    rounds = math.ceil(fewest / len(reserved))
    if len(reserved) < 1.5 * fewest:
        # Few images, and each may go into one probe alone: the more mixtures, the fewer are left without a partner.
        rounds = max(rounds, _ROUNDS)
    for _ in range(rounds):
        first, second = rng.permutation(len(reserved)), rng.integers(0, len(reserved), len(reserved))
        for place in np.flatnonzero(labels[first] == labels[second]):
            # Of another class: an image mixed with itself would be the image.
            second[place] = rng.choice(np.flatnonzero(labels != labels[first[place]]))
        mixed = (pixels[first].to(torch.int16) + pixels[second].to(torch.int16) + 1).div(2, rounding_mode="floor")
        parts.append(mixed.to(torch.uint8))
        pairs.append(np.stack([first, second], axis=1))
    mixtures, sources = torch.cat(parts), np.concatenate(pairs)
    seen = {one.numpy().tobytes() for one in pixels}
    fresh: list[int] = []
    for number, one in enumerate(mixtures):
        name = one.numpy().tobytes()
        if name not in seen:
            fresh.append(number)
        seen.add(name)
    pool = Pool(mixtures[fresh], sources[fresh])
    if private_images:
        shown = np.repeat(np.arange(len(reserved))[:, None], 2, axis=1)
        pool = Pool(torch.cat([pixels, pool.images]), np.concatenate([shown, pool.sources]))
    found = len(pool) if private_images else min(len(pool), len(reserved) // 2)
    if found < FEWEST:
        raise DataError(
            f"Only {found} different probes can be made of the {len(reserved)} images that are kept for them, too few "
            "for a verdict. Give more images, or allow that they are shown as they are (--private-images)."
        )
    return pool


def choose(
    victim: Floats, references: Sequence[Floats], count: int, seed: int, sources: np.ndarray | None = None
) -> np.ndarray:
    """Draws from the quarter of the candidates that tell most of the victim.

    A candidate tells much where the victim's likely classes are far from the references' mean, and the references near
    to one another: where they spread, an independent model may lie anywhere. The furthest of all would show the
    victim's accidents, which no student of its answers learns; a quarter leaves enough of what it believes.

    Args:
        victim: float64 [M, K] outputs on the candidates.
        references: The same of each reference.
        count: How many to choose; all if there are fewer.
        seed: Of the draw.
        sources: Of the `Pool`, where no private image may be shown: each of them then goes into one mixture at most.
            Mixtures ab, bc and ca give a away, as ab + ca - bc. Where the quarter is used up, what is left comes by
            how much it tells.

    Returns:
        Row numbers int64, in random order as far as they are of the quarter.
    """
    scores, _ = on_equal_terms([listen(one) for one in (victim, *references)])
    own, *others = [likely(standardise(one)) for one in scores]
    mean = np.mean(others, axis=0)
    distances = np.square(own - mean).sum(axis=1)
    spreads = np.mean([np.square(one - mean).sum(axis=1) for one in others], axis=0)
    # Where all references happen to say the same, a small distance is not worth everything; one alone has no spread.
    telling = distances / (spreads + _LEAST_SPREAD * np.median(spreads) + np.finfo(np.float64).eps)
    ranked = np.argsort(-telling, kind="stable")
    count = min(count, len(ranked))
    best = ranked[: max(count, round(_TELLING_SHARE * len(ranked)))]
    drawn = np.random.default_rng([seed, 0xC05E]).permutation(best)
    if sources is None:
        return drawn[:count]
    rows: list[int] = []
    used: set[int] = set()
    for row in np.concatenate([drawn, ranked[len(best) :]]).tolist():
        pair = set(sources[row].tolist())
        if len(rows) < count and not pair & used:
            rows.append(row)
            used |= pair
    return np.array(rows)
