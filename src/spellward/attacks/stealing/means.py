"""What a thief of a model has, and the one way in which thieves here train."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from scipy.special import softmax
from torch import Tensor, nn

from spellward.artifacts import run_name
from spellward.data import ImageTable
from spellward.data.progress import Report
from spellward.models import Batch, FitSettings, VisionModel, fit_once, load_model, logits_of
from spellward.models.batches import AfterBackward


@dataclass(frozen=True, eq=False)
class Means:
    """What a thief has besides the victim.

    Attributes:
        images: Labelled images; attacks by queries send these and never read their labels.
        base: Spec of the public base that students start from.
        other: Spec of another architecture.
        queries: Questions to the victim; with fewer images each is asked about in several augmented forms.
        fit: How students and thieves train.
        seed: Of everything that is drawn.
        report: Told about progress.
    """

    images: ImageTable
    base: Any = "bundled"
    other: Any = "torchvision/squeezenet1_1?random"
    queries: int = 5000
    fit: FitSettings = field(default_factory=FitSettings)
    seed: int = 0
    report: Report | None = None


class Taught:
    """Images with the distributions that a victim gave for them, as training examples."""

    def __init__(self, images: ImageTable, targets: np.ndarray) -> None:
        if len(images) != len(targets):
            raise ValueError(f"Got {len(images)} images but {len(targets)} answers.")
        self._images, self._targets = images, torch.from_numpy(targets.astype(np.float32))

    def __len__(self) -> int:
        return len(self._images)

    def batch(self, indices: list[int], epoch: int) -> Batch:
        """The rows as they are; labels are those that the victim gave."""
        rows = np.asarray(indices)
        targets = self._targets[rows]
        return Batch(
            pixels=self._images.images[rows],
            targets=targets,
            labels=targets.argmax(dim=1),
            decoy=torch.zeros(len(rows), dtype=torch.int64),
        )


def student(spec: Any, victim: VisionModel, means: Means) -> VisionModel:
    """An untaught model with the victim's classes and input size."""
    return load_model(spec, victim.classes, victim.input_size, means.seed)


def train(
    model: VisionModel,
    images: ImageTable,
    targets: np.ndarray,
    means: Means,
    *,
    sparse: bool = False,
    **changes: Any,
) -> VisionModel:
    """Trains a model in place on images with target distributions; a run that was made before is loaded.

    Args:
        model: Changed in place.
        images: What to learn from.
        targets: float [N, K] distributions over the classes.
        means: How.
        sparse: Weights that are zero stay zero.
        changes: Fields of `FitSettings` that the attack sets itself.
    """
    settings = replace(means.fit, seed=means.seed, **changes)
    report = means.report
    return fit_once(
        "steal",
        model,
        Taught(images, targets),
        settings,
        images.fingerprint,
        run_name(np.asarray(targets, np.float32).tobytes().hex()),
        # What stays frozen: a new head alone and a new head with its body begin with the same weights.
        [name for name, value in model.network.named_parameters() if not value.requires_grad],
        sparse,
        report=None if report is None else lambda done, total: report("Training the thief's model", done, total),
        after_backward=_zeros_kept(model) if sparse else None,
    )


def _zeros_kept(model: VisionModel) -> AfterBackward:
    """Takes the gradient from weights that are zero: neither momentum nor weight decay moves them then."""
    kept = {name: value.detach() != 0 for name, value in parameters(model).items()}

    def mask(network: nn.Module, batch: Batch, step: int) -> None:
        for name, value in network.named_parameters():
            if name in kept and value.grad is not None:
                value.grad.mul_(kept[name].to(value.grad.device))

    return mask


def answers(victim: VisionModel, images: ImageTable) -> np.ndarray:
    """The victim's probabilities, float64 [N, K]: all that an attack by queries sees of it."""
    return np.asarray(softmax(logits_of(victim, images).astype(np.float64), axis=1))


def true_targets(images: ImageTable) -> np.ndarray:
    """The labels as distributions, float64 [N, K]."""
    return np.asarray(np.eye(len(images.classes))[images.labels])


def parameters(model: VisionModel) -> dict[str, Tensor]:
    """Weight matrices and filters by name (no biases, no norms)."""
    return {name: value for name, value in model.network.named_parameters() if value.ndim > 1}
