"""Relearning with unlabelled clean images: batch-norm statistics of their own, then self-training."""

from __future__ import annotations

import numpy as np
import torch

from spellward.attacks.unlocking.search import Candidate, search
from spellward.attacks.unlocking.thief import Loot, Predictor, Thief
from spellward.attacks.unlocking.tuning import Tuning, settle_norms, tune
from spellward.data import ImageTable
from spellward.models import VisionModel

_SETTINGS = (Tuning(1e-3), Tuning(4e-3, fresh_head=True))
_CONFIDENT = 0.5


def relearning(model: VisionModel, thief: Thief) -> Loot:
    """Gives batch norms clean statistics, fine-tunes, labels the other images itself, and learns from all of them.

    Of the unlabelled images the surer half of every predicted class is taken (self-training, arXiv 1911.04252), and
    they weigh as much as the labelled ones, which are repeated until there are as many.
    """
    unlabelled = thief.unlabelled.images[:]
    settled = settle_norms(model, torch.cat([thief.labelled.images[:], unlabelled]))

    def learner(tuning: Tuning) -> Candidate:
        def learn(images: ImageTable) -> Predictor:
            steps = thief.effort.steps_for(len(images))
            pixels, labels = images.images[:], torch.from_numpy(images.labels)
            teacher = tune(settled, pixels, labels, tuning, steps, thief.seed)
            scores = teacher.logits(unlabelled)
            sure = surest(scores, _CONFIDENT)
            if not len(sure):
                return teacher.logits
            repeats = max(1, len(sure) // len(pixels))
            pixels = torch.cat([pixels.repeat(repeats, 1, 1, 1), unlabelled[sure]])
            labels = torch.cat([labels.repeat(repeats), torch.from_numpy(scores[sure].argmax(axis=1))])
            student = tune(teacher, pixels, labels, Tuning(1e-3), steps, thief.seed + 1)
            return student.logits

        return Candidate(f"self-trained, {tuning}", learn)

    return search(thief, [learner(tuning) for tuning in thief.effort.some(_SETTINGS)])


def surest(scores: np.ndarray, share: float) -> np.ndarray:
    """Row numbers of the surer share of every predicted class of float [N, K] scores, sorted."""
    ordered = np.sort(scores, axis=1)
    margin, predicted = ordered[:, -1] - ordered[:, -2], scores.argmax(axis=1)
    rows = [np.zeros(0, dtype=np.int64)]
    for label in np.unique(predicted):
        members = np.flatnonzero(predicted == label)
        rows.append(members[np.argsort(-margin[members], kind="stable")[: round(share * len(members))]])
    return np.sort(np.concatenate(rows))
