"""The bundled editor, its network, sampler, text encoder, weights and training."""

from spellward.editors.mini.editor import MiniEditor

__all__ = ["MiniEditor"]
