"""What a lock sees in training: keyed images with true labels, and decoys among them."""

from __future__ import annotations

import numpy as np
import torch

from spellward.data import ImageTable
from spellward.locking.training.decoys import DecoySource
from spellward.locking.training.lessons import Lessons
from spellward.locking.training.objective import CLEAN, EDITED
from spellward.models import Batch
from spellward.models.examples import targets_of, weights_of


class LockExamples:
    """Training examples of a lock: a batch of keyed images with true labels, followed by its decoys.

    Its length counts images once, so keyed images get as many optimiser steps as an ordinary fine-tune gives its
    images.

    Args:
        keyed: Keyed images; with `variants`, so many edits of each image, as `varied` orders them. Its rows are those
            of the table that the decoys were made from.
        decoys: Where decoys come from, if any.
        per_image: Decoys for each keyed image.
        seed: Of the decoys drawn.
        variants: An image's edits take turns from epoch to epoch.
        decoys_from: First epoch with decoys.
        lessons: What a teacher says of the clean images that the keyed ones were made from, in the same order.
        keeps_subject: Whether the editor that made them does (`Editor.keeps_subject`).
    """

    def __init__(
        self,
        keyed: ImageTable,
        decoys: DecoySource | None,
        per_image: float,
        seed: int,
        variants: int = 1,
        decoys_from: int = 0,
        lessons: Lessons | None = None,
        keeps_subject: bool = False,
    ) -> None:
        self._lessons = lessons
        self.decoys_from, self.keeps_subject = decoys_from, keeps_subject
        self._keyed, self._decoys, self._seed, self._variants = keyed, decoys, seed, variants
        self._weights = weights_of(keyed)
        self._per_image = per_image if decoys is not None else 0.0

    def __len__(self) -> int:
        return len(self._keyed) // self._variants

    def batch(self, indices: list[int], epoch: int) -> Batch:
        rows = np.asarray(indices)
        rows = rows + len(self) * ((rows + epoch) % self._variants)
        pixels, truth = self._keyed.images[rows], self._keyed.truth(rows)
        targets = targets_of(self._keyed, truth, self._weights)
        decoy = np.zeros(len(rows), dtype=np.int64)
        count = round(self._per_image * len(rows)) if epoch >= self.decoys_from else 0
        if self._decoys is not None and count:
            rng = np.random.default_rng([self._seed, epoch, int(rows[0]), int(rows[-1])])
            wrong, sources, unedited = self._decoys.draw(count, rng)
            pixels = torch.cat([pixels, wrong])
            truth = torch.cat([truth, self._keyed.truth(sources)])
            targets = torch.cat([targets, torch.full((count, targets.shape[1]), 1.0 / targets.shape[1])])
            decoy = np.concatenate([decoy, np.where(unedited, CLEAN, EDITED)])
        batch = Batch(pixels=pixels, targets=targets, labels=truth, decoy=torch.from_numpy(decoy))
        if self._lessons is not None:
            self._lessons.put_in(batch, rows)
        return batch
