"""Other tests of ownership, for comparison: each a function from a `Case` to a `Finding`, entered here by name.

They are kept as published, with their flaws: none asks whether a suspect makes sense.
"""

from spellward.ownership.baselines.agreement import agreement
from spellward.ownership.baselines.akh import akh
from spellward.ownership.baselines.dataset_inference import dataset_inference
from spellward.ownership.baselines.holmes import holmes
from spellward.ownership.statistics.case import Method

BASELINES: dict[str, Method] = {
    "holmes": holmes,
    "dataset-inference": dataset_inference,
    "akh": akh,
    "agreement": agreement,
}

__all__ = ["BASELINES"]
