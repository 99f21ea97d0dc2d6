"""Holmes as published (arXiv 2507.00724): a meta-classifier of output differences, and its own test.

Its flaws are kept here on purpose: p-values that depend on the temperature and on the
seed, nonsense that is flagged, a scaler that is refitted on each suspect, rows that are trained and tested on.
"""

from __future__ import annotations

import warnings

import numpy as np
from scipy import stats
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import RobustScaler

from spellward.errors import DataError
from spellward.ownership.answers.channel import Told
from spellward.ownership.answers.outputs import Floats
from spellward.ownership.statistics.case import Case, Finding, ruled

_SAMPLES = 100
_REPETITIONS = 40
_EPOCHS = 200
# Of the logarithm of a probability of zero.
_LEAST = -30.0


def holmes(case: Case) -> Finding:
    """Classifies the suspect's differences from the poisoned shadow as the victim's or the benign shadow's.

    Section 4 of the paper: differences are L2-normalised and robust-scaled, an MLP (K -> K/2 -> K/4 -> 2) tells V - P
    from B - P, and a one-sided t-test asks whether P(stolen) exceeds P(benign) on 100 rows; the harmonic mean of 40
    such p-values is the p-value, the mean difference the effect. The benign shadow is the first reference.

    Raises:
        DataError: If there is no poisoned shadow.
    """
    if case.poisoned is None:
        raise DataError(
            "The method holmes needs the outputs of a poisoned shadow. Make the claim with --shadows, or give them as "
            "--poisoned of verify-outputs."
        )
    poisoned = _finite(case.poisoned)
    stolen = _scaled(_finite(case.victim) - poisoned)
    benign = _scaled(_finite(case.references[0]) - poisoned)
    classes = poisoned.shape[1]
    network = MLPClassifier(
        (max(2, classes // 2), max(2, classes // 4)), max_iter=_EPOCHS, random_state=case.seed, tol=0.0
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        network.fit(np.concatenate([stolen, benign]), np.repeat([1, 0], len(stolen)))
    chances = network.predict_proba(_scaled(_finite(case.suspect) - poisoned))
    random = np.random.default_rng(case.seed)
    p_values, differences = [], []
    for _ in range(_REPETITIONS):
        rows = random.choice(len(chances), min(_SAMPLES, len(chances)), replace=False)
        p_values.append(_p_of_greater(chances[rows, 1], chances[rows, 0]))
        differences.append(float((chances[rows, 1] - chances[rows, 0]).mean()))
    p_value = float(stats.hmean(np.maximum(p_values, 1e-300)))
    effect = float(np.mean(differences))
    return ruled(
        p_value, effect, case.alpha, f"The meta-classifier's mean difference is {effect:+.3f}, p = {p_value:.2g}."
    )


def _finite(told: Told) -> Floats:
    return np.maximum(told.scores, _LEAST) if np.isneginf(told.scores).any() else told.scores


def _scaled(differences: Floats) -> Floats:
    lengths = np.linalg.norm(differences, axis=1, keepdims=True)
    scaled: Floats = RobustScaler().fit_transform(differences / np.maximum(lengths, 1e-12))
    return scaled


def _p_of_greater(first: Floats, second: Floats) -> float:
    """Student's t-test; two constant samples have no t, but an order."""
    if np.ptp(first) < 1e-12:
        return 0.0 if first[0] > second[0] else 1.0
    return float(stats.ttest_ind(first, second, alternative="greater").pvalue)
