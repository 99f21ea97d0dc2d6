"""Half precision where it costs nothing visible: the blocks of UNet and VAE, which do nearly all of the work.

The first and last convolutions, the norms around them and the time embedding stay in fp32, as do the text encoder,
the scheduler and the latents: guidance multiplies the rounding errors of what the network predicts, and noise drawn
in half precision would be other noise.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from spellward.errors import EditorError
from spellward.hardware import has_bf16

PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def resolve_precision(precision: str, device: torch.device) -> str:
    """Turns "auto" into the fastest precision of a device that keeps the picture.

    Raises:
        EditorError: For another word.
    """
    if precision == "auto":
        if device.type == "cuda":
            return "fp16"
        return "bf16" if has_bf16(device) else "fp32"
    if precision not in PRECISIONS:
        raise EditorError(f"A diffusion editor runs in auto, {', '.join(PRECISIONS)}; got {precision!r}.")
    return precision


def halve(pipeline: Any, dtype: torch.dtype) -> None:
    """Converts the blocks of a pipeline's networks in place; their surroundings stay in fp32."""
    for network in networks_of(pipeline):
        network.to(memory_format=torch.channels_last)
        if dtype == torch.float32:
            continue
        for name, child in network.named_children():
            blocks = isinstance(child, nn.ModuleList)
            if blocks or name == "mid_block":
                child.to(dtype)
            for part in child.children() if blocks else (child,):
                part.register_forward_pre_hook(_cast_inputs, with_kwargs=True)


def networks_of(pipeline: Any) -> list[nn.Module]:
    """The networks that run once a step or once an image; text encoders run once a prompt and are left alone."""
    vae = pipeline.vae
    backbone = getattr(pipeline, "unet", None) or pipeline.transformer
    return [backbone, *(part for part in (getattr(vae, "encoder", None), getattr(vae, "decoder", None)) if part)]


def _cast_inputs(
    module: nn.Module, arguments: tuple[Any, ...], named: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Brings what enters a part to the part's own dtype, which the pipeline may have changed since (SDXL's VAE)."""
    weight = next(module.parameters(), None)
    if weight is None:
        return arguments, named
    dtype = weight.dtype
    return tuple(_cast(value, dtype) for value in arguments), {k: _cast(v, dtype) for k, v in named.items()}


def _cast(value: Any, dtype: torch.dtype) -> Any:
    if isinstance(value, Tensor):
        return value.to(dtype) if value.is_floating_point() else value
    if isinstance(value, tuple):
        return tuple(_cast(entry, dtype) for entry in value)
    return value
