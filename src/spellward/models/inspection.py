"""What is looked at in a checkpoint folder before anything in it is opened: others may have made it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePath
from typing import Any

from safetensors import SafetensorError, safe_open

from spellward.errors import ArtifactError, ModelError
from spellward.plain_json import parse_json

OWN_FILE = "spellward_model.json"
OWN_FORMAT = "spellward-model-1"
WEIGHTS_FILE = "model.safetensors"
INDEX_FILE = "model.safetensors.index.json"
_JSON_FILES = ("config.json", "preprocessor_config.json", INDEX_FILE, OWN_FILE)
_MAX_JSON = 5_000_000
MAX_SIDE = 8192
"""Of the images that a model sees, in pixels."""
_LEAST_STD, _MOST = 1e-6, 1e6
"""Of what pixels are normalised by: beyond these, a network's numbers overflow."""
_PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl")
_TIMM_FIELDS = ("architecture", "pretrained_cfg", "model_args")
_FORBIDDEN_ARGUMENTS = ("checkpoint", "pretrained", "cache", "scriptable", "exportable")


def check_folder(folder: Path) -> None:
    """Refuses pickles alone, code, adapters, oversized or broken JSON, weights that are cut short or elsewhere.

    Raises:
        ArtifactError: For a file that is broken, foreign or hostile.
        ModelError: For a model that needs code of its own.
    """
    files = {path.name for path in folder.iterdir()}
    if not any(name.endswith(".safetensors") for name in files):
        if any(name.endswith(_PICKLES) for name in files):
            raise ArtifactError(f"{folder} has its weights in a pickle, which can run code. Convert it to safetensors.")
        raise ArtifactError(f"{folder} has no weights (*.safetensors). Name a checkpoint folder.")
    if "adapter_config.json" in files:
        raise ModelError(f"{folder} holds an adapter, not a whole model. Merge it into its model and save that.")
    contents = {name: read_json(folder / name) for name in _JSON_FILES if name in files}
    for name, content in contents.items():
        if content.get("auto_map"):
            raise ModelError(f"{folder / name} asks to run code that comes with the model, which Spellward never does.")
    if INDEX_FILE in files:
        _check_index(folder / INDEX_FILE, contents[INDEX_FILE], files)
    check_config(folder / "config.json", contents.get("config.json", {}))
    for name in sorted(files):
        if name.endswith(".safetensors"):
            try:
                with safe_open(folder / name, framework="pt") as file:
                    file.keys()
            except (SafetensorError, OSError) as error:
                raise ArtifactError(f"{folder / name} is truncated or not safetensors. Get it again.") from error


def check_config(place: str | Path, config: dict[str, Any]) -> None:
    """Refuses a config, of a file or as transformers has read it, that has parts of the model come from elsewhere.

    Without a `model_type`, transformers takes whatever has a `pretrained_cfg` for a model of timm.

    Args:
        place: Where it stands, for errors.
        config: Its fields.

    Raises:
        ArtifactError, ModelError: For one that does.
    """
    described = config.get("pretrained_cfg")
    shape = described.get("input_size", [3, 1, 1]) if isinstance(described, dict) else None
    if described is not None and not _is_shape(shape):
        raise ArtifactError(f"{place} has a pretrained_cfg that makes no sense. Get the folder again.")
    if not config.get("model_type") and any(name in config for name in _TIMM_FIELDS):
        _check_timm(place, config)
    for part in _parts(config):
        _check_backbone(place, part)


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object of a sensible size.

    Raises:
        ArtifactError: For anything else.
    """
    if path.stat().st_size > _MAX_JSON:
        raise ArtifactError(f"{path} is too large to be a model config. Get the folder again.")
    try:
        content = parse_json(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ArtifactError(f"{path} is not valid JSON; it is truncated or foreign. Get it again.") from error
    if not isinstance(content, dict):
        raise ArtifactError(f"{path} is not a JSON object; it is foreign. Get it again.")
    return content


def read_own_record(folder: Path) -> dict[str, Any]:
    """The record that `save_checkpoint` writes for torchvision models and modules, every field checked.

    Raises:
        ArtifactError: If a field is missing, unknown or makes no sense.
    """
    path = folder / OWN_FILE
    record = read_json(path)
    if record.get("format") != OWN_FORMAT:
        raise ArtifactError(f"{path} is from another version or not Spellward's. Update Spellward.")
    spec, classes, size = record.get("spec"), record.get("classes"), record.get("input_size")
    sound = (
        set(record) - {"task"} == {"format", "spec", "classes", "input_size", "mean", "std"}
        and record.get("task", "segmentation") in ("segmentation", "instances")
        and isinstance(spec, str)
        and (spec == "module" or spec.startswith("torchvision/"))
        and isinstance(classes, list)
        and all(isinstance(name, str) for name in classes)
        and type(size) is int
        and 1 <= size <= MAX_SIDE
        and is_normalisation(record["mean"], record["std"])
    )
    if not sound:
        raise ArtifactError(f"{path} has a field that is missing, unknown or makes no sense. Get the folder again.")
    return record


def is_normalisation(mean: Any, std: Any) -> bool:
    """Whether pixels in [0, 1] can be normalised so: three numbers each, none too large and no deviation near zero."""
    return _three_numbers(mean) and _three_numbers(std) and min(std) >= _LEAST_STD


def _three_numbers(value: Any) -> bool:
    return (
        isinstance(value, (list, tuple))
        and len(value) == 3
        and all(type(one) in (int, float) and abs(one) <= _MOST for one in value)
    )


def _is_shape(value: Any) -> bool:
    return (
        isinstance(value, (list, tuple))
        and len(value) == 3
        and all(type(one) is int and 1 <= one <= MAX_SIDE for one in value)
    )


def _check_index(path: Path, index: dict[str, Any], files: set[str]) -> None:
    parts = index.get("weight_map")
    if not isinstance(parts, dict) or not parts:
        raise ArtifactError(f"{path} does not say which file holds which weights. Get the folder again.")
    for name in parts.values():
        if not isinstance(name, str) or PurePath(name).name != name or not name.endswith(".safetensors"):
            raise ArtifactError(f"{path} names weights outside of its folder, or a pickle. Do not use it.")
        if name not in files:
            raise ArtifactError(f"{path.with_name(name)} is missing. Get the folder again.")


def _parts(config: Any) -> Iterator[dict[str, Any]]:
    """Yields a config and every config within it."""
    if isinstance(config, dict):
        yield config
    for value in config.values() if isinstance(config, dict) else config if isinstance(config, list) else ():
        yield from _parts(value)


def _check_backbone(path: str | Path, config: dict[str, Any]) -> None:
    """A backbone that is named, and not described, is fetched from elsewhere, with pickles if these are there."""
    if config.get("use_pretrained_backbone"):
        raise ArtifactError(f"{path} asks for weights from elsewhere (use_pretrained_backbone). Do not use it.")
    if "timm" in str(config.get("model_type", "")) or config.get("use_timm_backbone"):
        _check_timm(path, config)
    elif config.get("backbone"):
        raise ArtifactError(f"{path} names a backbone that is somewhere else. Do not use it.")


def _check_timm(path: str | Path, config: dict[str, Any]) -> None:
    """Names such as `hf-hub:` and arguments such as `checkpoint_path` lead timm to other files, pickles too."""
    import timm

    architecture, arguments = config.get("architecture", config.get("backbone")), config.get("model_args")
    if not isinstance(architecture, str) or architecture.split(".")[0] not in timm.list_models():
        raise ModelError(f"{path} names an architecture that this timm does not have: {str(architecture)[:80]!r}.")
    if arguments is None:
        return
    if not isinstance(arguments, dict) or any(str(name).startswith(_FORBIDDEN_ARGUMENTS) for name in arguments):
        raise ArtifactError(f"{path} has model_args that point to other files. Do not use it.")
