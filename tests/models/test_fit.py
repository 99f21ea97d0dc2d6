from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.models.tiny import CLASSES, SIDE, TinyExamples, pictures, tiny_model, vit_folder
from torch import nn

from spellward.errors import MissingExtraError, ModelError
from spellward.models import Batch, FitSettings, VisionModel, fit, load_model, logits_of_output, state_digest
from spellward.models.losses import soft_cross_entropy

QUICK = FitSettings(epochs=3, batch_size=8, learning_rate=5e-3, precision="fp32")


def accuracy(model: VisionModel) -> float:
    examples = TinyExamples()
    return float((model.logits(examples.pixels).argmax(1) == examples.labels.numpy()).mean())


def test_it_learns(tmp_path: Path) -> None:
    model, told = tiny_model(), []
    settings = replace(QUICK, epochs=8)
    result = fit(model, TinyExamples(), settings, folder=tmp_path, report=lambda *done: told.append(done))
    assert accuracy(model) > 0.9
    assert (result.epochs, result.steps) == (8, 48)
    assert told == [(step, 48) for step in range(1, 49)]
    assert result.seconds > 0 and result.images_per_second > 0
    assert not model.network.training


def test_no_batch_has_a_single_image_and_none_is_left_out_for_good(tmp_path: Path) -> None:
    examples = TinyExamples(17)
    assert fit(tiny_model(), examples, replace(QUICK, epochs=4), folder=tmp_path).steps == 8
    assert [len(rows) for _, rows in examples.asked] == [8, 8] * 4
    assert {row for _, rows in examples.asked for row in rows} == set(range(17))
    network = load_model("torchvision/mobilenet_v3_small?random", CLASSES, 32)  # norms of 1 x 1 maps
    fit(network, TinyExamples(17, side=32), replace(QUICK, epochs=2), folder=tmp_path / "norms")


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_the_same_seed_gives_the_same_weights(precision: str, tmp_path: Path) -> None:
    digests = []
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        model = tiny_model()
        torch.manual_seed(hash(name) % 1000)  # what happened before must not matter
        fit(model, TinyExamples(), replace(QUICK, precision=precision, seed=seed), folder=tmp_path / name)
        assert all(parameter.dtype == torch.float32 for parameter in model.network.parameters())
        digests.append(state_digest(model.network))
    assert digests[0] == digests[1] != digests[2]


def test_every_epoch_takes_every_example_once_in_another_order(tmp_path: Path) -> None:
    examples = TinyExamples(21)
    fit(tiny_model(), examples, QUICK, folder=tmp_path)
    orders = [[row for epoch, rows in examples.asked if epoch == number for row in rows] for number in range(3)]
    assert all(sorted(order) == list(range(21)) for order in orders)
    assert len({tuple(order) for order in orders}) == 3
    assert [len(rows) for _, rows in examples.asked] == [8, 8, 5] * 3


KILLED = """
import os, signal, sys
from pathlib import Path
from tests.models.test_fit import QUICK
from tests.models.tiny import TinyExamples, tiny_model
from spellward.models import fit
def kill(network, batch, step):
    if step == int(sys.argv[2]):
        os.kill(os.getpid(), signal.SIGKILL)
fit(tiny_model(), TinyExamples(), QUICK, folder=Path(sys.argv[1]), after_backward=kill, validate=lambda model: 0.5)
"""


def run_until_killed(folder: Path, step: int) -> None:
    root = Path(__file__).parents[2]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(root), *filter(None, sys.path)])}
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(folder), str(step)], env=environment, capture_output=True, text=True
    )
    assert done.returncode == -9, done.stderr


def test_a_killed_run_goes_on_to_the_same_weights(tmp_path: Path) -> None:
    run_until_killed(tmp_path / "killed", 15)  # in the third of three epochs of six steps
    examples = TinyExamples()
    resumed, whole = tiny_model(seed=7), tiny_model()  # the resumed model's own weights must not matter
    again = fit(resumed, examples, QUICK, folder=tmp_path / "killed", validate=lambda model: 0.5)
    straight = fit(whole, TinyExamples(), QUICK, folder=tmp_path / "whole", validate=lambda model: 0.5)
    assert {epoch for epoch, _ in examples.asked} == {2}
    assert state_digest(resumed.network) == state_digest(whole.network)
    assert (again.epochs, again.steps, again.scores) == (straight.epochs, straight.steps, straight.scores)


def test_a_checkpoint_cut_short_is_passed_over(tmp_path: Path) -> None:
    run_until_killed(tmp_path / "killed", 15)
    for path in (tmp_path / "killed").glob("checkpoint-*/trainer_state.json"):
        path.write_text(path.read_text()[:40])
    resumed, whole = tiny_model(), tiny_model()
    fit(resumed, TinyExamples(), QUICK, folder=tmp_path / "killed")
    fit(whole, TinyExamples(), QUICK, folder=tmp_path / "whole")
    assert state_digest(resumed.network) == state_digest(whole.network)


def test_an_unfinished_run_is_not_continued_with_other_settings(tmp_path: Path) -> None:
    run_until_killed(tmp_path / "killed", 15)
    with pytest.raises(ModelError, match="other settings"):
        fit(tiny_model(), TinyExamples(), replace(QUICK, learning_rate=1e-4), folder=tmp_path / "killed")


def test_a_complete_run_is_loaded_and_not_repeated(tmp_path: Path) -> None:
    first, second, examples = tiny_model(), tiny_model(seed=3), TinyExamples()
    one = fit(first, TinyExamples(), QUICK, folder=tmp_path)
    other = fit(second, examples, QUICK, folder=tmp_path)
    assert one == other
    assert not examples.asked
    assert state_digest(first.network) == state_digest(second.network)
    with pytest.raises(ModelError, match="other settings"):
        fit(tiny_model(), TinyExamples(), replace(QUICK, epochs=4), folder=tmp_path)


def test_two_at_a_time_in_one_folder_take_turns(tmp_path: Path) -> None:
    models, examples = [tiny_model(), tiny_model()], [TinyExamples(), TinyExamples()]
    with ThreadPoolExecutor(2) as pool:
        jobs = [pool.submit(fit, *pair, QUICK, folder=tmp_path) for pair in zip(models, examples, strict=True)]
        results = [job.result() for job in jobs]
    assert results[0] == results[1]
    assert state_digest(models[0].network) == state_digest(models[1].network)
    assert sorted(bool(one.asked) for one in examples) == [False, True]


def test_final_weights_cut_short_are_made_again(tmp_path: Path) -> None:
    first, second = tiny_model(), tiny_model()
    fit(first, TinyExamples(), QUICK, folder=tmp_path)
    final = tmp_path / "final.safetensors"
    final.write_bytes(final.read_bytes()[:-100])
    fit(second, TinyExamples(), QUICK, folder=tmp_path)
    assert state_digest(second.network) == state_digest(first.network)


def test_a_run_killed_after_its_last_epoch_is_complete(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, again, examples = tiny_model(), tiny_model(seed=5), TinyExamples()
    with monkeypatch.context() as patch:
        patch.setattr(sys.modules["spellward.models.fit"], "FitResult", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            fit(whole, TinyExamples(), QUICK, folder=tmp_path)
    result = fit(again, examples, QUICK, folder=tmp_path)
    assert (result.epochs, result.steps, examples.asked) == (3, 18, [])
    assert state_digest(again.network) == state_digest(whole.network)


def test_the_hook_may_add_to_the_gradients_before_each_step(tmp_path: Path) -> None:
    seen: list[int] = []

    def forget(network: nn.Module, batch: Batch, step: int) -> None:
        seen.append(step)
        assert batch["pixels"].dtype == torch.float32
        for parameter in network.parameters():
            assert parameter.grad is not None
            parameter.grad.zero_()

    model, settings = tiny_model(), replace(QUICK, epochs=1, weight_decay=0.0)
    before = {name: one.clone() for name, one in model.network.named_parameters()}
    fit(model, TinyExamples(), settings, folder=tmp_path, after_backward=forget)
    assert seen == list(range(6))
    for name, parameter in model.network.named_parameters():
        assert torch.equal(parameter, before[name])


def test_an_objective_of_the_callers_own(tmp_path: Path) -> None:
    def towards_newt(network: nn.Module, batch: Batch) -> torch.Tensor:
        return -logits_of_output(network(batch["pixels"])).log_softmax(1)[:, 2].mean()

    model = tiny_model()
    fit(model, TinyExamples(), replace(QUICK, epochs=8), folder=tmp_path, objective=towards_newt)
    assert (model.logits(pictures(20)).argmax(1) == 2).all()


@pytest.mark.parametrize("seen", ["loss", "score"])
def test_divergence_is_an_error(seen: str, tmp_path: Path) -> None:
    def broken(network: nn.Module, batch: Batch) -> torch.Tensor:
        return soft_cross_entropy(network, batch) * (math.nan if seen == "loss" else 1)

    with pytest.raises(ModelError, match="learning rate"):
        fit(tiny_model(), TinyExamples(), QUICK, folder=tmp_path, objective=broken, validate=lambda model: math.nan)


def test_there_must_be_examples(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="two images"):
        fit(tiny_model(), TinyExamples(1), QUICK, folder=tmp_path)


def test_a_model_of_transformers_trains_too_and_predicts_in_fp32(tmp_path: Path) -> None:
    model = load_model(vit_folder(tmp_path / "vit"), CLASSES, SIDE)
    fit(model, TinyExamples(), replace(QUICK, precision="bf16"), folder=tmp_path / "run")
    again = load_model(vit_folder(tmp_path / "vit2"), CLASSES, SIDE)
    again.network.load_state_dict(model.network.state_dict())
    assert np.array_equal(model.logits(pictures(5)), again.logits(pictures(5)))
    assert np.array_equal(model.copy().logits(pictures(5)), again.logits(pictures(5)))


def test_frozen_norms_keep_their_statistics(tmp_path: Path) -> None:
    model = tiny_model()
    fit(model, TinyExamples(), replace(QUICK, epochs=2, freeze_norm=2), folder=tmp_path)
    assert torch.equal(model.network.body[1].running_mean, torch.zeros(8))
    assert int(model.network.body[1].num_batches_tracked) == 0


def test_it_is_quiet_and_writes_into_its_private_folder_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], recwarn: pytest.WarningsRecorder
) -> None:
    (tmp_path / "cwd").mkdir()
    monkeypatch.chdir(tmp_path / "cwd")
    fit(tiny_model(), TinyExamples(), QUICK, folder=tmp_path / "run")
    assert capfd.readouterr() == ("", "")
    assert [str(one.message) for one in recwarn if "spellward" not in str(one.message)] == []
    assert [path.name for path in tmp_path.iterdir() if path.name != "cwd"] == ["run"]
    assert not list((tmp_path / "cwd").iterdir())
    assert (tmp_path / "run").stat().st_mode & 0o777 == 0o700
    assert not list((tmp_path / "run").glob("checkpoint-*"))  # a complete run needs none


def test_tensorboard_logs_on_request(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    fit(tiny_model(), TinyExamples(), replace(QUICK, tensorboard=True), folder=tmp_path / "run")
    assert list((tmp_path / "run").rglob("events.out.tfevents.*"))


def test_tensorboard_is_an_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"spellward\[tensorboard\]"):
        fit(tiny_model(), TinyExamples(), replace(QUICK, tensorboard=True), folder=tmp_path / "run")


FULL = """
import resource, sys
from pathlib import Path
from tests.models.test_fit import QUICK
from tests.models.tiny import TinyExamples, tiny_model
from spellward.errors import StorageError
from spellward.models import fit
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), int(sys.argv[2])))
try:
    fit(tiny_model(), TinyExamples(), QUICK, folder=Path(sys.argv[1]))
except StorageError as error:
    print("caught", error)
"""


@pytest.mark.parametrize("limit", [1000, 5000])  # too little for the weights; for the optimiser's state
def test_a_full_disk_is_said_to_be_full(limit: int, tmp_path: Path) -> None:
    root = Path(__file__).parents[2]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(root), *filter(None, sys.path)])}
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(tmp_path), str(limit)], env=environment, capture_output=True, text=True
    )
    assert done.stdout.startswith("caught"), done.stderr
    assert str(tmp_path) in done.stdout


def test_the_record_of_a_run_is_plain_json(tmp_path: Path) -> None:
    fit(tiny_model(), TinyExamples(), QUICK, folder=tmp_path)
    record = json.loads((tmp_path / "done.json").read_text())
    assert record["settings"]["seed"] == 0
    assert record["result"]["steps"] == 18
