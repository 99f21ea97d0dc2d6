"""How a base's image processor feeds it, as far as `VisionModel.preprocess` can do it too, and the way back to one."""

from __future__ import annotations

import math
from typing import Any

from PIL.Image import Resampling

from spellward.errors import ArtifactError, ModelError
from spellward.models.inspection import MAX_SIDE, is_normalisation
from spellward.models.mask_queries import ClassQueries, ObjectQueries
from spellward.models.vision import CLASSIFICATION, VisionModel

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
Colour = tuple[float, float, float]
_LEVELS = 255
_MOST_FACTOR = 1e6
_FLIPS_ALWAYS = "PPLCNet"  # has no setting for it
_CROPS_FIRST = "Perceiver"  # and enlarges to `size` after that


def check_channel_order(source: str, processor: Any) -> None:
    """Refuses pretrained weights that want blue, green and red: images are fed as red, green and blue.

    Raises:
        ModelError: If their processor flips the channels.
    """
    if getattr(processor, "do_flip_channel_order", False) or type(processor).__name__.startswith(_FLIPS_ALWAYS):
        raise ModelError(
            f"{source} was trained on images with red and blue swapped, which Spellward does not do. Take another base."
        )


def named_side(config: Any, processor: Any) -> int:
    """The side of its images that a checkpoint names, in pixels.

    Raises:
        ArtifactError: If no image could have it; whatever is asked about would be enlarged to it.
    """
    side = _side(config, processor)
    if not 1 <= side <= MAX_SIDE:
        raise ArtifactError(f"The model says that it sees images of {side} px; it is broken or hostile. Get it again.")
    return side


def _side(config: Any, processor: Any) -> int:
    settings = getattr(config, "pretrained_cfg", None) or {}
    if settings.get("input_size"):
        return int(settings["input_size"][-1])
    # Many have a `crop_size` by default and do not crop.
    crops = getattr(processor, "do_center_crop", False) and not type(processor).__name__.startswith(_CROPS_FIRST)
    size = (getattr(processor, "crop_size", None) if crops else None) or getattr(processor, "size", None)
    for name in ("height", "shortest_edge"):
        if size is not None and name in size:
            return int(size[name])
    image_size = getattr(config, "image_size", 224)
    return int(image_size if isinstance(image_size, int) else image_size[-1])


def normalisation(config: Any, processor: Any) -> tuple[Colour, Colour]:
    """Per-channel mean and deviation of pixels in [0, 1] that give a network the numbers its processor gives it.

    A processor takes a value v of 0 to 255 to (v * factor + offset - mean) / deviation, each step as it is told to.

    Raises:
        ArtifactError: If pixels cannot be normalised so.
    """
    settings = getattr(config, "pretrained_cfg", None) or {}
    mean: Any = (0.0,) * 3
    std: Any = (1.0,) * 3
    if getattr(processor, "do_normalize", True):
        mean = _of_three(settings.get("mean") or getattr(processor, "image_mean", None) or IMAGENET_MEAN)
        std = _of_three(settings.get("std") or getattr(processor, "image_std", None) or IMAGENET_STD)
    # EfficientNet's divides twice: its deviations are the roots of ImageNet's.
    again = _of_three(processor.image_std) if getattr(processor, "include_top", False) else (1.0,) * 3
    rescales = getattr(processor, "do_rescale", True)
    factor = getattr(processor, "rescale_factor", 1 / _LEVELS) if rescales else 1
    offset = -1 if rescales and getattr(processor, "rescale_offset", False) else 0
    sound = type(factor) in (int, float) and 0 < factor <= _MOST_FACTOR
    if sound and is_normalisation(mean, std) and is_normalisation(mean, again):
        white = factor * _LEVELS
        white = 1.0 if math.isclose(white, 1.0, rel_tol=1e-6) else white  # so that the usual numbers stay what they are
        mean = tuple((one - offset) / white for one in mean)
        std = tuple(one * other / white for one, other in zip(std, again, strict=True))
        if is_normalisation(mean, std):
            return mean, std
    raise ArtifactError(
        f"The model says that its images are rescaled by {factor} and normalised by mean {mean} and deviation {std}; "
        "it is broken or hostile, or does not see in colour."
    )


def _of_three(value: Any) -> Any:
    """One number stands for all three channels."""
    return (value,) * 3 if isinstance(value, (int, float)) else value


def processor_for(model: VisionModel) -> Any:
    """An image processor that repeats `VisionModel.preprocess` in plain transformers.

    The base's own is not kept: it may crop, or round to another size, where `preprocess` squeezes an image into a
    square. Of segmentation networks it also draws what they find, which is told apart by kind alone.
    """
    from transformers import (
        Mask2FormerImageProcessor,
        MaskFormerImageProcessor,
        SegformerImageProcessor,
        ViTImageProcessor,
    )

    settings: dict[str, Any] = {
        "size": {"height": model.input_size, "width": model.input_size},
        "image_mean": list(model.mean),
        "image_std": list(model.std),
        "resample": Resampling.BICUBIC,
        "do_convert_rgb": True,
    }
    if isinstance(model.network, (ClassQueries, ObjectQueries)):
        # EoMT's own unpads what it found, so it cannot be told of a square; Mask2Former's reads the same outputs.
        own: Any = MaskFormerImageProcessor if model.network.config.model_type == "maskformer" else None
        return (own or Mask2FormerImageProcessor)(**settings, size_divisor=1)
    kind: Any = ViTImageProcessor if model.task == CLASSIFICATION else SegformerImageProcessor
    return kind(**settings)


def timm_settings(side: int, mean: Any, std: Any) -> dict[str, Any]:
    """The same for timm, which has it in the `pretrained_cfg` of a network's config."""
    # crop_pct 1 and "squash" keep the whole image, as `data.prepare` does.
    return {
        "input_size": [3, side, side],
        "interpolation": "bicubic",
        "crop_pct": 1.0,
        "crop_mode": "squash",
        "mean": list(mean),
        "std": list(std),
    }
