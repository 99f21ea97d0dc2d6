"""What the machine can do, as the machine itself says it."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from spellward.errors import ModelError
from spellward.hardware import find_device, has_bf16

FLAGS = Path("/proc/cpuinfo")


@pytest.mark.skipif(not FLAGS.is_file(), reason="needs Linux")
def test_a_processor_with_bf16_instructions_is_taken_at_its_word() -> None:
    flags = FLAGS.read_text()
    if "amx_bf16" in flags or "avx512_bf16" in flags:
        assert has_bf16(torch.device("cpu"))
    assert not has_bf16(torch.device("meta"))
    if "avx512" not in flags and torch.backends.cpu.get_cpu_capability().startswith("AVX"):
        assert not has_bf16(torch.device("cpu"))


_FAULTS = """
import resource, sys, torch
from spellward.hardware import keep_freed_memory
kept = keep_freed_memory() if sys.argv[1] == "keep" else False
def blocks():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(8):
        torch.ones(25_000_000)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
blocks()
print(int(kept), blocks())
"""


def _page_faults(way: str, **environment: str) -> tuple[bool, int]:
    """Whether memory is kept, and the page faults of eight blocks of 100 MB after eight others."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("MALLOC_", "GLIBC_"))}
    command = [sys.executable, "-c", _FAULTS, way]
    done = subprocess.run(command, env=clean | environment, capture_output=True, text=True, check=True)
    kept, faults = done.stdout.split()
    return kept == "1", int(faults)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="needs the GNU C library")
def test_memory_that_was_freed_is_used_again_unless_the_user_has_decided_otherwise() -> None:
    kept, faults = _page_faults("keep")
    assert kept
    # One of the eight may still lie elsewhere, by what else the process holds.
    assert 4 * faults < _page_faults("plain")[1]
    assert _page_faults("keep", MALLOC_MMAP_MAX_="65536")[0] is False


def test_devices_are_found_by_name() -> None:
    assert find_device("cpu").type == "cpu"
    assert find_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")
    for name in ("gpu", "cuda:99", ""):
        with pytest.raises(ModelError, match="There is no device"):
            find_device(name)
