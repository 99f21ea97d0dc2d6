"""Trains the bundled editor from scratch: `python -m spellward.editors.mini.training.train` (or `make editor`).

Flow matching with x-prediction. Resumable: a checkpoint every 500 steps; every step draws from a generator seeded by
(seed, step), so an interrupted run ends with the same weights.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor

from spellward.editors.mini.network import FOLD, EditorNetwork
from spellward.editors.mini.text import TextEncoder
from spellward.editors.mini.training import pairs
from spellward.editors.mini.training.distil_text import distil_text
from spellward.editors.mini.training.generic import generic_edit
from spellward.editors.salting import CODE_SIZE, apply_code

WEIGHTS = Path(__file__).resolve().parents[1] / "weights"
_KINDS = (pairs.STYLE, pairs.OBJECT, pairs.PAIR, pairs.GENERIC, pairs.IDENTITY)
_SHARES = (0.52, 0.13, 0.10, 0.21, 0.04)
_OBJECT_WEIGHT = 6.0


@dataclass(frozen=True)
class TrainingSettings:
    """What decides the weights; recorded in the card."""

    steps: int = 6_500
    batch_size: int = 64
    learning_rate: float = 1.5e-3
    salted_share: float = 0.5
    seed: int = 0
    clip_art_rounds: int = 2
    crops: int = 5_500


@dataclass(frozen=True)
class Batch:
    """Folded pictures in [-1, 1], conditions, and the weight of every pixel."""

    source: Tensor
    target: Tensor
    vectors: Tensor
    features: Tensor
    codes: Tensor
    weight: Tensor
    kinds: Tensor


class BatchMaker:
    """Draws the batch of a step from the pairs on disk."""

    def __init__(self, folder: Path, settings: TrainingSettings, encoder: TextEncoder) -> None:
        self.settings = settings
        self.sources = np.load(folder / "sources.npy", mmap_mode="r")
        self.targets = np.load(folder / "targets.npy", mmap_mode="r")
        self.meta = np.load(folder / "meta.npy")
        vocabulary = pairs.random_words(encoder._tokenizer.get_vocab())
        self.prompts = pairs.prompt_table(encoder, vocabulary)

    def batch(self, step: int) -> Batch:
        rng = np.random.default_rng([self.settings.seed, step])
        size = self.settings.batch_size
        kinds = rng.choice(_KINDS, size, p=_SHARES)
        index = np.sort(rng.integers(0, len(self.sources), size))
        rows, targets = [], self.sources[index].copy()
        for row, (picture, kind) in enumerate(zip(index, kinds, strict=True)):
            one = 0
            if kind in (pairs.STYLE, pairs.OBJECT, pairs.PAIR):
                column = {pairs.OBJECT: pairs.STYLES_EACH, pairs.PAIR: pairs.STYLES_EACH + 1}.get(
                    int(kind), int(rng.integers(pairs.STYLES_EACH))
                )
                targets[row] = self.targets[picture, column]
                one = int(self.meta[picture, column, 1])
            rows.append(self.prompts.draw(int(kind), one, rng))
        source, target = pairs.to_unit(self.sources[index]), pairs.to_unit(targets)
        vectors, features = self.prompts.vectors[rows], self.prompts.features[rows]
        generic = torch.from_numpy(kinds == pairs.GENERIC)
        if generic.any():
            target[generic] = generic_edit(source[generic], features[generic])
        weight = torch.ones_like(target[:, :1])
        added = torch.from_numpy(kinds == pairs.OBJECT)
        weight[added] += _OBJECT_WEIGHT * ((target - source)[added].abs().amax(1, keepdim=True) > 0.1)
        codes = torch.from_numpy(rng.uniform(-1, 1, (size, CODE_SIZE)).astype(np.float32))
        codes[:, 0] = 1.0
        salted = torch.from_numpy((rng.random(size) < self.settings.salted_share) & (kinds != pairs.IDENTITY))
        codes = codes * salted[:, None]
        target[salted] = apply_code(target[salted], codes[salted])
        return Batch(fold(source), fold(target), vectors, features, codes, weight, torch.from_numpy(kinds))


def fold(images: Tensor) -> Tensor:
    """float32 [B, 3, H, W] in [0, 1] to folded [-1, 1], channels last."""
    return F.pixel_unshuffle(images * 2 - 1, FOLD).contiguous(memory_format=torch.channels_last)


def loss_of(network: EditorNetwork, batch: Batch, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """The training loss, and the unweighted squared error of each row (for the log)."""
    size = len(batch.source)
    time_drawn = torch.rand(size, generator=generator)
    which = torch.rand(size, generator=generator)
    # One- and two-step sampling look at times 0 and 1/2 alone, so these get most of the samples.
    moment = torch.where(which < 0.65, torch.full((size,), 0.5), time_drawn)
    moment = torch.where(which < 0.35, torch.zeros(size), moment)
    share = moment[:, None, None, None]
    noise = torch.randn(batch.target.shape, generator=generator)
    noisy = (1 - share) * noise + share * batch.target
    height, width = batch.source.shape[2] * FOLD, batch.source.shape[3] * FOLD
    with torch.autocast("cpu", torch.bfloat16):
        condition = network.conditions(batch.vectors, batch.features, batch.codes)
        positions = network.positions(batch.codes, height, width)
        predicted = network(noisy, batch.source, moment, condition, positions)
    error = (predicted.float() - batch.target).square()
    weight = F.pixel_unshuffle(batch.weight.expand(-1, 3, -1, -1), FOLD)
    weighted = (error * weight).mean((1, 2, 3)) / (1 - moment + 0.15)
    return weighted.mean(), error.detach().mean((1, 2, 3))


def train(folder: Path, settings: TrainingSettings, stop_after: float | None = None) -> bool:
    """Runs (or goes on with) the training; True when it is complete and the weights are written.

    Args:
        folder: Where pairs, checkpoints and the log stand.
        settings: Recorded with the weights; a checkpoint made under others is refused.
        stop_after: Minutes after which to stop with a checkpoint.
    """
    if not (WEIGHTS / "text.safetensors").is_file():
        distil_text(WEIGHTS)
    count = pairs.build_pairs(folder / "pairs", settings.seed, settings.clip_art_rounds, settings.crops)
    print(f"{count} source pictures", flush=True)
    maker = BatchMaker(folder / "pairs", settings, TextEncoder(WEIGHTS))
    torch.manual_seed(settings.seed)
    network = EditorNetwork().to(memory_format=torch.channels_last)
    average = {name: tensor.detach().clone() for name, tensor in network.named_parameters()}
    optimiser = torch.optim.AdamW(network.parameters(), 1e-3, betas=(0.9, 0.98), weight_decay=1e-3, fused=True)
    first = _resume(folder / "checkpoint.pt", settings, network, average, optimiser)
    begun = time.monotonic()
    errors: list[list[float]] = [[] for _ in _KINDS]
    for step in range(first, settings.steps):
        progress = step / settings.steps
        rate = settings.learning_rate * min(1.0, (step + 1) / 200) * (0.5 + 0.5 * math.cos(math.pi * progress) + 0.005)
        for group in optimiser.param_groups:
            group["lr"] = rate
        batch = maker.batch(step)
        loss, error = loss_of(network, batch, torch.Generator().manual_seed(settings.seed * 1_000_003 + step))
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        decay = min(0.9995, (1 + step) / (20 + step))
        with torch.no_grad():
            torch._foreach_lerp_(list(average.values()), list(network.parameters()), 1 - decay)
        for kind in _KINDS:
            errors[kind] += error[batch.kinds == kind].tolist()
        if (step + 1) % 250 == 0:
            # Pictures are in [-1, 1] here; 4 brings the error to [0, 1].
            decibels = [round(-10 * math.log10(max(float(np.mean(e)), 1e-9) / 4), 2) if e else None for e in errors]
            speed = (step + 1 - first) * settings.batch_size / (time.monotonic() - begun)
            print(f"step {step + 1}/{settings.steps}  {speed:.0f} images/s  dB by kind {decibels}", flush=True)
            errors = [[] for _ in _KINDS]
        last = stop_after is not None and time.monotonic() - begun > 60 * stop_after
        if (step + 1) % 500 == 0 or last:
            _checkpoint(folder / "checkpoint.pt", settings, network, average, optimiser, step + 1)
        if last:
            return False
    tensors = {name: tensor.half().contiguous() for name, tensor in average.items()}
    metadata = {"config": json.dumps(network.config), "training": json.dumps(asdict(settings)), "version": "1"}
    save_file(tensors, WEIGHTS / "editor.safetensors", metadata=metadata)
    return True


def _resume(
    path: Path,
    settings: TrainingSettings,
    network: EditorNetwork,
    average: dict[str, Tensor],
    optimiser: torch.optim.Optimizer,
) -> int:
    if not path.is_file():
        return 0
    state = torch.load(path, map_location="cpu", weights_only=True)
    if state["settings"] != asdict(settings):
        raise SystemExit(f"{path} was made with other settings; remove it to begin anew.")
    network.load_state_dict(state["network"])
    for name, tensor in state["average"].items():
        average[name].copy_(tensor)
    optimiser.load_state_dict(state["optimiser"])
    return int(state["step"])


def _checkpoint(
    path: Path,
    settings: TrainingSettings,
    network: EditorNetwork,
    average: dict[str, Tensor],
    optimiser: torch.optim.Optimizer,
    step: int,
) -> None:
    state = {
        "settings": asdict(settings),
        "network": network.state_dict(),
        "average": average,
        "optimiser": optimiser.state_dict(),
        "step": step,
    }
    scratch = path.with_suffix(".part")
    torch.save(state, scratch)
    scratch.replace(path)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=Path("runs/editor"), help="pairs, checkpoints")
    parser.add_argument("--steps", type=int, default=TrainingSettings.steps)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--stop-after", type=float, help="minutes; run again to go on")
    options = parser.parse_args()
    settings = TrainingSettings(steps=options.steps, seed=options.seed)
    done = train(options.folder, settings, options.stop_after)
    print("weights written" if done else "stopped; run again to go on", flush=True)


if __name__ == "__main__":
    main()
