"""Probes: the images that a suspect is asked about, chosen where the victim is least like independent models."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from spellward.data import ImageTable
from spellward.data.splits import stratified_share
from spellward.ownership.channel import listen
from spellward.ownership.outputs import Floats
from spellward.ownership.standardise import standardise

_RESERVED_SHARE = 0.25
_CANDIDATES_PER_PROBE = 4
MIXTURES_PER_PROBE = 2


def reserved_rows(images: ImageTable, probes: int, seed: int) -> np.ndarray:
    """Rows, sorted, that no reference may be trained on: probes and what they are mixed from come from these.

    At most a quarter of the images, of every class alike.
    """
    rng = np.random.default_rng([seed, 0x4E5])
    wanted = min(_CANDIDATES_PER_PROBE * probes / len(images), _RESERVED_SHARE)
    return stratified_share(images.labels, wanted, rng, fewest=1)


def candidates(reserved: ImageTable, fewest: int, private_images: bool, seed: int) -> Tensor:
    """Images to choose from: even mixtures of two reserved images each, and the images themselves if they may be sent.

    A mixture shows no private image as it is, and lies between classes, where models differ most.

    Args:
        reserved: Labelled images.
        fewest: Each image is mixed as often as it takes to have so many mixtures.
        private_images: Whether the images themselves may become probes.
        seed: Of the pairs.

    Returns:
        uint8 [M, 3, S, S], images before mixtures.
    """
    rng = np.random.default_rng([seed, 0x317])
    pixels, labels = reserved.images[:], reserved.labels
    parts = [pixels] if private_images else []
    for _ in range(math.ceil(fewest / len(reserved))):
        first, second = rng.permutation(len(reserved)), rng.integers(0, len(reserved), len(reserved))
        for place in np.flatnonzero(labels[first] == labels[second]):
            # Of another class: an image mixed with itself would be the image.
            second[place] = rng.choice(np.flatnonzero(labels != labels[first[place]]))
        mixed = (pixels[first].to(torch.int16) + pixels[second].to(torch.int16) + 1).div(2, rounding_mode="floor")
        parts.append(mixed.to(torch.uint8))
    return torch.cat(parts)


def choose(victim: Floats, references: Sequence[Floats], count: int, seed: int) -> np.ndarray:
    """Half where the victim is furthest from its nearest reference, half at random.

    The first half shows what the victim has of its own. The second shows that a suspect does the task at all, and
    keeps the references' own spread in view, which rows chosen against them would hide.

    Args:
        victim: float64 [M, K] outputs on the candidates.
        references: The same of each reference.
        count: How many to choose; all if there are fewer.
        seed: Of the random half.

    Returns:
        Row numbers int64, the two halves in turn, so that a suspect who stops answering has answered some of both.
    """
    own = standardise(listen(victim).scores)
    distances = [np.square(own - standardise(listen(one).scores)).sum(axis=1) for one in references]
    ranked = np.argsort(-np.min(distances, axis=0), kind="stable")
    count = min(count, len(ranked))
    chosen = ranked[: (count + 1) // 2]
    others = np.random.default_rng([seed, 0xC05E]).permutation(ranked[len(chosen) :])[: count - len(chosen)]
    order = np.empty(count, dtype=np.int64)
    order[0::2], order[1::2] = chosen, others
    return order
