"""Whole verdicts on made-up models: innocents, copies, weaker copies, and nonsense."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import torch
from tests.ownership.simulator import World, softmax, world

from spellward.errors import DataError
from spellward.ownership import METHODS, Control, Verdict, judge

WORLDS = [
    {"rows": rows, "classes": classes, "references": references, "seed": seed, **kind}
    for seed, (rows, classes, references) in enumerate(
        [(100, 2, 1), (100, 10, 1), (300, 3, 2), (100, 10, 3), (100, 2, 6), (120, 50, 2), (250, 10, 12), (100, 5, 4)]
    )
    for kind in ({"kin": 0.15}, {"kin": 0.1, "sharpness": 12.0}, {"own": 1.2, "sharpness": 15.0})
]


@pytest.fixture(params=WORLDS, ids=str)
def made(request: pytest.FixtureRequest) -> World:
    return world(**request.param)


def test_innocents_are_never_accused(made: World) -> None:
    for seed in range(3):
        innocent = made.innocent(seed)
        for suspect in (innocent, 0.5 * innocent, softmax(2 * innocent), np.round(softmax(innocent), 3)):
            assert judge(made.victim, made.references, suspect).verdict != "stolen"
    assert judge(made.victim, made.references, made.innocent().argmax(axis=1)).verdict != "stolen"
    for reference in made.references[:4]:
        assert judge(made.victim, made.references, 0.5 * reference).verdict != "stolen"


def test_copies_are_found(made: World) -> None:
    noise = np.random.default_rng(0).standard_normal(made.victim.shape)
    for suspect in (
        made.victim,
        0.5 * made.victim,
        2 * made.victim,
        softmax(made.victim).astype(np.float32),
        made.victim + 0.1 * made.own * noise,
    ):
        assert judge(made.victim, made.references, suspect).verdict == "stolen"


@pytest.mark.parametrize("references", [1, 3, 8])
def test_a_copy_may_answer_in_per_cent(references: int) -> None:
    made = world(references=references)
    shares = softmax(made.victim)
    for suspect in (100 * shares, np.round(100 * shares, 1), 3 * shares):
        assert judge(made.victim, made.references, suspect).verdict == "stolen"
    assert judge(made.victim, made.references, 100 * softmax(made.innocent())).verdict != "stolen"


@pytest.mark.parametrize("whole", [1, 100])
def test_shares_of_the_claims_classes_alone_are_shares(whole: int) -> None:
    """A suspect with one class more, whose column was left out."""
    made = world(references=8)
    junk = np.random.default_rng(0).uniform(0.0, 0.05, len(made.victim))
    shares = whole * softmax(made.victim) * (1 - junk)[:, None]
    for suspect in (shares, np.round(shares, 2)):
        assert judge(made.victim, made.references, suspect).verdict == "stolen"
    innocent = whole * softmax(made.innocent()) * (1 - junk)[:, None]
    assert judge(made.victim, made.references, innocent).verdict != "stolen"


@pytest.mark.parametrize(("rows", "own", "sharpness"), [(20, 0.4, 4.0), (60, 0.4, 6.0), (150, 0.3, 8.0)])
def test_a_few_rows_that_outweigh_all_others_accuse_nobody(rows: int, own: float, sharpness: float) -> None:
    accused = 0
    for seed in range(60):
        made = world(rows, 3, 3, own=own, sharpness=sharpness, seed=70000 + seed)
        verdict = judge(made.victim, made.references, made.innocent(), opinions_count=True, seed=seed)
        accused += verdict.verdict == "stolen"
    assert accused == 0


def test_what_is_alike_but_not_enough_is_no_acquittal() -> None:
    made = world(rows=150, references=3, seed=2)
    weak = judge(made.victim, made.references, made.related(0.8))
    assert weak.effect is not None and weak.threshold is not None and 0.5 < weak.effect < weak.threshold
    assert weak.verdict == "inconclusive" and "by chance or by theft" in weak.reason


def test_answers_of_pytorch_are_taken_as_they_come() -> None:
    made = world()
    tensor = torch.from_numpy(made.victim).requires_grad_()
    plain = judge(made.victim, made.references, made.victim)
    assert judge(tensor, list(map(torch.from_numpy, made.references)), tensor).verdict == plain.verdict
    assert judge(made.victim, np.stack(made.references), tensor.bfloat16()).verdict == "stolen"
    with pytest.raises(DataError, match="a list of arrays"):
        judge(made.victim, made.references[0], made.victim)  # type: ignore[arg-type]


def test_of_two_classes_the_second_one_s_probability_will_do() -> None:
    made = world(rows=400, classes=2, references=4)
    whole = softmax(made.victim)
    for column in (whole[:, 1], whole[:, 1:]):
        found, wanted = (judge(made.victim, made.references, one) for one in (column, whole))
        assert found.verdict == wanted.verdict == "stolen" and found.effect == pytest.approx(wanted.effect)


def better(made: World, model: np.ndarray, share: float) -> np.ndarray:
    """A model with this share of its own part left: nearer to what all models of the task have in common."""
    return made.common + share * (model - made.common)


@pytest.mark.parametrize("references", [3, 6, 12])
@pytest.mark.parametrize("share", [0.2, 0.5])
def test_models_that_are_better_than_the_references_are_not_accused_for_it(references: int, share: float) -> None:
    """A plain residual correlation takes it for a likeness that both stand away from the references."""
    for seed in range(8):
        made = world(rows=150, references=references, own=1.2, seed=seed)
        victim = better(made, made.victim, 0.6)
        assert judge(victim, made.references, better(made, made.innocent(), share)).verdict != "stolen"
        assert judge(victim, made.references, np.round(softmax(2 * victim), 4)).verdict == "stolen"


def test_near_copies_are_found_where_only_they_can_be() -> None:
    """Few references and classes, and a victim without much of its own: there is no null for anything weaker."""
    near = 0
    for seed in range(20):
        made = world(rows=150, classes=3, references=3, seed=seed)
        victim = better(made, made.victim, 0.4)
        copy = judge(victim, made.references, np.round(softmax(2 * victim), 4))
        equal = judge(victim, made.references, better(made, made.innocent(), 0.4))
        assert copy.verdict == "stolen" and equal.verdict != "stolen"
        if "far nearer" in copy.reason:
            near += 1
            assert "only show a near copy" in equal.reason and equal.verdict == "inconclusive"
            weaker = judge(victim, made.references, better(made, made.related(0.6), 0.4))
            assert weaker.verdict == "inconclusive"
    assert near >= 5


def nonsense(made: World) -> dict[str, tuple[np.ndarray, str]]:
    """Suspect and a word of the cause, by name."""
    random = np.random.default_rng(1)
    victim = made.victim
    holed = victim.copy()
    holed[3, 0] = np.nan
    return {
        "zero": (np.zeros_like(victim), "same for every class"),
        "constant": (np.tile(victim[:1], (len(victim), 1)), "constant"),
        "one class": (np.zeros(len(victim)), "constant"),
        "random": (random.standard_normal(victim.shape), "no fidelity"),
        "shuffled": (random.permutation(victim), "shuffled"),
        "shuffled innocent": (random.permutation(made.innocent()), "shuffled"),
        "class order": (np.roll(victim, 1, axis=1), "another order"),
        "two classes swapped": (victim[:, [1, 0, *range(2, victim.shape[1])]], "2 of"),
        "NaN": (holed, "NaN"),
        "infinite": (np.where(victim > 3, np.inf, victim), "infinite"),
        "fewer classes": (victim[:, :-1], "classes" if victim.shape[1] > 2 else "class number"),
        "more classes": (np.hstack([victim, victim]), "more classes"),
        "fewer rows": (victim[:-1], "shape"),
        "image": (victim[:, :, None], "shape"),
        "text": (np.full(victim.shape, "cat"), "not numbers"),
        "empty": (victim[:0], "shape"),
        "foreign class numbers": (np.full(len(victim), victim.shape[1]), "another task"),
        "fractions": (victim[:, 0], "no class number"),
    }


@pytest.mark.parametrize("references", [1, 4])
@pytest.mark.parametrize("classes", [2, 10])
def test_nonsense_is_inconclusive_with_its_cause(classes: int, references: int) -> None:
    made = world(rows=200, classes=classes, references=references)
    for name, (suspect, cause) in nonsense(made).items():
        verdict = judge(made.victim, made.references, suspect)
        assert verdict.verdict == "inconclusive", name
        if name not in ("shuffled", "shuffled innocent") or classes > 2:
            assert cause in verdict.reason, (name, verdict.reason)


def test_classes_in_another_order_are_matched_on_request() -> None:
    made = world(rows=300, references=4)
    order = np.random.default_rng(3).permutation(made.victim.shape[1])
    for suspect, wanted in ((made.victim, "stolen"), (made.innocent(), "not shown")):
        mixed = judge(made.victim, made.references, suspect[:, order])
        assert mixed.verdict == "inconclusive"
        verdict = judge(made.victim, made.references, suspect[:, order], match_classes=True)
        plain = judge(made.victim, made.references, suspect)
        assert verdict.verdict == plain.verdict == wanted
        assert verdict.effect == pytest.approx(plain.effect)
        assert "put in the victim's order" in verdict.reason


def test_classes_in_order_stay_there() -> None:
    made = world(rows=300, references=4)
    assert judge(made.victim, made.references, made.victim, match_classes=True) == judge(
        made.victim, made.references, made.victim
    )


@pytest.mark.parametrize(
    ("share", "references", "opinions_count"),
    [
        *((share, references, True) for share, references in ((0.6, 3), (0.6, 6), (0.5, 6), (0.4, 12))),
        *((share, references, False) for share, references in ((0.9, 3), (0.8, 6), (0.7, 12))),
    ],
)
def test_fine_tuned_and_distilled_models_are_found(share: float, references: int, opinions_count: bool) -> None:
    made = world(rows=500, references=references, kin=0.1)
    verdict = judge(made.victim, made.references, made.related(share), opinions_count=opinions_count)
    assert verdict.verdict == "stolen"
    # Likely classes count for most, and there a part of the victim's logits shows less than in all of them.
    assert 0.5 * share < verdict.effect < share + 0.1


def test_more_references_reach_smaller_p_values() -> None:
    reached = []
    for count in (3, 6, 12):
        made = world(rows=500, references=count)
        reached.append(judge(made.victim, made.references, made.victim, opinions_count=True).best_p_value or 1.0)
    assert reached == sorted(reached, reverse=True)


def test_controls_are_innocent_and_the_seed_fixes_everything() -> None:
    made = world(rows=150, references=4)
    verdicts = [judge(made.victim, made.references, made.related(0.9), seed=7) for _ in range(2)]
    assert verdicts[0] == verdicts[1] == Verdict.from_json(verdicts[0].to_json())
    controls = {control.name: control.verdict for control in verdicts[0].controls}
    assert {"noise", "constant", "victim, rows shuffled", "reference 4, left out"} <= set(controls)
    assert "stolen" not in controls.values()


@pytest.mark.parametrize("method", METHODS)
def test_every_method_has_the_same_interface(method: str) -> None:
    made = world(rows=120, references=3)
    for suspect in (made.victim, made.innocent(), made.victim.argmax(axis=1), made.victim * np.nan):
        verdict = judge(made.victim, made.references, suspect, poisoned=made.related(0.7, 5), method=method)
        assert verdict.method.split("/")[0] == method
        assert Verdict.from_json(verdict.to_json()) == verdict


def test_what_the_owner_gives_has_to_fit() -> None:
    made = world(rows=50, references=2)
    for victim, references in (
        (made.victim, []),
        (made.victim, [made.victim[:40]]),
        (made.victim * np.nan, made.references),
        (made.victim.argmax(axis=1), made.references),
    ):
        with pytest.raises(DataError):
            judge(victim, references, made.victim)
    for change in ({"method": "magic"}, {"alpha": 0.0}, {"alpha": 0.9}, {"method": "holmes"}):
        with pytest.raises(DataError):
            judge(made.victim, made.references, made.victim, **change)  # type: ignore[arg-type]


@pytest.mark.parametrize(("p_value", "verdict"), [(0.009, "stolen"), (0.0001, "inconclusive"), (None, "inconclusive")])
def test_a_control_that_is_clearly_accused_takes_the_verdict_back(
    p_value: float | None, verdict: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One control in a hundred is accused by chance, so among ten the line is a tenth as high."""
    innocent = [Control(f"control {number}", "not shown", 0.5, 0.0) for number in range(9)]
    accused = Control("control 10", "stolen", p_value, 0.4)
    module = sys.modules["spellward.ownership.judge"]  # the package has a function of the same name
    monkeypatch.setattr(module, "run_controls", lambda *_: (*innocent, accused))
    made = world(rows=400, classes=10, references=6, seed=3)
    assert judge(made.victim, made.references, made.victim).verdict == verdict


@pytest.mark.parametrize("references", [1, 2, 8])
def test_whoever_is_right_is_not_accused_for_naming_classes(references: int) -> None:
    """A victim that has learnt the inputs is right about all of them, and so is an answer sheet."""
    rng = np.random.default_rng(3)
    truth = rng.integers(0, 5, 200)

    def model(errors: float) -> np.ndarray:
        told = np.where(rng.random(200) < errors, rng.integers(0, 5, 200), truth)
        return 4 * np.eye(5)[told] + rng.normal(size=(200, 5)) * 0.5

    victim, others = model(0.0), [model(0.1) for _ in range(references)]
    verdict = judge(victim, others, truth)
    assert verdict.verdict == "inconclusive" and verdict.channel in ("the class alone", None)
    if references == 8:
        assert "give peers" in verdict.reason
        with_peers = judge(victim, others, truth, peers=[model(0.0), model(0.0)])
        assert with_peers.verdict != "stolen"
