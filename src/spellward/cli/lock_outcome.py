"""Whether a fresh lock is any good, from the figures that `lock` prints: what its owner should hear of at once."""

from __future__ import annotations

from spellward.locking.measuring.score import Score, WrongKey

UNRELATED = {
    "prompt": "another spell, all else right",
    "salt": "another salt, all else right",
    "no salt": "the right spell without its salt",
    "filter": "a plain filter",
}
"""Kinds of wrong key that must open nothing. Near wordings and other settings with the right salt are none of them:
these come near to the key's own edit, and are no news."""

_OPEN_WITHOUT, _OPEN_WRONGLY = 1 / 3, 1 / 2
"""How far from guessing to the key nothing else may reach. The best of some thirty wrong keys is a maximum, so more is
allowed there: with most locks in benchmarks/results/lock.json it comes up to 0.45 of the way, LP up to 0.04."""
_MENDING = "Train longer (--epochs), on more images, or with another --strength or spell (`spellward suggest`)."


def best_unrelated(score: Score) -> WrongKey:
    """The wrong key that opens most, of the kinds that must open nothing; plain filters are always among them."""
    return max((one for one in score.wrong if one.kind in UNRELATED), key=lambda one: one.accuracy.value)


def weakness(score: Score) -> str | None:
    """One line on what is wrong with a lock, and what to do; `None` if nothing is, as far as its test images tell.

    What counts is the end of a confidence interval that is in the lock's favour, or against it where the key itself
    is judged: with a handful of test images the best of many wrong keys opens something by luck.
    """
    up, best = score.up, best_unrelated(score)
    if up.low <= score.chance:
        return (
            f"Weak lock: the key reaches {up.value:.1%} on {up.count} test images, not clearly more than "
            f"guessing ({score.chance:.1%}). {_MENDING}"
        )
    gained = up.value - score.chance
    for opened, share, who in (
        (score.lp, _OPEN_WITHOUT, "without any key"),
        (best.accuracy, _OPEN_WRONGLY, f"with a wrong key ({UNRELATED[best.kind]})"),
    ):
        if opened.low - score.chance > share * gained:
            return (
                f"Weak lock: {who} the model reaches {opened.value:.1%}, too near to the key's {up.value:.1%} where "
                f"guessing gives {score.chance:.1%}. {_MENDING}"
            )
    return None


def too_few_epochs(given: int, usual: int) -> str | None:
    """One line where fewer than half of the usual epochs were asked for."""
    if 2 * given >= usual:
        return None
    return f"--epochs {given} is little: {usual} are usual for so many images, and are taken if you leave it out."
