"""What a thief may do to the answers of a stolen model before anyone sees them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.special import log_softmax, softmax


def temperature(scores: np.ndarray, seed: int = 0) -> np.ndarray:
    """Scores divided by two: less sure, the same answers."""
    return 0.5 * scores


def sharpening(scores: np.ndarray, seed: int = 0) -> np.ndarray:
    """Scores times two."""
    return 2.0 * scores


def probabilities(scores: np.ndarray, seed: int = 0) -> np.ndarray:
    """Softmax."""
    return np.asarray(softmax(scores, axis=1))


def rounding(scores: np.ndarray, seed: int = 0) -> np.ndarray:
    """Probabilities with three decimals."""
    return np.asarray(np.round(softmax(scores, axis=1), 3))


def label_only(scores: np.ndarray, seed: int = 0) -> np.ndarray:
    """The class and nothing else, int64 [N]."""
    return np.asarray(scores.argmax(axis=1))


def noise(scores: np.ndarray, seed: int = 0) -> np.ndarray:
    """Log-probabilities with Gaussian noise of a tenth of their spread."""
    clean = log_softmax(scores, axis=1)
    return np.asarray(clean + 0.1 * clean.std() * np.random.default_rng(seed).standard_normal(clean.shape))


DISGUISES: dict[str, Callable[..., np.ndarray]] = {
    "temperature": temperature,
    "sharpening": sharpening,
    "probabilities": probabilities,
    "rounding": rounding,
    "label-only": label_only,
    "noise": noise,
}
"""Name to a function from float [N, K] logits to what is shown."""
