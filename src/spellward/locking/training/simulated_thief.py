"""A thief inside the training loop: the lock learns to stay shut after being fine-tuned on a few labelled images.

First-order meta-learning, as in non-fine-tunable learning (SOPHON, Deng et al., IEEE S&P 2024, section V): copy the
model, let the copy take a few steps as a thief would, ask the adapted copy to know nothing about other clean images,
and add that gradient to the model's own. A defence against one thief alone is none, so every copy is prepared in one
of several ways: as it is, with a new head, with the public base's early layers in front (stitching), or averaged
with the public base.
"""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from spellward.data import ImageTable
from spellward.models import Batch, VisionModel
from spellward.models.augment import augment
from spellward.models.losses import learning_loss, unlearning_loss
from spellward.models.segmentation import augment_masks


@dataclass(frozen=True)
class ThiefSettings:
    """How the simulated thief works.

    Attributes:
        weight: Weight of the adapted copy's gradient.
        every: Optimiser steps of the lock from one thief to the next.
        steps: The thief takes 1 to so many steps.
        batch_size: Clean images in each of its steps, and in the judgement of the adapted copy.
        learning_rate: Of the copy's body; each thief draws its own between a half and twice of it.
        head_multiplier: How much faster the copy's head learns.
        new_head: Share of thieves that start with a new head.
        stitched: Share that put the public base's early layers in front.
        averaged: Share that average with the public base.
        deepest_cut: Stitching replaces up to this share of the layers.
    """

    weight: float = 4.0
    every: int = 1
    steps: int = 6
    batch_size: int = 24
    learning_rate: float = 2e-3
    head_multiplier: float = 5.0
    new_head: float = 0.15
    stitched: float = 0.40
    averaged: float = 0.25
    deepest_cut: float = 0.5


class SimulatedThief:
    """Adds to a network's gradients what an adapted copy of it should unlearn; for `fit(after_backward=...)`.

    Everything is drawn from (seed, step), so a resumed run goes on with the same thieves.

    Args:
        clean: Clean training images with labels.
        model: The model before training, so its network still is the public base.
        settings: How to steal.
        augmentation: As in training.
        seed: Of everything random.
        first_step: The first optimiser step that a thief may follow on.
    """

    def __init__(
        self,
        clean: ImageTable,
        model: VisionModel,
        settings: ThiefSettings,
        augmentation: tuple[str, ...],
        seed: int,
        first_step: int = 0,
    ) -> None:
        self._clean, self._model, self._settings, self._first = clean, model, settings, first_step
        self._augmentation, self._seed = augmentation, seed
        self._base = {name: value.detach().clone() for name, value in model.network.state_dict().items()}
        # In the order of the layers, without the head: a prefix of it is what stitching puts in front.
        self._body = [name for name, _ in model.network.named_parameters() if not model.in_head(name)]
        # Made now, since the trainer may wrap `forward`, and a copy of that would still call the original. Laid out as
        # the network is in training: a thief's steps take a tenth less time so.
        self._copy = copy.deepcopy(model.network).to(memory_format=torch.channels_last)

    def __call__(self, network: nn.Module, batch: Batch, step: int) -> None:
        """Takes the place of `AfterBackward`: (network, batch, optimiser step)."""
        if step < self._first or step % self._settings.every:
            return
        rng = np.random.default_rng([self._seed, step, 0x7413F])
        device = next(network.parameters()).device
        # The thief's dropout and the like must not move the generators that the lock itself draws from.
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []), torch.enable_grad():
            torch.manual_seed(int(rng.integers(2**31)))
            thief, shares = self._prepare(network, rng)
            self._adapt(thief, rng)
            self._judge(thief, rng)
            self._hand_over(network, thief, shares)

    def _prepare(self, network: nn.Module, rng: np.random.Generator) -> tuple[nn.Module, dict[str, float]]:
        """A copy as one kind of thief would start from, and how much of each parameter came from the network."""
        # Made before the trainer moved the network to where it trains.
        thief = self._copy.to(next(network.parameters()).device)
        thief.load_state_dict(network.state_dict())
        thief.train()
        shares = dict.fromkeys(self._body, 1.0)
        own = thief.state_dict()
        kind, settings = rng.random(), self._settings
        if kind < settings.new_head:
            for name in own:
                if self._model.in_head(name):
                    bound = 1 / math.sqrt(own[name][0].numel()) if own[name].ndim > 1 else 0.0
                    own[name].uniform_(-bound, bound)
        elif kind < settings.new_head + settings.stitched:
            count = int(rng.uniform(0.05, settings.deepest_cut) * len(self._body))
            front = self._body[: max(count, 1)]
            replaced = {_module(name) for name in front}
            for name in own:
                if _module(name) in replaced:
                    own[name].copy_(self._base[name])
            shares.update(dict.fromkeys(front, 0.0))
        elif kind < settings.new_head + settings.stitched + settings.averaged:
            share = float(rng.uniform(0.3, 0.8))
            for name, value in own.items():
                if not self._model.in_head(name) and value.is_floating_point():
                    value.lerp_(self._base[name].to(value.device), 1 - share)
            shares = dict.fromkeys(self._body, share)
        return thief, shares

    def _adapt(self, thief: nn.Module, rng: np.random.Generator) -> None:
        """A few steps of AdamW on labelled clean images."""
        settings = self._settings
        rate = settings.learning_rate * 2 ** rng.uniform(-1, 1)
        groups: dict[bool, list[nn.Parameter]] = {False: [], True: []}
        for name, parameter in thief.named_parameters():
            groups[self._model.in_head(name)].append(parameter)
        optimizer = torch.optim.AdamW(
            [{"params": some, "lr": rate * (settings.head_multiplier if head else 1)} for head, some in groups.items()],
            lr=rate,
            fused=True,
        )
        for _ in range(int(rng.integers(1, settings.steps + 1))):
            pixels, labels = self._draw(rng)
            loss = learning_loss(thief, pixels, labels)
            optimizer.zero_grad()
            torch.autograd.backward(loss)
            optimizer.step()

    def _judge(self, thief: nn.Module, rng: np.random.Generator) -> None:
        """Leaves in the copy the gradient that makes it uniform on other clean images."""
        pixels, truth = self._draw(rng)
        loss = unlearning_loss(thief, pixels, truth)
        thief.zero_grad()
        torch.autograd.backward(loss)

    def _hand_over(self, network: nn.Module, thief: nn.Module, shares: dict[str, float]) -> None:
        adapted = dict(thief.named_parameters())
        for name, parameter in network.named_parameters():
            gradient = adapted[name].grad
            if gradient is None or not shares.get(name):
                continue
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
            parameter.grad.add_(gradient, alpha=self._settings.weight * shares[name])

    def _draw(self, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        """float32 [B, 3, S, S] normalised, and what they show (`ImageTable.truth`)."""
        rows = rng.integers(0, len(self._clean), self._settings.batch_size)
        again = copy.deepcopy(rng)  # masks go where their pixels go
        pixels = augment(self._model.resize(self._clean.images[rows]), self._augmentation, rng)
        truth = self._clean.truth(rows)
        if truth.ndim > 1:
            truth = augment_masks(truth, self._model.input_size, self._augmentation, again)
        inputs = self._model.preprocess(pixels).to(next(self._model.network.parameters()).device)
        return inputs, truth.to(inputs.device)


def _module(name: str) -> str:
    return name.rpartition(".")[0]
