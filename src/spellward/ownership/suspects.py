"""Suspects of any kind: a checkpoint, an ONNX file, recorded outputs, a callable, or a locked model with its key."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor, nn

from spellward.errors import DataError, MissingExtraError, ModelError
from spellward.models import VisionModel, load_checkpoint, load_model
from spellward.models.bundled import MEAN, STD
from spellward.models.vision import CLASSIFICATION
from spellward.ownership.answers.file import read_answers
from spellward.ownership.answers.outputs import as_array

_ONNX_BATCH = 64


@runtime_checkable
class Unlocked(Protocol):
    """A locked model with its key in front, as `spellward.unlock` gives it: it edits, then answers."""

    model: VisionModel

    @property
    def resolution(self) -> int:
        """Side at which images are edited, in pixels."""

    def edited(self, images: Tensor) -> Tensor:
        """uint8 [N, 3, S, S] in and out."""


@dataclass(frozen=True)
class Answers:
    """What a suspect said about the probes.

    Attributes:
        outputs: [N, K] scores, or [N] class numbers.
        classes: Names of its classes, where it has any.
        kind: Name in `SUSPECTS`.
        model: The suspect itself, where its weights can be seen.
    """

    outputs: np.ndarray
    classes: tuple[str, ...] | None
    kind: str
    model: VisionModel | None = None


@dataclass(frozen=True)
class Pixels:
    """How a model takes images, for suspects that do not say it themselves; see `VisionModel`."""

    mean: tuple[float, float, float] = MEAN
    std: tuple[float, float, float] = STD


def open_model(
    source: Any, classes: tuple[str, ...], size: int | None = None, pixels: Pixels | None = None
) -> VisionModel:
    """A model that can already tell its classes: a `VisionModel`, a module, or a checkpoint folder or Hub id.

    Args:
        source: The model.
        classes: Of a module, which has no names for them.
        size, pixels: How a module takes images; at 224 pixels and as ImageNet is normalised if not given.

    Raises:
        ModelError: If there is no such model, or it gives masks.
    """
    if isinstance(source, VisionModel):
        model = source
    else:
        model = load_model(source, classes, size) if isinstance(source, nn.Module) else load_checkpoint(source)
        if isinstance(source, nn.Module) and pixels is not None:
            model.mean, model.std = pixels.mean, pixels.std
    if model.task != CLASSIFICATION:
        raise ModelError("This model gives masks; claims are made on classifiers, and classifiers are verified.")
    return model


def ask(suspect: Any, probes: Tensor, classes: tuple[str, ...], pixels: Pixels | None = None) -> Answers:
    """Asks a suspect of any kind about the probes.

    Args:
        suspect: A `VisionModel` or module; an `Unlocked` model, which is asked through its key; a callable from
            uint8 [N, 3, S, S] to [N, K] scores or [N] classes; or the path of a checkpoint folder, an `.onnx` file,
            or recorded answers (`.npy`, `.npz`, `.csv`; see `answers.file.read_answers`); or these as an array.
        probes: uint8 [N, 3, S, S].
        classes: The victim's.
        pixels: How the victim takes images: what stands in a module or an ONNX file takes them likewise, at the size
            of the probes unless the file names another.

    Raises:
        DataError, ModelError: If the suspect cannot be asked at all, or a file holds no answers to these probes: it has
            other rows, or names that fit no probe or class. Whatever a suspect answers is for `judge`.
        MissingExtraError: For ONNX files without onnxruntime.
    """
    kind = kind_of(suspect)
    return SUSPECTS[kind](suspect, probes, classes, pixels or Pixels())


def kind_of(suspect: Any) -> str:
    """Which entry of `SUSPECTS` a suspect is for."""
    if isinstance(suspect, Unlocked):
        return "unlocked"
    if isinstance(suspect, (VisionModel, nn.Module)):
        return "model"
    if callable(suspect):
        return "callable"
    if isinstance(suspect, (np.ndarray, Tensor)):
        return "recorded"
    if not isinstance(suspect, str | Path):
        raise DataError(
            f"A suspect is a checkpoint, .onnx, recorded answers, a model, a callable or an array; got "
            f"{type(suspect).__name__}. Give a list of answers as np.array(...)."
        )
    path = Path(suspect)
    suffix = path.suffix.lower()
    if path.is_file() and suffix not in (".npy", ".npz", ".csv", ".onnx"):
        raise DataError(f"{path} is no suspect. Give a checkpoint folder, .onnx, or answers as .npy, .npz or .csv.")
    if suffix in (".npy", ".npz", ".csv"):
        return "recorded"
    return "onnx" if suffix == ".onnx" else "model"


def _model(suspect: Any, probes: Tensor, classes: tuple[str, ...], pixels: Pixels) -> Answers:
    model = open_model(suspect, classes, int(probes.shape[-1]), pixels)
    return Answers(model.logits(probes), model.classes, "model", model)


def _unlocked(suspect: Unlocked, probes: Tensor, classes: tuple[str, ...], pixels: Pixels) -> Answers:
    model = open_model(suspect.model, classes)
    return Answers(model.logits(suspect.edited(probes)), model.classes, "unlocked", model)


def _callable(suspect: Callable[[Tensor], Any], probes: Tensor, classes: tuple[str, ...], pixels: Pixels) -> Answers:
    return Answers(as_array(suspect(probes)), None, "callable")


def _recorded(suspect: Any, probes: Tensor, classes: tuple[str, ...], pixels: Pixels) -> Answers:
    given = isinstance(suspect, (np.ndarray, Tensor))
    return Answers(as_array(suspect) if given else read_answers(suspect, classes, len(probes)), None, "recorded")


def _onnx(suspect: Any, probes: Tensor, classes: tuple[str, ...], pixels: Pixels) -> Answers:
    """An image classifier with one input, float32 [N, 3, S, S], normalised as the victim's is, and logits first.

    For a file that wants its pixels otherwise, record the answers and give those.
    """
    path = Path(str(suspect))
    if not path.is_file():
        raise ModelError(f"There is no ONNX file {path}. Check the path.")
    try:
        onnxruntime = importlib.import_module("onnxruntime")
    except ImportError as error:
        raise MissingExtraError("ONNX files need an extra; run `pip install 'spellward[onnx]'`.") from error
    try:
        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        (entry,) = session.get_inputs()
        size = entry.shape[2] if isinstance(entry.shape[2], int) else int(probes.shape[2])
        shape = VisionModel(nn.Identity(), "onnx", classes, size, pixels.mean, pixels.std, "")
        batch = entry.shape[0] if isinstance(entry.shape[0], int) else _ONNX_BATCH
        parts = []
        for some in torch.split(probes, batch):
            full = torch.cat([some, some[-1:].expand(batch - len(some), -1, -1, -1)])  # files may insist on their batch
            said = session.run(None, {entry.name: shape.preprocess(full).contiguous().numpy()})[0]
            parts.append(said[: len(some)])
    except Exception as error:  # onnxruntime's errors have no common base
        first = (str(error).splitlines() or [""])[0]
        raise DataError(
            f"{path} cannot be asked ({first}). Give one image input [N, 3, S, S], or recorded outputs."
        ) from error
    return Answers(np.concatenate(parts), None, "onnx")


SUSPECTS: dict[str, Callable[[Any, Tensor, tuple[str, ...], Pixels], Answers]] = {
    "model": _model,
    "unlocked": _unlocked,
    "callable": _callable,
    "recorded": _recorded,
    "onnx": _onnx,
}
