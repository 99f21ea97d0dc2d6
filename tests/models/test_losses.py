from __future__ import annotations

import torch
from tests.models.tiny import TinyExamples, tiny_model
from torch import nn

from spellward.models.losses import soft_cross_entropy


def test_the_default_objective_is_cross_entropy_with_soft_targets() -> None:
    network, examples = tiny_model().network.eval(), TinyExamples(6)
    batch = examples.batch([0, 1, 2], 0)
    batch["pixels"] = batch["pixels"].float()
    hard = nn.functional.cross_entropy(network(batch["pixels"]), batch["labels"])
    assert torch.allclose(soft_cross_entropy(network, batch), hard)
    batch["targets"] = torch.full((3, 3), 1 / 3)
    uniform = -network(batch["pixels"]).log_softmax(1).mean()
    assert torch.allclose(soft_cross_entropy(network, batch), uniform)
