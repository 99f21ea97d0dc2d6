"""The null over models: its floor, and what references and peers add to it."""

from __future__ import annotations

import numpy as np
import pytest

from spellward.ownership.statistics.null import fit_null
from spellward.ownership.statistics.statistic import Likeness


def test_the_null_has_a_floor_and_grows_with_what_references_show() -> None:
    alike = [Likeness(0.0, 0.0)] * 12
    apart = [Likeness(value, 0.0) for value in np.linspace(-0.4, 0.4, 12)]
    assert fit_null(alike, 12, 0.0).threshold(0.01) > 0.14
    assert fit_null(apart, 12, 0.0).threshold(0.01) > fit_null(alike, 12, 0.0).threshold(0.01) + 0.2
    assert fit_null(alike, 12, 0.2).threshold(0.01) > fit_null(alike, 12, 0.0).threshold(0.01) + 0.2
    # So far apart, they say alone how independent models spread: the prior was measured on others.
    assert fit_null(apart, 12, 0.0).freedom == pytest.approx(11, abs=0.5)
    assert fit_null(apart, 12, 0.0).spread == pytest.approx(np.std(np.linspace(-0.4, 0.4, 12), ddof=1), rel=0.1)
    null = fit_null(apart, 12, 0.05)
    assert null.p_value(null.threshold(0.01)) == pytest.approx(0.01)


def test_peers_spread_as_they_are_and_left_out_references_a_little_more() -> None:
    apart = [Likeness(value, 0.0) for value in (-0.3, -0.1, 0.1, 0.3)]
    peers, left_out = fit_null(apart, 4, 0.0, left_out=False), fit_null(apart, 4, 0.0)
    assert peers.spread > left_out.spread and peers.threshold(0.01) > left_out.threshold(0.01)
