"""Probes: the images that a suspect is asked about, chosen where the victim is least like independent models."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from spellward.data import ImageTable
from spellward.data.splits import stratified_share
from spellward.errors import DataError
from spellward.ownership.channel import listen, on_equal_terms
from spellward.ownership.outputs import Floats
from spellward.ownership.standardise import likely, standardise

_RESERVED_SHARE = 0.25
_CANDIDATES_PER_PROBE = 4
MIXTURES_PER_PROBE = 2
_FAR_SHARE = 0.5
FEWEST = 10
"""Probes that a claim needs."""


def reserved_rows(images: ImageTable, probes: int, seed: int) -> np.ndarray:
    """Rows, sorted, that no reference may be trained on: probes and what they are mixed from come from these.

    At most a quarter of the images, of every class alike.
    """
    rng = np.random.default_rng([seed, 0x4E5])
    wanted = min(_CANDIDATES_PER_PROBE * probes / len(images), _RESERVED_SHARE)
    return stratified_share(images.labels, wanted, rng, fewest=1)


def candidates(reserved: ImageTable, fewest: int, private_images: bool, seed: int) -> Tensor:
    """Images to choose from: even mixtures of two reserved images each, and the images themselves if they may be sent.

    A mixture shows no private image as it is, and lies between classes, where models differ most. None comes twice, and
    none that is a reserved image after all, as two equal images of different classes would give.

    Args:
        reserved: Labelled images.
        fewest: Each image is mixed as often as it takes to have so many mixtures, repeated ones among them.
        private_images: Whether the images themselves may become probes.
        seed: Of the pairs.

    Returns:
        uint8 [M, 3, S, S], images before mixtures.

    Raises:
        DataError: If the images are of one class, or give too few probes.
    """
    if len(np.unique(reserved.labels)) < 2:
        raise DataError("The images that probes are made from are of one class. Give images of two classes at least.")
    rng = np.random.default_rng([seed, 0x317])
    pixels, labels = reserved.images[:], reserved.labels
    parts = []
    for _ in range(math.ceil(fewest / len(reserved))):
        first, second = rng.permutation(len(reserved)), rng.integers(0, len(reserved), len(reserved))
        for place in np.flatnonzero(labels[first] == labels[second]):
            # Of another class: an image mixed with itself would be the image.
            second[place] = rng.choice(np.flatnonzero(labels != labels[first[place]]))
        mixed = (pixels[first].to(torch.int16) + pixels[second].to(torch.int16) + 1).div(2, rounding_mode="floor")
        parts.append(mixed.to(torch.uint8))
    mixtures = torch.cat(parts)
    seen = {one.numpy().tobytes() for one in pixels}
    fresh: list[Tensor] = []
    for one in mixtures:
        name = one.numpy().tobytes()
        if name not in seen:
            fresh.append(one)
        seen.add(name)
    found = [*(pixels if private_images else ()), *fresh]
    if len(found) < FEWEST:
        raise DataError(
            f"Only {len(found)} different probes can be made of {len(reserved)} images, too few for a verdict. "
            "Give more images."
        )
    return torch.stack(found)


def choose(victim: Floats, references: Sequence[Floats], count: int, seed: int) -> np.ndarray:
    """Draws from the half of the candidates where the victim's likely classes are furthest from the references' mean.

    Rows where the victim is furthest of all would show its accidents, which no student of its answers learns; half of
    the candidates leave enough of what it believes, and enough rows on which a suspect shows that it does the task.

    Args:
        victim: float64 [M, K] outputs on the candidates.
        references: The same of each reference.
        count: How many to choose; all if there are fewer.
        seed: Of the draw.

    Returns:
        Row numbers int64 in random order.
    """
    scores, _ = on_equal_terms([listen(one) for one in (victim, *references)])
    own, *others = [likely(standardise(one)) for one in scores]
    distances = np.square(own - np.mean(others, axis=0)).sum(axis=1)
    ranked = np.argsort(-distances, kind="stable")
    count = min(count, len(ranked))
    far = ranked[: max(count, round(_FAR_SHARE * len(ranked)))]
    return np.random.default_rng([seed, 0xC05E]).permutation(far)[:count]
