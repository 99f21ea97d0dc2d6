"""torch.compile for the network that runs at every step.

On a CPU its weights are frozen as well: in the plain loop every convolution brings them into the order that the
processor's matrix units want, step by step, which costs more than a single image's arithmetic. The VAE runs once an
image and got slower compiled.
"""

from __future__ import annotations

import os
import shutil
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import nn

from spellward.errors import EditorError

VARIABLE = "SPELLWARD_COMPILE"


def compiled_by_default() -> bool:
    """Whether the environment asks for compiled editors."""
    return os.environ.get(VARIABLE, "").strip().casefold() not in ("", "0", "false", "no", "off")


def compile_network(network: nn.Module, device: torch.device) -> None:
    """Compiles a network in place; the work itself is done when it first runs.

    Raises:
        EditorError: On a CPU without a C++ compiler.
    """
    compiler = os.environ.get("CXX") or "g++"
    if device.type == "cpu" and shutil.which(compiler) is None:
        raise EditorError(
            f"Compiling an editor for a CPU needs a C++ compiler, and there is no {compiler} here. "
            f"Install one, name it in CXX, or leave {VARIABLE} out."
        )
    # A size that comes again is compiled for; a network for all sizes would be slower at each.
    network.compile(dynamic=False)


def frozen(compiled: bool, device: torch.device) -> AbstractContextManager[None]:
    """Within it, what is compiled for a CPU keeps the weights in the order that it uses them in."""
    if not compiled or device.type != "cpu":
        return nullcontext()
    import torch._inductor.config

    patched: AbstractContextManager[None] = torch._inductor.config.patch(freezing=True)
    return patched
