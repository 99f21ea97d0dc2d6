"""The one short training loop of all attacks: a few dozen steps on a few dozen images.

`models.fit` writes checkpoints and goes through Trainer, which takes longer than these runs do.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from spellward.models import VisionModel, logits_of_output
from spellward.models.augment import AUGMENTATIONS, augment
from spellward.models.groups import parameter_groups
from spellward.models.losses import learning_loss
from spellward.models.segmentation import augment_masks

_BATCH = 16
_WARMUP = 0.1
_FROZEN_END = 0.2
_MAX_NORM = 5.0
_MOMENTUM = 0.1


@dataclass(frozen=True)
class Tuning:
    """How to fine-tune.

    Attributes:
        rate: Learning rate of the body, at the top of a cosine; the head's is `head_multiplier` times that.
        optimiser: AdamW, or SGD with Nesterov momentum 0.9.
        fresh_head: Whether to begin with a new head.
        head_only: Whether the body is left as it is.
        frozen_norms: Batch norms keep their statistics; else they follow the images until the last fifth of the steps.
        head_multiplier: See `rate`.
        weight_decay: On matrices alone.
    """

    rate: float
    optimiser: Literal["adamw", "sgd"] = "adamw"
    fresh_head: bool = False
    head_only: bool = False
    frozen_norms: bool = False
    head_multiplier: float = 5.0
    weight_decay: float = 1e-2

    def __str__(self) -> str:
        words = [f"{self.optimiser} {self.rate:g}"]
        words += ["fresh head"] if self.fresh_head else []
        words += ["head alone"] if self.head_only else []
        words += ["frozen norms"] if self.frozen_norms else []
        return ", ".join(words)


def tune(
    model: VisionModel,
    pixels: Tensor,
    targets: Tensor | np.ndarray,
    tuning: Tuning,
    steps: int,
    seed: int,
    *,
    trained: Callable[[str], bool] | None = None,
) -> VisionModel:
    """Fine-tunes a copy of a model by cross-entropy.

    Args:
        model: Stays as it is.
        pixels: uint8 [N, 3, S, S].
        targets: float32 [N, K], distributions over the classes, or what `ImageTable.truth` gives: labels or
            masks.
        tuning: How.
        steps: Optimiser steps, of 16 images each or of all if there are fewer.
        seed: Of order, augmentation and the fresh head.
        trained: Which parameters are trained, by name; all of them (or the head's, for `head_only`) if not given.

    Returns:
        The copy, in eval mode.
    """
    copy = model.copy()
    torch.manual_seed(seed)
    if tuning.fresh_head:
        reset_head(copy)
    wished = torch.as_tensor(targets)
    if wished.ndim == 1:
        wished = nn.functional.one_hot(wished, len(model.classes)).float()
    wanted = trained or (lambda name: not tuning.head_only or copy.in_head(name))
    for name, parameter in copy.network.named_parameters():
        parameter.requires_grad_(wanted(name))
    optimiser = _optimiser(copy, tuning)
    tops = [group["lr"] for group in optimiser.param_groups]
    still = tuning.head_only or tuning.frozen_norms or trained is not None
    copy.network.to(memory_format=torch.channels_last)
    for step, rows in enumerate(_batches(len(pixels), steps, seed)):
        for group, top in zip(optimiser.param_groups, tops, strict=True):
            group["lr"] = top * _schedule(step, steps)
        _train_mode(copy.network, still or step >= (1 - _FROZEN_END) * steps)
        varied = augment(copy.resize(pixels[rows]), AUGMENTATIONS, np.random.default_rng([seed, step]))
        inputs = copy.preprocess(varied.to(copy.device))
        if wished.ndim > 2:
            moved = augment_masks(wished[rows], copy.input_size, AUGMENTATIONS, np.random.default_rng([seed, step]))
            loss = learning_loss(copy.network, inputs, moved.to(copy.device))
        else:
            logits = logits_of_output(copy.network(inputs)).float()
            loss = -(wished[rows].to(copy.device) * logits.log_softmax(dim=1)).sum(dim=1).mean()
        if not math.isfinite(loss.item()):
            break  # this rate was too high; the copy is judged as it stands
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_([p for group in optimiser.param_groups for p in group["params"]], _MAX_NORM)
        optimiser.step()
    copy.network.eval().requires_grad_(True)
    return copy


def reset_head(model: VisionModel) -> None:
    """Draws the head anew, in place, with what its layer type begins with."""
    head = model.network.get_submodule(model.head)
    head.reset_parameters()  # type: ignore[operator]


def settle_norms(model: VisionModel, pixels: Tensor) -> VisionModel:
    """A copy whose batch norms have the statistics of uint8 [N, 3, S, S] images (AdaBN, arXiv 1603.04779)."""
    copy = model.copy()
    norms = [one for one in copy.network.modules() if isinstance(one, nn.modules.batchnorm._BatchNorm)]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # a plain mean over the batches
    copy.network.train()
    with torch.no_grad():
        for part in _batches_of(pixels):
            copy.network(copy.preprocess(part.to(copy.device)))
    for norm in norms:
        norm.momentum = _MOMENTUM
    copy.network.eval()
    return copy


def _batches_of(pixels: Tensor) -> list[Tensor]:
    """Batches whose statistics may weigh the same: less than half a batch at the end belongs to the one before."""
    parts = list(torch.split(pixels, 2 * _BATCH))
    if len(parts) > 1 and len(parts[-1]) < _BATCH:
        parts[-2:] = [torch.cat(parts[-2:])]
    return parts


def _optimiser(model: VisionModel, tuning: Tuning) -> torch.optim.Optimizer:
    settings = parameter_groups(model, tuning.rate, tuning.head_multiplier, tuning.weight_decay)
    if tuning.optimiser == "sgd":
        return torch.optim.SGD(settings, momentum=0.9, nesterov=True)
    return torch.optim.AdamW(settings)


def _train_mode(network: nn.Module, still: bool) -> None:
    """Train mode; batch norms follow the images, fast enough for a few dozen steps, unless they are to stay still."""
    network.train()
    for module in network.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.momentum = max(module.momentum or _MOMENTUM, _MOMENTUM)
            module.train(not still)


def _schedule(step: int, steps: int) -> float:
    rise = max(1, round(_WARMUP * steps))
    if step < rise:
        return (step + 1) / rise
    return 0.5 * (1 + math.cos(math.pi * (step - rise) / max(1, steps - rise)))


def _batches(count: int, steps: int, seed: int) -> Iterator[np.ndarray]:
    """Rows of one batch after another: whole shuffled passes, cut into pieces of one size."""
    rng = np.random.default_rng([seed, 0x5EED])
    size, rows = min(_BATCH, count), np.zeros(0, dtype=np.int64)
    for _ in range(steps):
        while len(rows) < size:
            rows = np.concatenate([rows, rng.permutation(count)])
        yield rows[:size]
        rows = rows[size:]
