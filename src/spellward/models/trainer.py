"""`transformers.Trainer`, bent to `fit`: any objective, a faster head, batches read whole, exact resumption."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_model as save_tensors
from torch import Tensor, nn
from torch.utils.data import Sampler
from transformers import (
    PrinterCallback,
    Trainer,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)

from spellward.errors import ModelError
from spellward.models.batches import Advance, AfterBackward, Batch, Examples, ExampleSource, Objective, Validate
from spellward.models.early_stop import BestSoFar
from spellward.models.fit_settings import FitSettings, bf16_is_faster
from spellward.models.groups import parameter_groups
from spellward.models.inspection import WEIGHTS_FILE
from spellward.models.pretrained import no_hub_noise
from spellward.models.vision import VisionModel

_STATE_FILE = "trainer_state.json"
_CHECKPOINT_FILES = (WEIGHTS_FILE, "optimizer.pt", "scheduler.pt", "rng_state.pth")


class EpochSampler(Sampler[int]):
    """A permutation that depends on nothing but seed and epoch.

    Where one image would be left for the last batch, it is left out, in each epoch another: of a single image a norm
    has no statistics.
    """

    def __init__(self, count: int, settings: FitSettings) -> None:
        self.count, self.seed, self.epoch = count, settings.seed, 0
        self.drawn = min(count, settings.steps_in_epoch(count) * settings.batch_size)

    def __len__(self) -> int:
        return self.drawn

    def __iter__(self) -> Iterator[int]:
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + self.epoch)
        return iter(torch.randperm(self.count, generator=generator)[: self.drawn].tolist())

    def set_epoch(self, epoch: int) -> None:
        """Called by accelerate's data loader."""
        self.epoch = epoch


class FitTrainer(Trainer):
    """Trainer with the parts of `fit` put in."""

    def __init__(
        self,
        model: VisionModel,
        settings: FitSettings,
        objective: Objective,
        after_backward: AfterBackward | None,
        arguments: TrainingArguments,
        examples: Examples,
        callback: TrainerCallback,
    ) -> None:
        self._vision, self._settings, self._objective, self._after_backward = model, settings, objective, after_backward
        self.sampler = EpochSampler(len(examples), settings)
        self.rows = 0
        self.frozen_norms = False
        self._norms = [m for m in model.network.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
        super().__init__(
            model=model.network,
            args=arguments,
            train_dataset=examples,
            data_collator=_as_it_is,
            callbacks=[callback],
        )

    def _get_train_sampler(self, *_: Any, **__: Any) -> Sampler[int]:
        return self.sampler

    def create_optimizer(self, *_: Any, **__: Any) -> torch.optim.Optimizer:
        """AdamW, with a faster head and decay on matrices alone."""
        rate, decay = self._settings.learning_rate, self._settings.weight_decay
        groups = parameter_groups(self._vision, rate, self._settings.head_multiplier, decay)
        self.optimizer = torch.optim.AdamW(groups, fused=True)
        return self.optimizer

    def _save(self, output_dir: str | None = None, state_dict: dict[str, Any] | None = None) -> None:
        """Weights alone; Trainer's own way refuses channels-last tensors unless the model is a transformers model."""
        folder = Path(output_dir or str(self.args.output_dir))
        folder.mkdir(parents=True, exist_ok=True)
        save_tensors(self._vision.network, str(folder / WEIGHTS_FILE))

    def compute_loss(self, model: nn.Module, inputs: Batch, *_: Any, **__: Any) -> Tensor:  # type: ignore[override]
        if self.frozen_norms:
            for norm in self._norms:
                norm.eval()
        self.rows += len(inputs["pixels"])
        loss = self._objective(model, inputs)
        if not math.isfinite(loss.item()):
            raise ModelError("Training diverged: the loss is not a number. Lower the learning rate.")
        return loss

    def training_step(self, model: nn.Module, inputs: Batch, *arguments: Any, **named: Any) -> Tensor:  # type: ignore[override]
        loss = super().training_step(model, inputs, *arguments, **named)  # type: ignore[arg-type]
        if self._after_backward is not None:
            self._after_backward(model, inputs, self.state.global_step)
        return loss


class _FitCallback(TrainerCallback):
    """Tells examples and sampler the epoch, validates, reports."""

    def __init__(self, examples: Examples, best: BestSoFar, validate: Validate | None, report: Advance | None) -> None:
        self.examples, self.best, self.validate, self.report = examples, best, validate, report
        self.trainer: FitTrainer | None = None

    def on_epoch_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        epoch = round(state.epoch or 0)
        self.examples.epoch = epoch
        if self.trainer is not None:
            self.trainer.sampler.set_epoch(epoch)
            settings = self.examples.settings
            self.trainer.frozen_norms = epoch >= settings.epochs - settings.freeze_norm

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        if self.report is not None:
            self.report(state.global_step, state.max_steps)

    def on_epoch_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        if self.validate is not None:
            epoch = round(state.epoch or 1) - 1
            score = self.validate(self.examples.model)
            if self.best.add(epoch, score, self.examples.model.network):
                control.should_training_stop = True


def train(
    model: VisionModel,
    source: ExampleSource,
    settings: FitSettings,
    folder: Path,
    validate: Validate | None,
    objective: Objective,
    after_backward: AfterBackward | None,
    report: Advance | None,
) -> tuple[int, int, list[float]]:
    """Runs the training; returns optimiser steps, rows through the network, and the validation scores."""
    examples = Examples(source, model, settings)
    best = BestSoFar(folder, settings.patience)
    callback = _FitCallback(examples, best, validate, report)
    bf16 = settings.precision == "bf16" or (settings.precision == "auto" and bf16_is_faster(model.network))
    steps = settings.epochs * settings.steps_in_epoch(len(source))
    model.network.to(memory_format=torch.channels_last)
    with no_hub_noise():
        arguments = TrainingArguments(
            output_dir=str(folder),
            per_device_train_batch_size=settings.batch_size,
            num_train_epochs=settings.epochs,
            learning_rate=settings.learning_rate,
            max_grad_norm=settings.max_grad_norm,
            lr_scheduler_type="cosine",
            warmup_steps=round(settings.warmup * steps),
            bf16=bf16,
            use_cpu=not torch.cuda.is_available(),
            save_strategy="epoch",
            save_total_limit=1,
            logging_strategy="epoch" if settings.tensorboard else "no",
            report_to=["tensorboard"] if settings.tensorboard else [],
            remove_unused_columns=False,
            dataloader_num_workers=0,
            dataloader_pin_memory=False,
            disable_tqdm=True,
            seed=settings.seed,
            data_seed=settings.seed,
        )
        if arguments.n_gpu > 1:  # Trainer would split batches between them, and statistics of a batch with it
            arguments._n_gpu = 1
        trainer = FitTrainer(model, settings, objective, after_backward, arguments, examples, callback)
        trainer.remove_callback(PrinterCallback)
        callback.trainer = trainer
        checkpoint, state = _last_checkpoint(folder)
        if best.stops_after(round(state["epoch"])):
            return int(state["global_step"]), 0, best.scores
        try:
            output = trainer.train(resume_from_checkpoint=checkpoint)
        finally:
            # accelerate leaves an autocast wrapper around `forward`; predictions are made in fp32.
            trainer.accelerator.unwrap_model(model.network, keep_fp32_wrapper=False)
            model.network.eval()
    return int(output.global_step), trainer.rows, best.scores


def _as_it_is(batch: Any) -> Any:
    return batch


def _last_checkpoint(folder: Path) -> tuple[str | None, dict[str, Any]]:
    """The newest checkpoint that is whole, and its state: a kill may have left a part of one.

    Trainer writes the state last, so where that can be read the rest is there. Its `.pt` files are pickles of our own
    in a private folder, which Trainer opens with `weights_only`.
    """
    found = sorted(folder.glob("checkpoint-*"), key=lambda path: int(path.name.rsplit("-", 1)[1]), reverse=True)
    for path in found:
        try:
            state = json.loads((path / _STATE_FILE).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        if all((path / name).is_file() for name in _CHECKPOINT_FILES):
            return str(path), state
    return None, {"epoch": 0, "global_step": 0}
