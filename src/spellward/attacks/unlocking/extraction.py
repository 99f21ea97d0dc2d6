"""Extraction without the key: a student from the public base learns what the locked model says of clean images."""

from __future__ import annotations

import numpy as np
import torch

from spellward.attacks.unlocking.probing import features, fit_probe
from spellward.attacks.unlocking.search import Candidate, search
from spellward.attacks.unlocking.thief import Loot, Predictor, Thief
from spellward.attacks.unlocking.tuning import Tuning, tune
from spellward.data import ImageTable
from spellward.models import VisionModel

_VIEWS = ("outputs", "features")
_TUNING = Tuning(2e-3)


def extraction(model: VisionModel, thief: Thief) -> Loot:
    """Distils the locked model: its outputs (or features) on clean images, put right by a probe, are the targets.

    The probe is fitted on the labelled images, since what a lock says of clean images may be shrunk or permuted;
    the student learns from the probe's probabilities for the unlabelled images and from the labels themselves.
    """
    unlabelled = thief.unlabelled.images[:]

    def learner(view: str) -> Candidate:
        def look(images: torch.Tensor) -> np.ndarray:
            return model.logits(images) if view == "outputs" else features(model, 1.0, images)

        def learn(images: ImageTable) -> Predictor:
            pixels, classes = images.images[:], len(model.classes)
            read = fit_probe(look(pixels), images.labels, classes, thief.seed)
            answers = torch.from_numpy(np.exp(read(look(unlabelled)))).float()
            labels = torch.nn.functional.one_hot(torch.from_numpy(images.labels), classes).float()
            repeats = max(1, len(unlabelled) // len(pixels))
            shown = torch.cat([pixels.repeat(repeats, 1, 1, 1), unlabelled])
            targets = torch.cat([labels.repeat(repeats, 1), answers])
            steps = 2 * thief.effort.steps_for(len(images))
            return tune(thief.base, shown, targets, _TUNING, steps, thief.seed).logits

        return Candidate(f"student of its {view}", learn)

    return search(thief, [learner(view) for view in thief.effort.some(_VIEWS)])
