"""Nearness to the victim: the test for one reference, and for victims that have little of their own.

For an independent suspect S, victim V and reference B are exchangeable: S is as far from the one as from the other,
and about as far as these are from one another. With the squared distances of standardised rows, a copy has
d(S, V) = 0; an independent suspect has d(S, V) about d(V, B) and d(S, B). But one or two references do not tell how
much models differ in size of what is their own: with a poor reference a good independent model is nearer to a good
victim. Hence a margin: a suspect is flagged only if d(S, V) is below `NEAR` times all other distances. On a small zoo
(CNNs and MLPs on Fashion-MNIST, each of 8 references by itself) independent models had at least 0.53 of the smaller
one, fine-tuned copies at most 0.15; beside references that had learnt digits from 30 to 120 images, and were right on
37 to 55 % where victim and suspects were right on 96, independent models had 0.14 to 0.31. The p-value is over rows and
says how sure the distance is below the margin; that the margin is right is what so few references cannot show.

With several references it finds near copies where the residual correlation has no null to stand on: of victims that
look like the mean of their references. There the danger is greatest, since good models lie between poor references and
near one another. So the references' consensus, a better model than any of them, counts as one more reference: to be
accused, an innocent model and the victim would both have to have hardly a hundredth of a reference's own part (with 3
references, half a hundredth with 12).

It also stands beside the residual correlation where that has to allow for models that are better than the references,
which takes its power. There the correlation asks which way a suspect stands from the references, and nearness how far
from the victim, and two innocent models remain apart by what each has of its own, however right both are. With the
consensus among the references innocent models had at least 0.76 of the smallest other distance in small worlds
(benchmarks/small_worlds.py, victims 0 to 2), 0.59 where three references had learnt from a sixth of the victim's
images, and 0.41 in a simulation with three classes, three references, and a sixth of these' variance in all others;
copies had at most 0.11 and fine-tuned ones 0.39. So the margin there is `BESIDE`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from spellward.ownership.answers.outputs import Floats
from spellward.ownership.answers.standardise import standardise

NEAR = 0.1
BESIDE = 0.25
# Between margin and this, few references do not tell a distilled copy from a good independent model.
CLEAR = 0.6
_SAME = 1e-4
_BLOCKS = 20
_LEAST_BLOCKS = 5
_BLOCK_ROWS = 4


@dataclass(frozen=True)
class Nearness:
    """How near a suspect is to the victim.

    Attributes:
        ratio: d(S, V) over the smallest of all d(V, B) and d(S, B), squared distances; 0 for a copy.
        p_value: Of d(S, V) being no smaller than the margin times one of these, over rows.
        rows: How many rows told anything.
    """

    ratio: float
    p_value: float
    rows: int

    @property
    def p_of_identity(self) -> float:
        """p-value where suspect and victim say the same: of an independent model half of the rows would be otherwise.

        It holds however unevenly the distances to others are spread, which on few rows leaves `p_value` nothing to go
        by. 1 where they do not say the same, or on hardly any rows.
        """
        return 0.5**self.rows if self.ratio <= _SAME and self.rows >= _LEAST_BLOCKS * _BLOCK_ROWS else 1.0


def nearness(
    victim: Floats,
    references: Sequence[Floats],
    suspect: Floats,
    detailed: np.ndarray,
    seed: int = 0,
    margin: float = NEAR,
) -> Nearness:
    """Measures how near a suspect is to the victim.

    Args:
        victim, suspect: float64 [N, C], standardised rows.
        references: One or more of the same shape.
        detailed: bool [N]: rows where the victim tells more than its class. Where it does not, another good model
            tells the same by being right.
        seed: Of the blocks.
        margin: What the ratio has to be below.
    """
    rows = np.flatnonzero(detailed)
    rows = np.random.default_rng(seed).permutation(rows)
    blocks = min(_BLOCKS, len(rows) // _BLOCK_ROWS)
    if blocks < _LEAST_BLOCKS:
        return Nearness(1.0, 1.0, len(rows))
    to_victim = ((suspect - victim)[rows] ** 2).sum(axis=1)
    others = [((one - other)[rows] ** 2).sum(axis=1) for one in (victim, suspect) for other in references]
    least = min(float(other.sum()) for other in others)
    if least <= 0.0:
        return Nearness(1.0, 1.0, len(rows))
    # All have to be exceeded, so the largest p-value holds (intersection-union test).
    p_value = max(_p_of_positive(margin * other - to_victim, blocks) for other in others)
    return Nearness(float(to_victim.sum()) / least, p_value, len(rows))


def consensus(references: Sequence[Floats]) -> Floats:
    """Mean of standardised rows, brought back to their size: float64 [N, C]."""
    mean: Floats = np.mean(references, axis=0)
    return mean if mean.shape[1] == 1 else standardise(mean)


def _p_of_positive(values: Floats, blocks: int) -> float:
    """One-sided t-test of means of blocks: rows are far from normal, and a few hold most of the distance."""
    means = np.array([block.mean() for block in np.array_split(values, blocks)])
    error = float(means.std(ddof=1)) / np.sqrt(blocks)
    if error <= 1e-12 * abs(float(means.mean())):
        return 0.0 if means.mean() > 0 else 1.0
    return float(stats.t.sf(means.mean() / error, blocks - 1))
