"""What the machine can do, as the machine itself says it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from spellward.hardware import has_bf16

FLAGS = Path("/proc/cpuinfo")


@pytest.mark.skipif(not FLAGS.is_file(), reason="needs Linux")
def test_a_processor_with_bf16_instructions_is_taken_at_its_word() -> None:
    flags = FLAGS.read_text()
    if "amx_bf16" in flags or "avx512_bf16" in flags:
        assert has_bf16(torch.device("cpu"))
    assert not has_bf16(torch.device("meta"))
    if "avx512" not in flags and torch.backends.cpu.get_cpu_capability().startswith("AVX"):
        assert not has_bf16(torch.device("cpu"))
