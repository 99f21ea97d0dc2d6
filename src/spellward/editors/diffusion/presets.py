"""What each kind of pipeline is run with if the caller does not say."""

from __future__ import annotations

from typing import Any

from spellward.editors.base import EditSettings

INSTRUCT_PIX2PIX = "timbrooks/instruct-pix2pix"
PUBLISHED_SEED = 1024
"""The seed of every image's generator in ModelLock's released evaluation code."""

# ModelLock, released evaluation code: 256 px, 5 steps, text guidance 4.5, image guidance 1.5, a = 0.5.
_PUBLISHED = EditSettings(steps=5, guidance=4.5, image_guidance=1.5, strength=0.5)
_PUBLISHED_RESOLUTION = 256
_IMAGE_TO_IMAGE = EditSettings(steps=20, guidance=7.5, image_guidance=1.0, strength=1.0)
# Turbo models were distilled for few steps without guidance (their model cards).
_TURBO = EditSettings(steps=4, guidance=1.0, image_guidance=1.0, strength=1.0)


def defaults_of(pipeline: Any, follows_instructions: bool) -> tuple[EditSettings, int]:
    """Settings and resolution (pixels) for a pipeline; one that follows instructions gets ModelLock's."""
    if follows_instructions:
        return _PUBLISHED, _PUBLISHED_RESOLUTION
    # Turbo and other distilled models are told by this spacing; the others of their families use "leading".
    turbo = pipeline.scheduler.config.get("timestep_spacing") == "trailing"
    backbone = getattr(pipeline, "unet", None) or pipeline.transformer
    side = backbone.config.get("sample_size") or 64
    side = side if isinstance(side, int) else min(side)
    return (_TURBO if turbo else _IMAGE_TO_IMAGE), side * int(pipeline.vae_scale_factor)
