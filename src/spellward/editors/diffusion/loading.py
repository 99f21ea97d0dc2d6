"""Finds a diffusers pipeline on disk or the Hub and loads it: safetensors only, no code from the model's folder."""

from __future__ import annotations

import contextlib
import hashlib
import inspect
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import diffusers
import torch
import transformers
from diffusers import AutoPipelineForImage2Image, AutoPipelineForInpainting, DiffusionPipeline

from spellward.artifacts import sha256_file
from spellward.errors import EditorError
from spellward.hub import quiet_hub
from spellward.plain_json import parse_json

_MAX_INDEX = 1_000_000
INDEX = "model_index.json"
# They would blacken pictures at their own discretion, or are for inputs that an editor does not have.
_LEFT_OUT = ("safety_checker", "feature_extractor", "image_encoder")
_INPUTS_WE_LACK = {"mask_image", "control_image", "depth_map", "low_res_image"}
_PICKLES = (".bin", ".ckpt", ".pt", ".pth", ".pkl", ".msgpack", ".h5", ".onnx", ".onnx_data", ".pb")
_NOT_READ = (".md", ".py", ".txt.lock", ".png", ".jpg")


def find_pipeline(source: str) -> Path:
    """The folder of a pipeline: given, in the Hub's cache, or downloaded there.

    Raises:
        EditorError: If it is nowhere to be found, or would run code of its own.
    """
    folder = Path(source)
    if not folder.is_dir():
        folder = _from_hub(source)
    if not (folder / INDEX).is_file():
        raise EditorError(f"{source} holds no {INDEX}; an editor is a pipeline's folder as diffusers saves it.")
    index = _index(folder)
    kind = index.get("_class_name")
    if not isinstance(kind, str) or not hasattr(diffusers, kind):
        raise EditorError(f"The pipeline {source} is of a kind that diffusers {diffusers.__version__} does not know.")
    for name, entry in index.items():
        library = entry[0] if isinstance(entry, list) and len(entry) == 2 else None
        known = library in (None, "diffusers", "transformers") or hasattr(diffusers.pipelines, str(library))
        if not name.startswith("_") and not known:
            raise EditorError(f"The pipeline {source} needs code of its own for {name!r}; Spellward does not run that.")
    return folder


def load_pipeline(folder: Path, image_to_image: bool) -> Any:
    """Loads a pipeline in fp32; a text-to-image one in its image-to-image form.

    Raises:
        EditorError: If weights are missing, broken or not safetensors, or the pipeline takes no image.
    """
    pipeline = _load(
        folder, lambda kind: AutoPipelineForImage2Image if image_to_image or not _takes_image(kind) else None
    )
    accepted = set(inspect.signature(pipeline.__call__).parameters)
    if lacking := sorted(_INPUTS_WE_LACK & accepted):
        raise EditorError(f"The pipeline {folder} needs more than an image and a prompt ({', '.join(lacking)}).")
    return pipeline


def load_inpainting(folder: Path) -> Any:
    """Loads a pipeline in fp32 in its inpainting form: it takes an image, a mask and a prompt.

    Raises:
        EditorError: If weights are missing, broken or not safetensors, or the pipeline cannot inpaint.
    """
    pipeline = _load(folder, lambda kind: None if "mask_image" in _parameters(kind) else AutoPipelineForInpainting)
    if not {"image", "mask_image"} <= set(inspect.signature(pipeline.__call__).parameters):
        raise EditorError(f"The pipeline {folder} does not inpaint: it takes no image with a mask.")
    return pipeline


def _load(folder: Path, other_form: Callable[[Any], Any]) -> Any:
    """A pipeline from safetensors files, in the form (an `AutoPipeline...`) that `other_form` wants for its class."""
    kind = getattr(diffusers, _index(folder)["_class_name"])
    skipped = {name: None for name in _LEFT_OUT if name in inspect.signature(kind.__init__).parameters}
    try:
        with quiet():
            pipeline = DiffusionPipeline.from_pretrained(
                folder, use_safetensors=True, local_files_only=True, dtype=torch.float32, **skipped
            )
            form = other_form(kind)
            if form is not None:
                pipeline = form.from_pipe(pipeline)
    except Exception as error:  # diffusers, transformers, safetensors and torch each raise kinds of their own here
        reason = " ".join(str(error).split())[:200]
        raise EditorError(f"The pipeline {folder} cannot be loaded from safetensors files: {reason}") from error
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def _parameters(kind: Any) -> set[str]:
    return set(inspect.signature(kind.__call__).parameters)


def _takes_image(kind: Any) -> bool:
    return "image" in _parameters(kind)


def pipeline_digest(folder: Path) -> str:
    """sha256 (hex) over all that is loaded: digests of weights and tokenizers, configurations without their comments.

    Fields that start with an underscore and versions of libraries do not count, so saving a pipeline again does not
    change its digest.
    """
    facts: dict[str, object] = {}
    names = [name for name in _index(folder) if not name.startswith("_") and name not in _LEFT_OUT]
    for path in sorted(path for name in names for path in (folder / name).rglob("*") if path.is_file()):
        relative = path.relative_to(folder).as_posix()
        if path.name.endswith("config.json"):
            facts[relative] = _without_comments(json.loads(path.read_text("utf-8")))
        elif path.suffix not in (*_PICKLES, *_NOT_READ):
            facts[relative] = sha256_file(path)
    facts[INDEX] = _without_comments({name: _index(folder)[name] for name in names})
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Silences bars and warnings of both libraries; diffusers would print what it cuts off from a secret prompt."""
    libraries = (diffusers.utils.logging, transformers.utils.logging)
    before = [(library, library.get_verbosity(), library.is_progress_bar_enabled()) for library in libraries]
    for library in libraries:
        library.set_verbosity_error()
        library.disable_progress_bar()
    try:
        yield
    finally:
        for library, verbosity, bars in before:
            library.set_verbosity(verbosity)
            if bars:
                library.enable_progress_bar()


def _from_hub(source: str) -> Path:
    skipped = dict.fromkeys(_LEFT_OUT)
    try:
        with quiet_hub(), quiet():
            try:
                return Path(DiffusionPipeline.download(source, use_safetensors=True, local_files_only=True, **skipped))
            except Exception:  # not in the cache, or only a part of it
                return Path(DiffusionPipeline.download(source, use_safetensors=True, **skipped))
    except Exception as error:
        raise EditorError(
            f"The editor {source!r} is neither a folder nor in the Hub's cache, and cannot be downloaded: "
            "check the name and the network, or give the folder of a diffusers pipeline with safetensors files."
        ) from error


def _index(folder: Path) -> dict[str, Any]:
    try:
        if (folder / INDEX).stat().st_size > _MAX_INDEX:
            raise ValueError("too large")
        index = parse_json((folder / INDEX).read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise EditorError(f"{folder / INDEX} cannot be read; get the pipeline again.") from error
    if not isinstance(index, dict):
        raise EditorError(f"{folder / INDEX} does not describe a pipeline; get the pipeline again.")
    return index


def _without_comments(config: object) -> object:
    dropped = ("transformers_version", "torch_dtype", "dtype")
    if not isinstance(config, dict):
        return config
    return {name: value for name, value in config.items() if not name.startswith("_") and name not in dropped}
