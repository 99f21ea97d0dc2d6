"""A zoo of stolen and innocent models, what each says about a claim's probes, and some weights; kept in the cache.

    python benchmarks/zoo.py [--data fashion clipart] [--half tune tune-2 report] [--only innocent] [--minutes 60]

Fashion-MNIST comes from Debian's `dataset-fashion-mnist`: 5,000 images are the owner's, 5,000 others belong to thieves
and to makers of innocent models; the parts of the zoo share no image and no seed. What the default test is built on
was chosen with the parts `tune` and `tune-2`; `report` is for the figures, `check` for false accusations, and so is
`fewer`, where the owner of `check` has so few images that its claim just does without peers. Clip art is halved between
owner and others.
Models are small (32 px, clip art 64), made one after the other, and a run that was stopped goes on; `ownership.py`
judges them.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import interpolate

from build_samples import FASHION, FASHION_CLASSES, read_idx
from public_bases import FOREIGN_BASES, spec_of
from spellward.artifacts import cache_root, private_folder
from spellward.attacks.stealing.means import Means
from spellward.attacks.stealing.table import STEALING, Stealing
from spellward.data import ImageTable, load_splits, prepare, table_from_arrays
from spellward.models import FitSettings, VisionModel, logits_of
from spellward.ownership.claim import Claim, ClaimSettings, create_claim, load_claim
from spellward.ownership.evidence.probes import MIXTURES_PER_PROBE, candidates, reserved_rows
from spellward.ownership.evidence.references import fine_tuned
from spellward.ownership.evidence.shadows import POISONED_SHARE, by_loss

OTHER = "timm/resnet10t?random"
INNOCENT = ("bundled", "bundled?random", "bundled", OTHER)
"""What innocent models start from, in turns."""
HALVES = {"tune": 0, "tune-2": 1, "report": 2, "check": 3, "fewer": 3}
"""Each with a victim, images and seeds of its own, but for `fewer`, which has the innocent models of `check`."""
CHECK = "check"
"""Innocent models alone, each on a draw of its own from 20,000 images: those of the other parts share 5,000. Some have
learnt from nearly all of them, and are better than victim and references for that. Others start from bases that no
reference has.
"""
FEWER, FEW = "fewer", 3_300
"""References learn from 2,025 of so many images; below 2,000 a claim has peers. Every innocent model knows more."""
ONLY_INNOCENT = (CHECK, FEWER)
BETTER, MOST = 6, 0.9
FOREIGN = 12
KINDS = ["innocent", "better", "foreign", "stolen"]
PRIVATE, TEST = 5000, 2000
QUESTIONS = {"fashion": (5_000, 20_000), "clipart": (1_000, 4_000)}
"""Few and many questions to the victim."""
UNSEEN = 300
"""Test images that everybody is asked about."""
BUDGETED = ("soft-label", "hard-label")
"""Thefts that are tried with few and with many; the others ask many."""


@dataclass(frozen=True, eq=False)
class Zoo:
    """What one part is made from.

    Attributes:
        data, half: Its name.
        own, others: The owner's images, and everybody else's.
        test: Images for accuracies.
        fit: How every model is trained.
        innocent, references: How many innocent models, and how many references in the claim.
    """

    data: str
    half: str
    own: ImageTable
    others: ImageTable
    test: ImageTable
    fit: FitSettings
    innocent: int
    references: int

    @property
    def seed(self) -> int:
        return 100_000 * (1 + HALVES[self.half])

    @property
    def drawn(self) -> int:
        """How many images an innocent model is trained on."""
        return round(0.9 * min(len(self.others), max(len(self.own), PRIVATE)))

    @property
    def side(self) -> int:
        """Of the images, in pixels."""
        return self.own.images[:1].shape[-1]

    @property
    def folder(self) -> Path:
        """Where claim and outputs are kept."""
        return private_folder(cache_root() / "runs" / f"zoo-{self.data}-{self.half}")


def open_zoo(data: str, half: str) -> Zoo:
    """The images of one part."""
    number = HALVES[half]
    if data == "fashion":
        own, others = (fashion("train", (2 * number + place) * PRIVATE, PRIVATE) for place in range(2))
        if half in ONLY_INNOCENT:
            others = fashion("train", 40_000, 20_000)
        if half == FEWER:
            own = own.subset(np.arange(FEW))
        counts = {"tune": (16, 12)}.get(half, (40, 8))
        return Zoo(data, half, own, others, fashion("t10k", 0, TEST), FitSettings(epochs=3), *counts)
    splits = load_splits(f"sample:{data}")
    train, test = (prepare(split, 64) for split in (splits.train, splits.test))
    order = np.random.default_rng(0x0DD + number).permutation(len(train))
    own, others = (train.subset(np.sort(part)) for part in np.array_split(order, 2))
    return Zoo(data, half, own, others, test, FitSettings(epochs=12, batch_size=32), 20, 8)


def fashion(part: str, start: int, count: int, side: int = 32) -> ImageTable:
    """Rows of Fashion-MNIST in a seeded order."""
    if not FASHION.is_dir():
        raise SystemExit(f"There is no Fashion-MNIST in {FASHION}. Install Debian's dataset-fashion-mnist.")
    pixels, labels = (read_idx(FASHION / f"{part}-{kind}-ubyte.gz") for kind in ("images-idx3", "labels-idx1"))
    rows = np.random.default_rng(0xFA5).permutation(len(labels))[start : start + count]
    grey = torch.from_numpy(pixels[rows])[:, None].float()
    larger = interpolate(grey, size=side, mode="bilinear").round().to(torch.uint8)
    return table_from_arrays(larger.expand(-1, 3, -1, -1), labels[rows].astype(np.int64), FASHION_CLASSES)


def victim_of(zoo: Zoo) -> VisionModel:
    return fine_tuned("bundled", zoo.own, zoo.side, replace(zoo.fit, seed=zoo.seed + 99), "Victim")


def claim_of(zoo: Zoo, victim: VisionModel) -> Claim:
    """The claim, made once from the code as it was then; remove its folder to make it anew from the same models."""
    folder = zoo.folder / "claim"
    if folder.exists():
        return load_claim(folder)
    settings = ClaimSettings(references=zoo.references, shadows=True, fit=zoo.fit, seed=zoo.seed)
    return create_claim(victim, zoo.own, folder, settings=settings)


def reserved_of(zoo: Zoo) -> np.ndarray:
    """The owner's rows that no reference is trained on."""
    return reserved_rows(zoo.own, ClaimSettings().probes, zoo.seed)


def questions(zoo: Zoo, victim: VisionModel) -> dict[str, Tensor]:
    """What every model is asked: all candidates for probes; the images that the victim knows best, for Holmes; and test
    images, which nobody has seen.
    """
    seed = zoo.seed
    reserved = zoo.own.subset(reserved_of(zoo))
    mixtures = MIXTURES_PER_PROBE * ClaimSettings().probes
    known = by_loss(victim, zoo.own)[: round(POISONED_SHARE * len(zoo.own))]
    rows = np.random.default_rng(seed).permutation(known)[: ClaimSettings().probes]
    return {
        "pool": candidates(reserved, mixtures, True, seed).images,
        "known": zoo.own.images[np.sort(rows)],
        "unseen": zoo.test.images[:UNSEEN],
    }


def members(zoo: Zoo, victim: VisionModel) -> Iterator[tuple[str, str, Callable[[], VisionModel]]]:
    """Yields kind, name and how to make each model."""
    makers = [("innocent", INNOCENT[number % len(INNOCENT)], zoo.drawn) for number in range(zoo.innocent)]
    if zoo.half in ONLY_INNOCENT:
        makers += [("better", "bundled", round(MOST * len(zoo.others)))] * BETTER
        makers += [("foreign", FOREIGN_BASES[number % len(FOREIGN_BASES)], zoo.drawn) for number in range(FOREIGN)]
    for number, (kind, base, drawn) in enumerate(makers):
        settings = replace(zoo.fit, seed=zoo.seed + 5000 + number)
        rows = np.random.default_rng(settings.seed).permutation(len(zoo.others))[:drawn]

        def make(base: str = base, settings: FitSettings = settings, rows: np.ndarray = rows) -> VisionModel:
            return fine_tuned(spec_of(base), zoo.others.subset(np.sort(rows)), zoo.side, settings, "Innocent model")

        yield kind, f"{base} {number + 1}", make
    for name, theft in STEALING.items() if zoo.half not in ONLY_INNOCENT else ():
        images = zoo.own if theft.needs == "data" else zoo.others
        budgets = QUESTIONS[zoo.data] if name in BUDGETED else QUESTIONS[zoo.data][1:]
        for budget in budgets if theft.needs == "answers" else (0,):
            means = Means(images, "bundled", OTHER, budget, zoo.fit, seed=zoo.seed + 77)

            def steal(theft: Stealing = theft, means: Means = means) -> VisionModel:
                return theft.run(victim, means)

            yield "stolen", f"{name}, {budget:,} questions" if budget else name, steal


def outputs_of(zoo: Zoo, kind: str, name: str) -> Path:
    """Where a model's outputs are kept; with them the accuracy on test images."""
    return zoo.folder / f"{kind}-{name.replace('/', ' ')}.npz"


def is_recorded(path: Path) -> bool:
    """Whether answers and weights of a model were kept."""
    if not path.exists():
        return False
    with np.load(path) as kept:
        return {"layers", "unseen"} <= set(kept.files)


def weights_of(claim: Claim, model: VisionModel) -> dict[str, np.ndarray]:
    """What the claim's sample takes of a model's weights, if they can be compared, as arrays by name."""
    taken = None if claim.weights is None else claim.weights.take(model)
    named = {} if taken is None else {f"weights-{place}": values for place, values in enumerate(taken)}
    return {"layers": np.array(len(named)), **named}


def record(zoo: Zoo, only: list[str], minutes: float) -> None:
    """Makes every model that has no outputs yet."""
    begun = time.monotonic()
    victim = victim_of(zoo)
    claim = claim_of(zoo, victim)
    print(f"{zoo.data}, {zoo.half}: claim ready after {time.monotonic() - begun:.0f} s", flush=True)
    asked = questions(zoo, victim)
    for kind, name, make in members(zoo, victim):
        path = outputs_of(zoo, kind, name)
        if kind not in only or is_recorded(path):
            continue
        if time.monotonic() - begun > 60 * minutes:
            return
        started, model = time.monotonic(), make()
        accuracy = float((logits_of(model, zoo.test).argmax(axis=1) == zoo.test.labels).mean())
        answers = {key: model.logits(images) for key, images in asked.items()}
        np.savez(path, accuracy=accuracy, **answers, **weights_of(claim, model))
        print(json.dumps([kind, name, round(accuracy, 4), round(time.monotonic() - started)]), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", nargs="+", default=["fashion", "clipart"])
    parser.add_argument("--half", nargs="+", choices=list(HALVES), default=["tune", "report"])
    parser.add_argument("--only", nargs="+", choices=KINDS, default=KINDS)
    parser.add_argument("--minutes", type=float, default=float("inf"))
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    for data in options.data:
        for half in options.half:
            record(open_zoo(data, half), options.only, options.minutes)


if __name__ == "__main__":
    main()
