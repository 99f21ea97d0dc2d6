"""Early stopping: scores after each epoch, and the weights of the best one."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
from safetensors.torch import save_model as save_tensors
from torch import nn

from spellward.artifacts import atomic_write
from spellward.errors import ModelError

BEST_FILE = "best.safetensors"
_STATE_FILE = "progress.json"


class BestSoFar:
    """Scores after each epoch, and the best weights; kept on disk, so that they outlive a kill."""

    def __init__(self, folder: Path, patience: int | None) -> None:
        self._folder, self._patience = folder, patience
        path = folder / _STATE_FILE
        self.scores: list[float] = json.loads(path.read_text())["scores"] if path.is_file() else []

    def add(self, epoch: int, score: float, network: nn.Module) -> bool:
        """Records the score after an epoch (from 0); True if training should stop."""
        if not math.isfinite(score):
            raise ModelError("The validation score is not a number; lower the learning rate.")
        self.scores = [*self.scores[:epoch], float(score)]
        best = int(np.argmax(self.scores))
        if best == epoch and self._patience is not None:
            save_tensors(network, str(self._folder / f"{BEST_FILE}.part"))
            (self._folder / f"{BEST_FILE}.part").replace(self._folder / BEST_FILE)
        atomic_write(self._folder / _STATE_FILE, json.dumps({"scores": self.scores}))
        return self.stops_after(epoch + 1)

    def stops_after(self, epochs: int) -> bool:
        """Whether the first so many scores end the run; so a run killed after its early stop stays stopped."""
        scores = self.scores[:epochs]
        return (
            bool(scores) and self._patience is not None and len(scores) - 1 - int(np.argmax(scores)) >= self._patience
        )
