"""What the machine can do, and what it has to be told."""

from __future__ import annotations

import contextlib
import ctypes
import functools
import os
import sys
from collections.abc import Iterator

import torch

from spellward.errors import ModelError

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX = -1, -2, -4
"""Options of `mallopt` (malloc.h of the GNU C library)."""
_MOST, _AHEAD = 2**31 - 1, 2**26


def find_device(name: str) -> torch.device:
    """A device by its name; "auto" is the GPU if there is one, and else the processor.

    Raises:
        ModelError: If this machine has no such device.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:  # a build without CUDA asserts
        raise ModelError(f"There is no device {name!r} here. Take auto, cpu, or cuda with a GPU.") from error
    return device


def has_bf16(device: torch.device) -> bool:
    """Whether a device is known to compute in bf16 by instructions of its own; without them bf16 is slower than fp32.

    Many laptops' processors have none: there the bundled editor is several times faster in fp32.
    """
    if device.type == "cuda":
        return torch.cuda.is_available() and bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type != "cpu" or not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        return False
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


@contextlib.contextmanager
def power_of_two_threads() -> Iterator[None]:
    """Has torch compute with the largest power of two of its threads.

    Three threads split a batch of four images within an image, and kernels round otherwise on the two sides.
    """
    before = torch.get_num_threads()
    fewer = 1 << (before.bit_length() - 1)
    if fewer == before:  # setting it takes a moment
        yield
        return
    torch.set_num_threads(fewer)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@functools.cache
def keep_freed_memory() -> bool:
    """Has this process keep memory that was freed, up to 2 GB, instead of handing every large block back to the system.

    The GNU C library maps blocks of 32 MB and more anew each time, and the system fills each page with zeros when it is
    first touched. The activations of a lock's batches are such blocks, those of an ordinary fine-tune's smaller ones
    are not. Where the user has set how memory is allocated, nothing is changed.

    Returns:
        Whether it does: only on Linux with the GNU C library, and always the same answer in one process.
    """
    chosen = [name for name in os.environ if name.startswith("MALLOC_") or name == "GLIBC_TUNABLES"]
    if sys.platform != "linux" or chosen:
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    return all(mallopt(*one) == 1 for one in ((_MMAP_MAX, 0), (_TRIM_THRESHOLD, _MOST), (_TOP_PAD, _AHEAD)))
