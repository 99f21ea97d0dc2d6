"""Thefts by weights: the copy itself, and what is done to make it look like another model."""

from __future__ import annotations

from collections.abc import Callable

import torch

from spellward.attacks.stealing.means import Means, parameters, student, train, true_targets
from spellward.attacks.unlocking.tuning import reset_head
from spellward.models import VisionModel

_NOISE = 0.05
_LEVELS = 127


def copy(victim: VisionModel, means: Means) -> VisionModel:
    """The very weights."""
    return victim.copy()


def fine_tune_head(victim: VisionModel, means: Means) -> VisionModel:
    """A new head on the victim's body, which stays as it is."""
    thief = _new_head(victim, means)
    for name, value in thief.network.named_parameters():
        value.requires_grad_(thief.in_head(name))
    # Batch norms would drift even with a frozen body, so they keep their statistics throughout.
    settings = means.fit.resolved(len(means.images))
    train(thief, means.images, true_targets(means.images), means, freeze_norm=settings.epochs)
    thief.network.requires_grad_(True)
    return thief


def fine_tune(victim: VisionModel, means: Means) -> VisionModel:
    """All layers, at a tenth of the usual rate."""
    rate = 0.1 * means.fit.rate_for(victim.network)
    return train(victim.copy(), means.images, true_targets(means.images), means, learning_rate=rate)


def fine_tune_strong(victim: VisionModel, means: Means) -> VisionModel:
    """All layers at the full rate, with a new head."""
    return train(_new_head(victim, means), means.images, true_targets(means.images), means)


def prune(share: float) -> Callable[[VisionModel, Means], VisionModel]:
    """Global magnitude pruning and a short fine-tune of the weights that are left (Han et al., arXiv 1506.02626)."""

    def attack(victim: VisionModel, means: Means) -> VisionModel:
        thief = victim.copy()
        sizes = torch.cat([value.detach().abs().flatten() for value in parameters(thief).values()])
        line = sizes.kthvalue(max(1, round(share * len(sizes)))).values
        with torch.no_grad():
            for value in parameters(thief).values():
                value.mul_(value.abs() > line)
        rate = 0.1 * means.fit.rate_for(victim.network)
        epochs = max(1, means.fit.resolved(len(means.images)).epochs // 4)
        targets = true_targets(means.images)
        return train(thief, means.images, targets, means, sparse=True, learning_rate=rate, epochs=epochs)

    return attack


def quantise(victim: VisionModel, means: Means) -> VisionModel:
    """Weights rounded to 8 bits for each output channel (Jacob et al., arXiv 1712.05877), kept as ordinary floats."""
    thief = victim.copy()
    with torch.no_grad():
        for value in parameters(thief).values():
            step = value.abs().flatten(1).amax(dim=1).clamp(min=1e-12) / _LEVELS
            step = step.reshape(-1, *[1] * (value.ndim - 1))
            value.copy_((value / step).round() * step)
    return thief


def weight_noise(victim: VisionModel, means: Means) -> VisionModel:
    """Gaussian noise of a twentieth of each tensor's spread."""
    thief = victim.copy()
    generator = torch.Generator().manual_seed(means.seed)
    with torch.no_grad():
        for value in parameters(thief).values():
            noise = torch.randn(value.shape, generator=generator).to(value.device)
            value.add_(_NOISE * value.std() * noise)
    return thief


def _new_head(victim: VisionModel, means: Means) -> VisionModel:
    thief = victim.copy()
    torch.manual_seed(means.seed)
    reset_head(thief)
    return thief


def retrain(victim: VisionModel, means: Means) -> VisionModel:
    """The public base trained anew on the private data; nothing of the victim's weights."""
    return train(student(means.base, victim, means), means.images, true_targets(means.images), means)
