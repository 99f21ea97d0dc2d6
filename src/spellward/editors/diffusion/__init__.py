"""Editors made of diffusers pipelines: loading, half precision, prompt embeddings, and the editor itself."""

from spellward.editors.diffusion.editor import DiffusionEditor
from spellward.editors.diffusion.presets import INSTRUCT_PIX2PIX, PUBLISHED_SEED

__all__ = ["INSTRUCT_PIX2PIX", "PUBLISHED_SEED", "DiffusionEditor"]
