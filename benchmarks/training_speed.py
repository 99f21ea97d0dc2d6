"""Images per second of `fit` against the bare loop of forward, backward and step; writes results/training_speed.json.

    python benchmarks/training_speed.py [--spec bundled] [--side 64] [--images 512] [--rounds 3]

Both train the same model with the same batches from memory, in turn, so that whatever else the machine does weighs on
both alike. `fit` does more: it augments, normalises, clips gradients, writes a checkpoint after each epoch. The bar is
80 per cent of the bare loop.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import tempfile
import time
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path

import torch

from spellward.models import Batch, FitSettings, VisionModel, fit, load_model, logits_of_output
from spellward.models.fit_settings import bf16_is_faster
from spellward.models.vision import autocast

RESULTS = Path(__file__).parent / "results" / "training_speed.json"
CLASSES = tuple("abcdefghij")
BAR = 0.8


class InMemory:
    """Random images with labels."""

    def __init__(self, count: int, side: int, seed: int) -> None:
        generator = torch.Generator().manual_seed(seed)
        self.pixels = torch.randint(0, 256, (count, 3, side, side), dtype=torch.uint8, generator=generator)
        self.labels = torch.randint(0, len(CLASSES), (count,), generator=generator)

    def __len__(self) -> int:
        return len(self.labels)

    def batch(self, indices: list[int], epoch: int) -> Batch:
        labels = self.labels[indices]
        targets = torch.nn.functional.one_hot(labels, len(CLASSES)).float()
        return Batch(pixels=self.pixels[indices], targets=targets, labels=labels, decoy=torch.zeros_like(labels))


def bare_loop(model: VisionModel, examples: InMemory, settings: FitSettings, precision: str) -> float:
    """Images per second when everything is in memory, normalised, in the best layout."""
    network = model.network.to(memory_format=torch.channels_last).train()
    optimiser = torch.optim.AdamW(network.parameters(), lr=settings.rate_for(network), fused=True)
    size = settings.batch_size
    batches = [
        (model.preprocess(examples.pixels[start : start + size]), examples.labels[start : start + size])
        for start in range(0, len(examples), size)
    ]
    begun = time.perf_counter()
    for _ in range(settings.epochs):
        for pixels, labels in batches:
            with autocast(model.device, precision):
                logits = logits_of_output(network(pixels))
            torch.nn.functional.cross_entropy(logits.float(), labels).backward()
            optimiser.step()
            optimiser.zero_grad()
    return settings.epochs * len(examples) / (time.perf_counter() - begun)


def fit_speed(model: VisionModel, examples: InMemory, settings: FitSettings) -> float:
    """Images per second of the whole call, its checkpoints included."""
    with tempfile.TemporaryDirectory() as folder:
        begun = time.perf_counter()
        fit(model, examples, settings, folder=Path(folder) / "run")
        return settings.epochs * len(examples) / (time.perf_counter() - begun)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--spec", default="bundled")
    parser.add_argument("--side", type=int, default=64)
    parser.add_argument("--images", type=int, default=512)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--precision", default="auto", choices=["auto", "fp32", "bf16"])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, default=RESULTS)
    options = parser.parse_args()
    model = load_model(options.spec, CLASSES, options.side, options.seed)
    precision = options.precision
    if precision == "auto":
        precision = "bf16" if bf16_is_faster(model.network) else "fp32"
    settings = FitSettings(
        epochs=options.epochs, batch_size=options.batch, precision=precision, seed=options.seed, warmup=0.1
    )
    warm = InMemory(2 * options.batch, options.side, options.seed)
    examples = InMemory(options.images, options.side, options.seed)
    bare_loop(model.copy(), warm, settings, precision)
    fit_speed(model.copy(), warm, settings)
    bare, fitted = [], []
    for number in range(options.rounds):
        bare.append(bare_loop(model.copy(), examples, settings, precision))
        fitted.append(fit_speed(model.copy(), examples, settings))
        print(f"round {number + 1}: bare {bare[-1]:.0f}, fit {fitted[-1]:.0f} images/s", flush=True)
    ratio = statistics.median(one / other for one, other in zip(fitted, bare, strict=True))
    print(f"fit runs at {ratio:.2f} of the bare loop; the bar is {BAR}")
    document = {
        "ratio": ratio,
        "bar": BAR,
        "bare_images_per_second": bare,
        "fit_images_per_second": fitted,
        "spec": options.spec,
        "side": options.side,
        "images": options.images,
        "settings": {**asdict(settings), "augment": list(settings.augment)},
        "threads": torch.get_num_threads(),
        "cores": os.cpu_count(),
        "load_at_the_end": os.getloadavg()[0],
        "machine": platform.machine(),
        "versions": {name: version(name) for name in ("spellward", "torch", "transformers", "timm", "accelerate")},
    }
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    if ratio < BAR:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
