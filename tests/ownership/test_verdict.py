from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spellward.errors import DataError
from spellward.ownership.verdict import Control, Descent, Verdict

numbers = st.none() | st.floats(allow_nan=False, allow_infinity=False)
rulings = st.sampled_from(["stolen", "not shown", "inconclusive"])
controls = st.builds(Control, st.text(), rulings, numbers, numbers)
finite = st.floats(allow_nan=False, allow_infinity=False)
descents = st.builds(Descent, finite, finite, finite, finite, st.lists(finite, max_size=3).map(tuple))
verdicts = st.builds(
    Verdict,
    verdict=rulings,
    p_value=numbers,
    effect=numbers,
    queries=st.integers(0, 10**9),
    reason=st.text(),
    method=st.text(),
    threshold=numbers,
    best_p_value=numbers,
    queries_needed=st.none() | st.integers(1, 10**9),
    channel=st.none() | st.text(),
    controls=st.lists(controls, max_size=3).map(tuple),
    weights=st.none() | descents,
)


@given(verdicts)
def test_the_round_trip_is_exact(verdict: Verdict) -> None:
    assert Verdict.from_json(verdict.to_json()) == verdict


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_a_verdict_holds_finite_numbers_only(value: float) -> None:
    with pytest.raises(ValueError, match="finite"):
        Verdict("stolen", value, None, 1, "", "")
    with pytest.raises(ValueError, match="finite"):
        Verdict("stolen", 0.1, None, 1, "", "", weights=Descent(0.1, 0.5, 0.2, 0.001, (value,)))


def test_other_json_is_refused() -> None:
    record = Verdict("stolen", 0.001, 0.9, 100, "why", "spellward/6").to_record()
    for text in (
        "",
        "[]",
        "{}",
        json.dumps({**record, "more": 1}),
        json.dumps({**record, "verdict": "guilty"}),
        json.dumps({**record, "weights": {}}),
    ):
        with pytest.raises(DataError):
            Verdict.from_json(text)


def test_fields_of_another_kind_are_refused() -> None:
    record = Verdict("stolen", 0.001, 0.9, 100, "why", "spellward/6", controls=(Control("copy", "stolen"),)).to_record()
    control = record["controls"][0]
    for wrong in ({"queries": "many"}, {"reason": None}, {"controls": [{**control, "more": 1}]}, {"p_value": True}):
        with pytest.raises(DataError):
            Verdict.from_json(json.dumps({**record, **wrong}))
    with pytest.raises(DataError):
        Verdict.from_json("[" * 100_000)
