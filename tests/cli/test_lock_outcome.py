"""What `lock` says of a lock that is not worth much, from its score alone."""

from __future__ import annotations

import pytest

from spellward.cli.lock_outcome import UNRELATED, best_unrelated, too_few_epochs, weakness
from spellward.locking.measuring.metrics import share
from spellward.locking.measuring.score import Score, ScoreSettings, WrongKey


def score(up: int = 850, lp: int = 100, wrong: int = 200, kind: str = "salt", count: int = 1000) -> Score:
    """Hits of `count` images; other wrong keys open nothing, and a near wording as much as the key does."""
    keys = (
        WrongKey("filter", "grey", share(count // 10, count)),
        WrongKey("wording", "near wording 1", share(up, count)),
    )
    return Score(
        up=share(up, count),
        lp=share(lp, count),
        argmin=share(0, count),
        leak=share(0, count),
        vanilla=None,
        wrong=(*keys, WrongKey(kind, "sepia tones", share(wrong, count))),
        chance=0.1,
        settings=ScoreSettings(),
    )


@pytest.mark.parametrize("kind", UNRELATED)
def test_the_best_wrong_key_is_one_that_must_open_nothing(kind: str) -> None:
    assert best_unrelated(score(kind=kind)).kind == kind
    for near in ("wording", "strength", "seed", "steps"):
        assert best_unrelated(score(kind=near)).what == "grey"


def test_of_a_good_lock_nothing_is_said() -> None:
    assert weakness(score()) is None
    assert weakness(score(wrong=450)) is None
    assert weakness(score(wrong=850, kind="wording")) is None
    # Of nine images the best of many wrong keys gets some by luck.
    assert weakness(score(up=8, lp=1, wrong=5, count=9)) is None


@pytest.mark.parametrize(
    ("weak", "says"),
    [
        (score(up=110, wrong=100), "the key reaches 11.0% on 1000 test images, not clearly more than guessing (10.0%)"),
        (score(up=487, lp=327), "without any key the model reaches 32.7%, too near to the key's 48.7%"),
        (score(wrong=600), "with a wrong key (another salt, all else right) the model reaches 60.0%"),
        (score(wrong=600, kind="filter"), "(a plain filter)"),
        (score(wrong=600, kind="prompt"), "(another spell, all else right)"),
    ],
)
def test_a_weak_lock_is_called_one_with_what_to_do(weak: Score, says: str) -> None:
    text = weakness(weak)
    assert text is not None and says in text and "\n" not in text
    assert text.startswith("Weak lock: ") and all(way in text for way in ("--epochs", "images", "--strength"))
    assert "sepia tones" not in text


def test_fewer_than_half_of_the_usual_epochs_are_few() -> None:
    assert too_few_epochs(40, 79) is None and too_few_epochs(100, 79) is None
    assert "79 are usual" in (too_few_epochs(39, 79) or "")
