"""Any spec to a model, batched outputs, and the one `fit`."""

from spellward.models.batches import Batch, ExampleSource
from spellward.models.checkpoint import load_checkpoint, network_digest, save_checkpoint, state_digest
from spellward.models.fit import FitResult, fit
from spellward.models.fit_settings import FitSettings
from spellward.models.kept import fit_once
from spellward.models.specs import load_model
from spellward.models.vision import VisionModel, logits_of, logits_of_output

__all__ = [
    "Batch",
    "ExampleSource",
    "FitResult",
    "FitSettings",
    "VisionModel",
    "fit",
    "fit_once",
    "load_checkpoint",
    "load_model",
    "logits_of",
    "logits_of_output",
    "network_digest",
    "save_checkpoint",
    "state_digest",
]
