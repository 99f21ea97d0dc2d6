"""Dataset Inference (Maini et al., ICLR 2021), as far as recorded outputs allow.

The original measures by random walks how far each private input lies from the decision boundaries; a model that was
trained on these inputs keeps them further away. Recorded outputs hold no walks, so the margin between the two likeliest
classes stands for the distance here. Like the original it accuses independent models of the same distribution.
"""

from __future__ import annotations

import numpy as np
from scipy import stats

from spellward.ownership.answers.channel import on_equal_terms
from spellward.ownership.answers.outputs import Floats
from spellward.ownership.statistics.case import Case, Finding, ruled


def dataset_inference(case: Case) -> Finding:
    """Asks whether the suspect's margins on the victim's inputs exceed the references': paired one-sided t-test.

    The effect is the mean difference in units of the references' standard deviation.
    """
    scores, _ = on_equal_terms([case.victim, *case.references, case.suspect])
    _, *references, suspect = [_margins(one) for one in scores]
    usual = np.mean(references, axis=0)
    differences = suspect - usual
    effect = float(differences.mean() / max(float(usual.std()), 1e-12))
    if np.ptp(differences) < 1e-12:
        p_value = 1.0 if differences[0] <= 0 else 0.0
    else:
        p_value = float(stats.ttest_1samp(differences, 0.0, alternative="greater").pvalue)
    return ruled(
        p_value, effect, case.alpha, f"Margins differ by {effect:+.2f} standard deviations, p = {p_value:.2g}."
    )


def _margins(scores: Floats) -> Floats:
    """Difference between the two largest scores of each row, [N], in units of the model's own spread of scores."""
    top = np.sort(scores, axis=1)[:, -2:]
    spread = float((scores - scores.mean(axis=1, keepdims=True)).std())
    margins: Floats = (top[:, 1] - top[:, 0]) / max(spread, 1e-12)
    return margins
