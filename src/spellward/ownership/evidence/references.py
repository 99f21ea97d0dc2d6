"""Reference models: what independent models of the task look like, trained by the owner without the probe images.

And peers, which have seen these.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from spellward.data import ImageTable
from spellward.data.progress import Report
from spellward.models import FitSettings, VisionModel, fit_once, load_model
from spellward.models.examples import PlainExamples

BASES = ("bundled", "bundled", "bundled?random")
"""Public bases that references take turns with: the usual one, and now and then no pretraining at all."""

_SHARE = 0.75
_AUGMENTATIONS: tuple[tuple[str, ...], ...] = (("flip", "shift"), ("shift",), ("flip",))


def train_references(
    images: ImageTable,
    count: int,
    bases: Sequence[Any],
    input_size: int,
    settings: FitSettings,
    report: Report | None = None,
) -> Iterator[VisionModel]:
    """Trains references one after the other, so that no more than one is in memory.

    Each has a base, a subset of the images, an augmentation and a seed of its own, so that together they span what
    independent models are like. One that was trained before is loaded, and one that was killed goes on.

    Args:
        images: Labelled images, without any that may become a probe.
        count: How many.
        bases: Model specs that they take turns with.
        input_size: Side of the images the models see.
        settings: Of every fit; the seed is that of the first reference.
        report: Told about progress.

    Yields:
        `count` models.
    """
    for number in range(count):
        seed = settings.seed + 1000 + number
        rng = np.random.default_rng([seed, 0x4EF])
        rows = np.sort(rng.permutation(len(images))[: reference_size(len(images))])
        own = replace(settings, seed=seed, augment=_AUGMENTATIONS[number % len(_AUGMENTATIONS)])
        name = f"Reference {number + 1} of {count}"
        yield fine_tuned(bases[number % len(bases)], images.subset(rows), input_size, own, name, report)


def reference_size(images: int) -> int:
    """How many of so many images each reference learns from."""
    return max(2, round(_SHARE * images))


def train_peers(
    images: ImageTable,
    count: int,
    base: Any,
    input_size: int,
    settings: FitSettings,
    report: Report | None = None,
) -> Iterator[VisionModel]:
    """Trains peers of a victim: independent models that have learnt all that it has, one after the other.

    What they have in common with it beyond the references is what anyone may have who knows as much, and hardly
    anyone knows more about images that these were trained on.

    Args:
        images: All images that the victim was trained on.
        count: How many.
        base: Model spec that they start from.
        input_size: Side of the images the models see.
        settings: Of every fit.
        report: Told about progress.

    Yields:
        `count` models.
    """
    for number in range(count):
        augment = _AUGMENTATIONS[number % len(_AUGMENTATIONS)]
        own = replace(settings, seed=settings.seed + 3000 + number, augment=augment)
        yield fine_tuned(base, images, input_size, own, f"Peer {number + 1} of {count}", report)


def fine_tuned(
    base: Any, images: ImageTable, input_size: int, settings: FitSettings, name: str, report: Report | None = None
) -> VisionModel:
    """An ordinary fine-tune of a public base; made once and kept in the private cache.

    Args:
        base: A model spec.
        images: Labelled images.
        input_size: Side of the images the model sees.
        settings: How to train.
        name: What progress calls it.
        report: Told about progress.
    """
    model = load_model(base, images.classes, input_size, settings.seed)
    return trained(model, images, settings, name, report)


def trained(
    model: VisionModel,
    images: ImageTable,
    settings: FitSettings,
    name: str,
    report: Report | None = None,
) -> VisionModel:
    """Trains a model in place; the weights it starts from name the run in the cache."""
    return fit_once(
        "claim",
        model,
        PlainExamples(images),
        settings,
        images.fingerprint,
        report=None if report is None else lambda done, total: report(name, done, total),
    )
