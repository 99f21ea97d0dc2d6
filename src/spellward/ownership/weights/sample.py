"""Weights as evidence: where victim and references stand, seen from the public base that they were fine-tuned from.

A claim keeps a seeded sample of output channels of every layer, of the base, the victim and those references that
started from the same base. The head is left out: another task has another one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from spellward.errors import ArtifactError
from spellward.models import VisionModel, load_model

Channels = tuple[NDArray[np.float32], ...]
"""One float32 [C, W] for each layer: C sampled output channels with W weights each."""

WEIGHTS_FILE = "weights.safetensors"
LEAST_REFERENCES = 3
_SMALLEST_LAYER, _PER_LAYER = 256, 2048
# Fine-tuning leaves a network within a tenth or so of its base; one trained from scratch has a cosine of 0 with it.
_SAME_BASE = 0.5


@dataclass(frozen=True, eq=False)
class WeightSample:
    """Sampled weights of models with one public base.

    Attributes:
        shapes: [out, rest] of every layer, in the order of the network.
        rows: int64 [C], the sampled output channels of each layer that has enough weights.
        base, victim: Their weights.
        references: Those of each reference with this base.
    """

    shapes: NDArray[np.int64]
    rows: tuple[NDArray[np.int64], ...]
    base: Channels
    victim: Channels
    references: tuple[Channels, ...] = ()

    def take(self, model: VisionModel) -> Channels | None:
        """The same weights of another model; nothing if it is built otherwise, or holds what is no number."""
        return _taken(model, self.shapes, self.rows)


@dataclass(frozen=True, eq=False)
class Origin:
    """Where a victim started.

    Attributes:
        base: The model spec.
        weights: Of victim and base; none if the base draws its weights at random.
    """

    base: Any
    weights: WeightSample | None


def origin_of(victim: VisionModel, bases: Sequence[Any], seed: int) -> Origin | None:
    """The public base that a victim was fine-tuned from, else one that draws random weights for a network like it.

    Args:
        victim: The owner's model.
        bases: Model specs.
        seed: Of the sample of weights.

    Returns:
        Nothing if the victim can have started from none of the bases.
    """
    layers = layers_of(victim)
    shapes = shapes_of(layers)
    rng = np.random.default_rng([seed, 0x3E1])
    # Every layer draws, whatever its size, so a sample hangs on shapes and seed alone.
    rows = tuple(_drawn(out, width, rng) for out, width in shapes)
    own = _rows_of(layers, rows)
    drawn = None
    for spec in dict.fromkeys(bases):
        found, again = (
            _taken(load_model(spec, victim.classes, victim.input_size, number), shapes, rows) for number in (0, 1)
        )
        if found is None:
            continue
        if not _equal(found, again):
            drawn = drawn or Origin(spec, None)
        elif own is not None and starts_from(own, found):
            return Origin(spec, WeightSample(shapes, rows, found, own))
    return drawn


def starts_from(weights: Channels, base: Channels) -> bool:
    """Whether a model was fine-tuned from a base: pretrained weights stay recognisable."""
    product = sum(float((one * other).sum(dtype=np.float64)) for one, other in zip(weights, base, strict=True))
    sizes = [sum(float((one**2).sum(dtype=np.float64)) for one in some) for some in (weights, base)]
    return product > _SAME_BASE * float(np.sqrt(sizes[0] * sizes[1])) > 0


def _taken(model: VisionModel, shapes: NDArray[np.int64], rows: Sequence[NDArray[np.int64]]) -> Channels | None:
    layers = layers_of(model)
    return _rows_of(layers, rows) if np.array_equal(shapes_of(layers), shapes) else None


def layers_of(model: VisionModel) -> list[torch.Tensor]:
    """Every weight with two or more dimensions that is not the head's, as [out, rest]."""
    return [
        value.detach().flatten(1)
        for name, value in model.network.named_parameters()
        if value.ndim > 1 and not model.in_head(name)
    ]


def shapes_of(layers: Sequence[torch.Tensor]) -> NDArray[np.int64]:
    """int64 [L, 2]."""
    return np.array([list(layer.shape) for layer in layers], dtype=np.int64).reshape(-1, 2)


def save_weights(sample: WeightSample, path: Path) -> None:
    """Writes one safetensors file."""
    models = {"base": sample.base, "victim": sample.victim}
    models |= {f"reference-{number:02d}": one for number, one in enumerate(sample.references, 1)}
    arrays: dict[str, np.ndarray] = {"shapes": sample.shapes}
    for place, rows in enumerate(sample.rows):
        arrays[f"rows/{place}"] = rows
        arrays |= {f"{name}/{place}": layers[place] for name, layers in models.items()}
    save_file({name: np.ascontiguousarray(value) for name, value in arrays.items()}, str(path))


def load_weights(path: Path) -> WeightSample:
    """Reads what `save_weights` wrote.

    Raises:
        ArtifactError: If it is anything else.
    """
    try:
        arrays = load_file(str(path))
        shapes = arrays["shapes"]
        places = range(len(shapes))
        rows = tuple(arrays[f"rows/{place}"] for place in places)
        names = sorted({name.partition("/")[0] for name in arrays} - {"shapes", "rows", "base", "victim"})
        base, victim, *references = (
            tuple(arrays[f"{name}/{place}"] for place in places) for name in ("base", "victim", *names)
        )
        for one in (base, victim, *references):
            for values, chosen, (_, width) in zip(one, rows, shapes, strict=True):
                if values.shape != (len(chosen), width) or values.dtype != np.float32 or not np.isfinite(values).all():
                    raise ValueError("shapes")
        for chosen, (out, _) in zip(rows, shapes, strict=True):
            if len(chosen) and not 0 <= chosen.min() <= chosen.max() < out:
                raise ValueError("rows")
    except (SafetensorError, KeyError, ValueError, TypeError, IndexError, OSError) as error:
        raise ArtifactError(f"{path} holds no weights of a claim. Take the claim as its owner wrote it.") from error
    return WeightSample(shapes, rows, base, victim, tuple(references))


def _drawn(out: int, width: int, rng: np.random.Generator) -> NDArray[np.int64]:
    order = rng.permutation(out)
    if out * width < _SMALLEST_LAYER:
        return np.zeros(0, dtype=np.int64)
    return np.sort(order[: max(1, _PER_LAYER // width)])


def _rows_of(layers: Sequence[torch.Tensor], rows: Sequence[NDArray[np.int64]]) -> Channels | None:
    taken = tuple(
        layer[torch.from_numpy(some).to(layer.device)].float().cpu().numpy()
        for layer, some in zip(layers, rows, strict=True)
    )
    return taken if all(np.isfinite(one).all() for one in taken) else None


def _equal(one: Channels, other: Channels | None) -> bool:
    return other is not None and all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))
