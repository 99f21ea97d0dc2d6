"""Names and weights of timm's models, for classifiers and for backbones of segmentation."""

from __future__ import annotations

from typing import Any

from torch import nn

from spellward.errors import ModelError
from spellward.models.pretrained import no_hub_noise


def timm_architecture(name: str) -> str:
    """The architecture in "timm/NAME", with its weights' tag.

    Raises:
        ModelError: If timm has no such model.
    """
    import timm

    architecture = name.removeprefix("timm/")
    if architecture.split(".")[0] not in timm.list_models():
        raise ModelError(f"timm has no model {architecture!r}; `timm.list_models()` lists them.")
    return architecture


def pretrained_timm(architecture: str, **arguments: Any) -> nn.Module:
    """A timm model with its pretrained weights, from the Hub or its cache.

    Raises:
        ModelError: If they cannot be fetched.
    """
    import timm

    with no_hub_noise():
        try:
            network: nn.Module = timm.create_model(architecture, pretrained=True, **arguments)
        except Exception as error:  # network and Hub errors have no common base
            raise ModelError(
                f"The weights of timm/{architecture} cannot be fetched: the Hub is out of reach and they are not "
                "in its cache. Go online once, name a local folder, or add '?random'."
            ) from error
    return network
