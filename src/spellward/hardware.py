"""What the machine can do."""

from __future__ import annotations

import torch


def has_bf16(device: torch.device) -> bool:
    """Whether a device is known to compute in bf16 by instructions of its own; without them bf16 is slower than fp32.

    Many laptops' processors have none: there the bundled editor is several times faster in fp32.
    """
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported())
    return device.type == "cpu" and bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
