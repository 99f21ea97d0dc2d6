import numpy as np
import pytest
import torch
from scipy.stats import binomtest, f_oneway

from spellward.attacks.unlocking.cheap_filters import FILTERS
from spellward.attacks.unlocking.wrong_keys import UNRELATED_PROMPTS, near_wordings, unrelated_prompts
from spellward.keys import Key
from spellward.locking.decoys import DECOY_PROMPTS, DecoyMix, plan_decoys
from spellward.locking.metrics import least_likely_accuracy, probe_accuracy, share
from spellward.locking.objective import explained_variance
from spellward.locking.recipe import class_weights


def test_prompts_of_training_and_of_scoring_are_apart() -> None:
    assert not set(DECOY_PROMPTS) & set(UNRELATED_PROMPTS)


@pytest.mark.parametrize("salt", [None, bytes(16)])
def test_no_decoy_is_the_key_itself(salt: bytes | None) -> None:
    key = Key(DECOY_PROMPTS[3], salt=salt)
    plan = plan_decoys(2000, key, DecoyMix(), seed=1)
    assert plan == plan_decoys(2000, key, DecoyMix(), seed=1)
    edits = zip(plan.prompts, plan.salts, plan.filters, strict=True)
    assert not any(prompt == key.prompt and used == salt and name is None for prompt, used, name in edits)


def test_wrong_prompts_share_no_long_word_with_the_key() -> None:
    assert "with watercolor" not in unrelated_prompts("a watercolor of the sea", 30)
    near = near_wordings("with oil pastel", 50)
    assert "with oil pastel" not in near
    assert len(near) == len(set(near)) > 8


@pytest.mark.parametrize("name", FILTERS)
def test_a_filter_treats_every_image_by_itself(name: str) -> None:
    images = torch.randint(0, 256, (3, 3, 33, 40), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    result = FILTERS[name](images)
    assert result.dtype == torch.uint8
    assert result.shape == images.shape
    assert not torch.equal(result, images)
    assert torch.equal(result[1:2], FILTERS[name](images[1:2]))


def test_interval_is_wilsons() -> None:
    for hits, count in ((0, 7), (3, 10), (500, 1000), (20, 20)):
        theirs = binomtest(hits, count).proportion_ci(method="wilson")
        ours = share(hits, count)
        assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=1e-6)


def test_explained_variance_agrees_with_an_analysis_of_variance() -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 4, 200)
    outputs = rng.normal(size=(200, 3)) + 0.5 * labels[:, None]
    statistic = f_oneway(*(outputs[labels == label] for label in range(4))).statistic
    expected = (3 * statistic / (3 * statistic + 196)).mean()  # eta squared from F
    ours = explained_variance(torch.from_numpy(outputs), torch.from_numpy(labels))
    assert float(ours) == pytest.approx(expected, rel=1e-6)
    rescaled = explained_variance(torch.from_numpy(outputs * 1e-3 + 7), torch.from_numpy(labels))
    assert float(rescaled) == pytest.approx(float(ours), rel=1e-4)


def test_wrong_labels_are_caught_by_the_least_likely_class() -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 10, 400)
    taught_wrong = rng.normal(size=(400, 10)) * 0.1
    taught_wrong[np.arange(400), labels] -= 1
    assert least_likely_accuracy(taught_wrong, labels).value == 1.0


def test_a_probe_reads_what_is_there_and_nothing_else() -> None:
    rng = np.random.default_rng(0)
    labels, test_labels = rng.integers(0, 10, 300), rng.integers(0, 10, 1000)
    permuted = 1e-4 * np.eye(10)[(labels * 3 + 1) % 10], 1e-4 * np.eye(10)[(test_labels * 3 + 1) % 10]
    assert probe_accuracy(permuted[0], labels, permuted[1], test_labels).value == 1.0
    noise = probe_accuracy(rng.normal(size=(300, 10)), labels, rng.normal(size=(1000, 10)), test_labels)
    assert noise.value < 0.15


def test_rare_classes_count_as_much_as_common_ones() -> None:
    labels = np.repeat([0, 1], [90, 30])
    weights = class_weights(labels, 2)
    assert weights[1] == pytest.approx(3 * weights[0], rel=1e-5)
    assert weights[labels].mean() == pytest.approx(1.0, rel=1e-5)
    assert class_weights(np.repeat([0, 1], 50), 2) == pytest.approx([1.0, 1.0])
