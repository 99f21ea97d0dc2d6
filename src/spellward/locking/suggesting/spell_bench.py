"""What one spell does to a few images, as the public backbone sees it."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from torch import Tensor

from spellward.attacks.unlocking.probing import features
from spellward.data import ImageTable
from spellward.data.splits import stratified_cap
from spellward.editors.base import Editor
from spellward.locking.suggesting.candidates import Candidate
from spellward.models import VisionModel

IMAGES = 300
SHOWN = 4
_DEPTHS = (1.0, 0.5)
_HALVES = 4
_SALTED = 60
_A_CLASS = 8
_PENALTIES = (10.0, 100.0, 1000.0, 10000.0)


@dataclass(frozen=True)
class SpellMeasures:
    """What a spell does to images, as the public backbone sees it; nothing is trained but linear probes.

    Attributes:
        strength: The blend it was looked at with.
        kept: A probe fitted and asked on edited images, as a share of one fitted and asked on clean images: the
            content that survives the edit.
        crossed: The probe fitted on edited images, asked on clean ones, as the same share: what a model that was
            trained on nothing but edited images would know about clean ones.
        distance: How far edited images are from clean ones in the backbone's features, in spreads of the clean ones.
        apart: The same from the nearest other candidate; filled in by `suggest`.
        salted: The same from the same spell with another salt.
        change: Root mean square change of a pixel, 0 to 1.
        edges: Correlation of the brightness gradients before and after.
        milliseconds: Of editing one image.
    """

    strength: float
    kept: float
    crossed: float
    distance: float
    apart: float
    salted: float
    change: float
    edges: float
    milliseconds: float


def drawn(labels: np.ndarray, classes: tuple[str, ...], seed: int, images: int = IMAGES) -> np.ndarray:
    """Rows, sorted, of the images that a bench looks at: `images`, or what it takes to learn each class from."""
    return stratified_cap(labels, max(images, _A_CLASS * len(classes)), classes, seed)


class SpellBench:
    """Measures one spell after the other on the same images.

    Args:
        table: Labelled training images; up to `images` of them are used, each class in proportion.
        model: The public base model.
        editor: Edits them, at its default settings but for the strength.
        seed: Of the images, the folds and the salt.
        images: How many images, if that is not too few for a probe to learn each class from.
    """

    def __init__(
        self, table: ImageTable, model: VisionModel, editor: Editor, seed: int = 0, images: int = IMAGES
    ) -> None:
        self._model, self._editor, self._seed = model, editor, seed
        rows = drawn(table.labels, table.classes, seed, images)
        some = table.subset(rows)
        self.images, self._labels = some.images[:], some.labels
        # These salts lock nothing; the key gets one of its own.
        digest = hashlib.sha256(b"spellward suggest" + str(seed).encode()).digest()
        self._salt, self._other_salt = digest[:16], digest[16:]
        self._few = slice(None, None, max(1, len(rows) // _SALTED))
        rng = np.random.default_rng([seed, 0xF01D])
        self._halves = np.stack([rng.permutation(len(rows)) % 2 for _ in range(_HALVES)])
        self._clean = self._views(self.images)
        self._known = max(_probed(self._clean, [self._clean], self._labels, self._halves)[0], 1e-6)
        spread = self._clean.std(axis=0)
        self._spread = spread + spread.mean() + 1e-9  # features that hardly vary must not outweigh all others

    @property
    def known(self) -> float:
        """Accuracy of a probe on clean images: how much the public backbone knows of these data."""
        return self._known

    @property
    def chance(self) -> float:
        """Accuracy of the best constant answer."""
        return float(np.bincount(self._labels).max() / len(self._labels))

    def measure(self, spell: Candidate) -> tuple[SpellMeasures, np.ndarray, Tensor]:
        """Measures a spell.

        Returns:
            The measures with `apart` left at 0, the mean of its images' standardised features float64 [D], and
            pictures of it.
        """
        settings = replace(self._editor.defaults, strength=spell.strength)
        begun = time.perf_counter()
        edited = self._editor.edit(self.images, spell.prompt, self._seed, self._salt, settings)
        seconds = time.perf_counter() - begun
        seen = self._views(edited)
        shift = (seen - self._clean).mean(axis=0) / self._spread
        again = self._views(
            self._editor.edit(self.images[self._few], spell.prompt, self._seed, self._other_salt, settings)
        )
        kept, crossed = _probed(seen, [seen, self._clean], self._labels, self._halves)
        source, result = (one.float().mean(dim=1) / 255 for one in (self.images, edited))
        measures = SpellMeasures(
            strength=spell.strength,
            kept=kept / self._known,
            crossed=crossed / self._known,
            distance=float(np.sqrt(np.mean(shift**2))),
            apart=0.0,
            salted=float(np.sqrt(np.mean(((again - seen[self._few]).mean(axis=0) / self._spread) ** 2))),
            change=float(((edited.float() - self.images.float()) / 255).square().mean().sqrt()),
            edges=_gradient_correlation(source.numpy(), result.numpy()),
            milliseconds=1e3 * seconds / len(edited),
        )
        return measures, shift, edited[:SHOWN]

    def _views(self, images: Tensor) -> np.ndarray:
        return np.concatenate([features(self._model, depth, images) for depth in _DEPTHS], axis=1).astype(np.float64)


def _probed(learnt: np.ndarray, asked: Sequence[np.ndarray], labels: np.ndarray, halves: np.ndarray) -> list[float]:
    """Accuracy of a ridge classifier fitted on one view of half of the images and asked about views of the rest.

    Args:
        learnt: float64 [N, D].
        asked: Views float64 [N, D] of the same images in the same order.
        labels: int64 [N].
        halves: 0 or 1 for each image, [R, N]: R ways to halve them; both halves take turns.

    Returns:
        An accuracy for each view in `asked`.
    """
    from sklearn.linear_model import RidgeClassifierCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    right, judged = np.zeros(len(asked)), 0
    for half in (*halves, *(1 - halves)):
        inside, outside = half == 0, half == 1
        if len(np.unique(labels[inside])) < 2:
            continue
        probe = make_pipeline(StandardScaler(), RidgeClassifierCV(alphas=_PENALTIES))
        probe.fit(learnt[inside], labels[inside])
        judged += int(outside.sum())
        right += [int((probe.predict(view[outside]) == labels[outside]).sum()) for view in asked]
    return [float(one) for one in right / max(judged, 1)]


def _gradient_correlation(before: np.ndarray, after: np.ndarray) -> float:
    """Correlation of the gradients of float [N, H, W], over all pixels."""
    first, second = (np.concatenate([np.diff(one, axis=axis).ravel() for axis in (1, 2)]) for one in (before, after))
    return float(np.corrcoef(first, second)[0, 1]) if first.std() > 0 and second.std() > 0 else 0.0
