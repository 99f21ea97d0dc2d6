"""Data-free distillation with a generator, for few questions (after IDEAL, arXiv 2205.11158, section 3).

A generator learns pictures that the student tells apart with confidence, of all its classes alike; the victim is asked
once about each, and the student learns from all answers so far. No gradient is estimated by questions, as in DFME
(arXiv 2011.14779), which takes millions of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from spellward.attacks.stealing.means import Means, answers, student, train
from spellward.data import table_from_arrays
from spellward.models import VisionModel
from spellward.models.vision import logits_of_output

_ROUNDS = 5
_STEPS, _BATCH, _RATE = 100, 64, 1e-3
_NOISE = 128
_WIDTHS = (128, 64, 32, 16)
_BALANCE = 5.0


class Generator(nn.Module):
    """Noise float [N, 128] to pictures float [N, 3, S, S], 0 to 255; upsampled convolutions as in DAFL."""

    def __init__(self, side: int) -> None:
        super().__init__()
        self._side = side
        self._cells = -(-side // 2 ** (len(_WIDTHS) - 1))
        self.first = nn.Sequential(
            nn.Linear(_NOISE, _WIDTHS[0] * self._cells**2), nn.BatchNorm1d(_WIDTHS[0] * self._cells**2)
        )
        self.layers = nn.Sequential(*(layer for widths in pairwise(_WIDTHS) for layer in _doubled(*widths)))
        self.last = nn.Sequential(
            nn.Conv2d(_WIDTHS[-1], 3, 3, padding=1), nn.BatchNorm2d(3, affine=False), nn.Sigmoid()
        )

    def forward(self, noise: Tensor) -> Tensor:
        """Float [N, 128] to [N, 3, S, S]."""
        cells = self.first(noise).reshape(len(noise), _WIDTHS[0], self._cells, self._cells)
        pictures: Tensor = self.last(self.layers(cells))
        return 255 * pictures[..., : self._side, : self._side]


def _doubled(before: int, after: int) -> Iterator[nn.Module]:
    yield nn.Upsample(scale_factor=2)
    yield nn.Conv2d(before, after, 3, padding=1)
    yield nn.BatchNorm2d(after)
    yield nn.LeakyReLU(0.2)


def data_free(victim: VisionModel, means: Means) -> VisionModel:
    """A student of answers about pictures that a generator made for it, in rounds of equally many questions."""
    thief = student(means.base, victim, means)
    thief.network.to(victim.device)
    pictures: list[Tensor] = []
    told: list[np.ndarray] = []
    for number, questions in enumerate(np.array_split(np.arange(means.queries), _ROUNDS)):
        pictures.append(imagined(thief, len(questions), means.seed * _ROUNDS + number))
        asked = table_from_arrays(pictures[-1], np.zeros(len(questions), np.int64), victim.classes)
        told.append(answers(victim, asked))
        every = torch.cat(pictures)
        known = table_from_arrays(every, np.zeros(len(every), np.int64), victim.classes)
        train(thief, known, np.concatenate(told), means, augment=())
    return thief


def imagined(model: VisionModel, count: int, seed: int) -> Tensor:
    """Pictures that a model tells apart, by a generator that is trained against it.

    Args:
        model: Stays as it is.
        count: How many, at least one.
        seed: Of the generator's weights and all noise.

    Returns:
        uint8 [count, 3, S, S] on the CPU.
    """
    judge = model.copy()
    judge.network.eval().requires_grad_(False)
    noise = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        generator = Generator(model.input_size).to(model.device)
    optimizer = torch.optim.Adam(generator.parameters(), lr=_RATE)
    for _ in range(_STEPS):
        made = generator(torch.randn((_BATCH, _NOISE), generator=noise).to(model.device))
        loss = generator_loss(logits_of_output(judge.network(judge.preprocess(made))))
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    with torch.no_grad():  # batch norms see whole batches here, too, as in training
        drawn = torch.randn((-(-count // _BATCH) * _BATCH, _NOISE), generator=noise).to(model.device)
        parts = [generator(some).round().to(torch.uint8).cpu() for some in torch.split(drawn, _BATCH)]
    return torch.cat(parts)[:count]


def generator_loss(logits: Tensor) -> Tensor:
    """Sure of each picture, of no class more often than of another.

    Args:
        logits: [N, K], what the student says of N pictures.
    """
    likely = logits.softmax(dim=1).mean(dim=0)
    evenness = -(likely * likely.clamp(min=1e-9).log()).sum()
    return cross_entropy(logits, logits.argmax(dim=1)) - _BALANCE * evenness
