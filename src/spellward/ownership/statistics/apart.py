"""Whether victim, references and peers are models of their own.

The residual correlation averages over pairs of two different references, so that what one has of its own drops out. The
same model given twice stands on both sides of a pair, and so do two checkpoints of one run: what they have of their own
then looks like a part of the task, the victim like a model that lacks it, and any innocent model like the victim.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations

import numpy as np

from spellward.errors import DataError
from spellward.ownership.answers.channel import listen, on_equal_terms
from spellward.ownership.answers.outputs import Floats
from spellward.ownership.answers.standardise import standardise

# Squared distance of two models, as a part of that between victim and references. Of models that were trained apart it
# is about one, however alike their data are.
_ONE_MODEL = 0.02
_NOTHING = 1e-9


def check_apart(victim: Floats, models: Mapping[str, Floats]) -> None:
    """Refuses models of which two are all but one, and a victim that says the same of every input.

    Where models tell classes alone, they may well agree on every input, so nothing is said of them.

    Args:
        victim: float64 [N, K] logits or probabilities.
        models: The same of references and peers, by what they are called.

    Raises:
        DataError: If two are, or the victim hangs on no input.
    """
    scores, channel = on_equal_terms([listen(one) for one in (victim, *models.values())])
    own, *others = (_varying(standardise(one)) for one in scores)
    if not float(np.square(own).sum()) > _NOTHING * own.size:
        raise DataError("The victim says the same of every input. Record what it says of images that it tells apart.")
    if channel.kind == "label":
        return
    rows = dict(zip(models, others, strict=True))
    usual = float(np.median([np.square(own - one).sum() for one in others]))
    for name, one in rows.items():
        least = 0.5 * float(np.square(one).sum() + np.square(own).sum())
        limit = _NOTHING * least if len(rows) == 1 else _ONE_MODEL * min(usual, least)
        if float(np.square(own - one).sum()) <= limit:
            raise DataError(f"{name} says all but the same as the victim. Give models that were trained apart from it.")
    for first, second in combinations(rows, 2):
        one, other = rows[first], rows[second]
        # Two that hardly hang on the inputs are near to each other, whoever made them.
        sizes = 0.5 * float(np.square(one).sum() + np.square(other).sum())
        if float(np.square(one - other).sum()) <= _ONE_MODEL * min(usual, sizes):
            raise DataError(
                f"{first} and {second.lower()} say all but the same, as copies of one model do. "
                "Give models that were trained apart, each once."
            )


def _varying(rows: Floats) -> Floats:
    """What of a model's rows hangs on the inputs."""
    varying: Floats = rows - rows.mean(axis=0)
    return varying
