"""The one `fit`: any model, any examples, any objective, on Hugging Face's Trainer.

Everything random is drawn from (seed, epoch, step), and a checkpoint is written at the end of every epoch, so a run
that was killed goes on to the same result.
"""

from __future__ import annotations

import importlib.util
import json
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, NotRequired, Protocol, TypedDict

import numpy as np
import torch
from safetensors.torch import load_model as load_tensors
from safetensors.torch import save_model as save_tensors
from torch import Tensor, nn

from spellward.artifacts import atomic_write, private_folder, storage_errors, write_json
from spellward.errors import MissingExtraError, ModelError
from spellward.hardware import has_bf16
from spellward.models.augment import augment
from spellward.models.checkpoint import full_disk_errors
from spellward.models.losses import learning_loss, truth_loss
from spellward.models.object_networks import ObjectNetwork
from spellward.models.segmentation import augment_masks
from spellward.models.vision import VisionModel, logits_of_output

_DONE, _FINAL, _BEST, _STATE = "done.json", "final.safetensors", "best.safetensors", "progress.json"
_SETTINGS = "settings.json"


class Batch(TypedDict):
    """One training batch.

    pixels: uint8 [B, 3, S, S] from the source; float32, normalised, when the objective sees it.
    targets: float32 [B, K], the distribution to be learnt; with masks, how much a pixel of each class counts.
    labels: int64 [B], true classes, for objectives that need them; with masks [B, S, S], the class of each pixel, and
        with instances [B, 2, S, S] (`ImageTable.truth`).
    decoy: int64 [B], 0 for rows to be learnt; other numbers name kinds of rows that must not be.
    answers: float32 [B, K], logits of a teacher, for objectives that know one.
    features: float32 [B, D], what entered the teacher's head.
    """

    pixels: Tensor
    targets: Tensor
    labels: Tensor
    decoy: Tensor
    answers: NotRequired[Tensor]
    features: NotRequired[Tensor]


class ExampleSource(Protocol):
    """Examples by number; `batch` may depend on the epoch, and may return more rows than it was asked for."""

    def __len__(self) -> int: ...

    def batch(self, indices: list[int], epoch: int) -> Batch: ...


Objective = Callable[[nn.Module, Batch], Tensor]
AfterBackward = Callable[[nn.Module, Batch, int], None]
Validate = Callable[[VisionModel], float]
Report = Callable[[int, int], None]


@dataclass(frozen=True)
class FitSettings:
    """How to train.

    Attributes:
        epochs: Passes over the examples; 0 takes `enough_epochs`.
        batch_size: Examples asked for at a time.
        learning_rate: Of the body, at the top of the cosine; 0 takes `usual_learning_rate`.
        head_multiplier: How much faster the head learns.
        weight_decay: On weight matrices alone, not on biases and norms.
        warmup: Share of the steps in which the rate rises.
        max_grad_norm: Gradients are clipped to this norm.
        augment: See `augment.AUGMENTATIONS`.
        freeze_norm: In the last so many epochs batch norms use the statistics that prediction will use.
        precision: "bf16", "fp32", or "auto": bf16 where it is faster (`bf16_is_faster`).
        patience: Stop after so many epochs without a better `validate`, and restore the best; `None` never stops.
        seed: Of everything random.
        tensorboard: Write TensorBoard logs into the run's folder.
    """

    epochs: int = 0
    batch_size: int = 64
    learning_rate: float = 0.0
    head_multiplier: float = 5.0
    weight_decay: float = 1e-2
    warmup: float = 0.1
    max_grad_norm: float = 5.0
    augment: tuple[str, ...] = ("flip", "shift")
    freeze_norm: int = 1
    precision: str = "auto"
    patience: int | None = None
    seed: int = 0
    tensorboard: bool = False

    def resolved(self, examples: int) -> FitSettings:
        """With the number of epochs for so many examples filled in, if it was left open."""
        return self if self.epochs else replace(self, epochs=enough_epochs(examples, self.batch_size))

    def rate_for(self, network: nn.Module) -> float:
        """The learning rate of a network's body, filled in if it was left open."""
        return self.learning_rate or usual_learning_rate(network)


def usual_learning_rate(network: nn.Module) -> float:
    """A rate of AdamW that fine-tuning a network of this kind withstands.

    What has layer norms (transformers, and networks built after them) is fine-tuned at a tenth of what convolutions
    with batch norms take, and so are networks that find objects (Mask2Former, arXiv 2112.01527, section 4.1).
    """
    layer_norms = any(isinstance(one, nn.LayerNorm | nn.RMSNorm) for one in network.modules())
    return 1e-4 if layer_norms or isinstance(network, ObjectNetwork) else 1e-3


def enough_epochs(examples: int, batch_size: int) -> int:
    """Epochs that give about 600 optimiser steps, but at least 8 and at most 45.

    With fewer steps a lock does not settle: on 2,500 Fashion-MNIST images 240 steps left 20 % to a probe, 400 left 9 %;
    on 801 clip art images 390 steps left the worst of 30 wrong salts 65 % (validation images, another key than the
    benchmark's).
    """
    return max(8, min(45, math.ceil(600 * batch_size / max(examples, 1))))


@dataclass(frozen=True)
class FitResult:
    """What a training run gave.

    Attributes:
        epochs: Epochs trained (fewer than asked for after an early stop).
        steps: Optimiser steps.
        scores: `validate` after each epoch, if it was given.
        seconds: Time of this run, without what an earlier, killed run did.
        images_per_second: Rows that went through the network in this run.
    """

    epochs: int
    steps: int
    scores: tuple[float, ...]
    seconds: float
    images_per_second: float


def soft_cross_entropy(network: nn.Module, batch: Batch) -> Tensor:
    """The default objective: cross-entropy with the target distributions."""
    if batch["labels"].ndim > 1:
        return learning_loss(network, batch["pixels"], batch["labels"], batch["targets"][0])
    logits = logits_of_output(network(batch["pixels"])).float()
    return loss_of(logits, batch["targets"], batch["labels"])


def loss_of(logits: Tensor, targets: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy of the rows of a batch with what they are to learn (see `Batch`)."""
    if labels.ndim == 1:
        return -(targets * logits.log_softmax(dim=1)).sum(dim=1).mean()
    return truth_loss(logits, labels, targets[0])


def fit(
    model: VisionModel,
    examples: ExampleSource,
    settings: FitSettings,
    *,
    folder: Path,
    validate: Validate | None = None,
    objective: Objective = soft_cross_entropy,
    after_backward: AfterBackward | None = None,
    report: Report | None = None,
) -> FitResult:
    """Trains a model in place.

    Args:
        model: Its network is changed.
        examples: What to learn.
        settings: How.
        folder: Private folder for checkpoints. A run that was killed goes on from there; a run that is complete is
            loaded instead of repeated.
        validate: Judges the model after each epoch; higher is better. With `patience` the best epoch's weights stay.
        objective: Network and batch to loss.
        after_backward: May add to the gradients before each optimiser step (network, batch, step).
        report: Called with (steps done, steps in all).

    Raises:
        ModelError: If there is nothing to learn from, the loss is not a number any more, or the folder holds a run
            with other settings.
        MissingExtraError: If TensorBoard logs are asked for and it is not installed.
        StorageError: If the disk is full.
    """
    if len(examples) < 2:
        raise ModelError(f"Training needs at least two images; got {len(examples)}.")
    private_folder(folder)
    settings = settings.resolved(len(examples))
    settings = replace(settings, learning_rate=settings.rate_for(model.network))
    recorded = {**asdict(settings), "augment": list(settings.augment), "examples": len(examples)}
    done = _complete_run(folder, recorded, model)
    if done is not None:
        return done
    _check_settings(folder, recorded)
    _check_tensorboard(settings)
    from spellward.models.trainer import train

    begun = time.perf_counter()
    with storage_errors(folder), full_disk_errors(folder):
        steps, rows, scores = train(model, examples, settings, folder, validate, objective, after_backward, report)
        if settings.patience is not None and (folder / _BEST).is_file():
            load_tensors(model.network, str(folder / _BEST))
        seconds = time.perf_counter() - begun
        result = FitResult(len(scores) or settings.epochs, steps, tuple(scores), seconds, rows / max(seconds, 1e-9))
        save_tensors(model.network, str(folder / _FINAL))
        write_json(folder / _DONE, {"settings": recorded, "result": asdict(result)})
    return result


def _complete_run(folder: Path, recorded: dict[str, Any], model: VisionModel) -> FitResult | None:
    """The result of an earlier complete run with the same settings, with its weights loaded."""
    path = folder / _DONE
    if not path.is_file():
        return None
    document = json.loads(path.read_text(encoding="utf-8"))
    if document["settings"] != recorded:
        raise ModelError(f"{folder} holds a run with other settings. Remove it, or name another folder.")
    load_tensors(model.network, str(folder / _FINAL))
    return FitResult(**{**document["result"], "scores": tuple(document["result"]["scores"])})


def _check_settings(folder: Path, recorded: dict[str, Any]) -> None:
    """Settings are written down before the first step: an unfinished run must not go on with others."""
    path = folder / _SETTINGS
    if not path.is_file():
        write_json(path, recorded)
    elif json.loads(path.read_text(encoding="utf-8")) != recorded:
        raise ModelError(f"{folder} holds a run with other settings. Remove it, or name another folder.")


def _check_tensorboard(settings: FitSettings) -> None:
    if settings.tensorboard and importlib.util.find_spec("tensorboard") is None:
        raise MissingExtraError("TensorBoard logs need an extra; run `pip install 'spellward[tensorboard]'`.")


class BestSoFar:
    """Scores after each epoch, and the best weights; kept on disk, so that they outlive a kill."""

    def __init__(self, folder: Path, patience: int | None) -> None:
        self._folder, self._patience = folder, patience
        path = folder / _STATE
        self.scores: list[float] = json.loads(path.read_text())["scores"] if path.is_file() else []

    def add(self, epoch: int, score: float, network: nn.Module) -> bool:
        """Records the score after an epoch (from 0); True if training should stop."""
        if not math.isfinite(score):
            raise ModelError("The validation score is not a number; lower the learning rate.")
        self.scores = [*self.scores[:epoch], float(score)]
        best = int(np.argmax(self.scores))
        if best == epoch and self._patience is not None:
            save_tensors(network, str(self._folder / f"{_BEST}.part"))
            (self._folder / f"{_BEST}.part").replace(self._folder / _BEST)
        atomic_write(self._folder / _STATE, json.dumps({"scores": self.scores}))
        return self.stops_after(epoch + 1)

    def stops_after(self, epochs: int) -> bool:
        """Whether the first so many scores end the run; so a run killed after its early stop stays stopped."""
        scores = self.scores[:epochs]
        return (
            bool(scores) and self._patience is not None and len(scores) - 1 - int(np.argmax(scores)) >= self._patience
        )


class Examples(torch.utils.data.Dataset[Any]):
    """An `ExampleSource` as a torch dataset that reads, augments and normalises a batch in one go."""

    def __init__(self, source: ExampleSource, model: VisionModel, settings: FitSettings) -> None:
        self.source, self.model, self.settings, self.epoch = source, model, settings, 0

    def __len__(self) -> int:
        return len(self.source)

    def __getitems__(self, indices: list[int]) -> Batch:
        batch = self.source.batch(indices, self.epoch)
        seed = [self.settings.seed, self.epoch, indices[0], indices[-1], 0xA06]
        pixels = augment(self.model.resize(batch["pixels"]), self.settings.augment, np.random.default_rng(seed))
        labels = batch["labels"]
        if labels.ndim > 1:  # masks go where their pixels go
            labels = augment_masks(labels, self.model.input_size, self.settings.augment, np.random.default_rng(seed))
        return {**batch, "pixels": self.model.preprocess(pixels), "labels": labels}


def bf16_is_faster(network: nn.Module) -> bool:
    """Whether bf16 autocast speeds up training here.

    On a CPU it does where the processor has instructions for it, but not for networks with depthwise convolutions:
    their backward pass in bf16 takes so long that EfficientNet-Lite0 trains at half the speed of fp32.
    """
    if torch.cuda.is_available():
        return has_bf16(torch.device("cuda"))
    depthwise = any(isinstance(one, nn.Conv2d) and one.groups > 1 for one in network.modules())
    return has_bf16(torch.device("cpu")) and not depthwise
