"""Verdicts from claims: suspects of every kind, the same answer every time, and evidence that does not match."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tests.ownership.claims import in_another_order, train_victim, write_photos

from spellward.artifacts import atomic_write
from spellward.errors import ArtifactError, DataError, ModelError
from spellward.models import VisionModel, save_checkpoint, state_digest
from spellward.ownership.answers.exported import sheet
from spellward.ownership.claim import Claim
from spellward.ownership.suspects import SUSPECTS, Pixels, ask, kind_of
from spellward.ownership.verify import export_probes, verify
from spellward.reports.claim_report import render, verdict_folder, write_claim_report


@pytest.fixture(scope="module")
def checkpoint(victim: VisionModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("thief") / "model"
    save_checkpoint(victim, folder)
    return folder


@pytest.mark.parametrize("kind", ["object", "checkpoint", "callable", "recorded"])
def test_a_copy_of_any_kind_is_found(
    kind: str, claim: Claim, victim: VisionModel, checkpoint: Path, tmp_path: Path
) -> None:
    np.save(tmp_path / "answers.npy", victim.logits(claim.probes))
    suspect = {
        "object": victim,
        "checkpoint": checkpoint,
        "callable": victim.logits,
        "recorded": tmp_path / "answers.npy",
    }[kind]
    verdict = verify(claim, suspect)
    assert verdict.verdict == "stolen" and verdict.effect == pytest.approx(1.0, abs=1e-3)


def test_a_module_in_memory_can_be_asked(claim: Claim) -> None:
    module = torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(), torch.nn.Linear(3, 3))
    answers = ask(module, claim.probes, tuple(claim.commitment.classes))
    assert (answers.kind, answers.outputs.shape) == ("model", (60, 3))


def test_a_module_takes_images_as_the_victim_does(claim: Claim, victim: VisionModel) -> None:
    kept = victim.copy()
    kept.mean, kept.std = (0.1, 0.2, 0.3), (0.4, 0.5, 0.6)
    asked = ask(kept.network, claim.probes, victim.classes, Pixels(kept.mean, kept.std))
    assert np.array_equal(asked.outputs, kept.logits(claim.probes))
    assert verify(claim, victim.network).answers == verify(claim, victim).answers


def test_a_verdict_names_claim_suspect_and_what_was_asked_for(
    claim: Claim, victim: VisionModel, checkpoint: Path, tmp_path: Path
) -> None:
    verdict = verify(claim, victim)
    assert verdict.commitment == claim.commitment.digest() and not verdict.published
    assert verify(claim, victim, published=claim.commitment.digest()).published
    assert verdict.model == state_digest(victim.network) and verdict.options == ()
    np.save(tmp_path / "answers.npy", victim.logits(claim.probes))
    recorded = verify(claim, tmp_path / "answers.npy", match_classes=True)
    assert (recorded.answers, recorded.model, recorded.options) == (verdict.answers, None, ("match-classes",))
    np.save(tmp_path / "answers.npy", victim.logits(claim.probes) + 1e-6)
    assert verify(claim, tmp_path / "answers.npy").answers != verdict.answers


def test_verdicts_do_not_take_the_places_of_others(claim: Claim, victim: VisionModel) -> None:
    verdicts = [verify(claim, victim), verify(claim, victim, match_classes=True), verify(claim, victim, method="akh")]
    verdicts.append(verify(claim, lambda probes: victim.logits(probes) + 1.0))
    verdicts.append(verify(claim, victim, published=claim.commitment.digest()))
    folders = [verdict_folder(claim.folder, "thief", one).name for one in verdicts]
    assert len(set(folders)) == 5
    assert folders[1].endswith("-match-classes") and folders[2].endswith("-akh")
    assert verdict_folder(claim.folder, "org1/thief", verdicts[0]) != verdict_folder(
        claim.folder, "org2/thief", verdicts[0]
    )


def test_a_page_says_what_was_held_against_what(claim: Claim, victim: VisionModel) -> None:
    digest = claim.commitment.digest()
    plain = " ".join(render(claim, verify(claim, victim), "thief").split())
    assert "not held against a published digest" in plain and "Not the test of this claim" not in plain
    assert digest in plain and f"--commitment {digest}" not in plain  # it would pass by construction
    assert "held against the digest" in render(claim, verify(claim, victim, published=digest), "thief")
    other = render(claim, verify(claim, victim, method="akh", match_classes=True), "thief")
    assert "Not the test of this claim" in other and "--method akh --match-classes" in other
    assert "further chance to accuse" in other
    assert "Suspect: thief" in plain and f"{len(claim.references)}, {len(claim.peers)}, " in plain


@pytest.mark.parametrize(
    ("measure", "says", "stops"),
    [("correlation", "in common", True), ("nearness", "how near", False), ("weights", "its weights", False)],
)
def test_a_page_says_what_decided(measure: str, says: str, stops: bool, claim: Claim, victim: VisionModel) -> None:
    verdict = replace(verify(claim, victim), measure=measure, queries_needed=20 if stops else None)
    table = render(claim, verdict, "thief").split("<h2>The test</h2>")[1]
    assert says in table and ("would have stopped" in table) == stops


def test_independent_models_are_not_accused(claim: Claim, tmp_path: Path) -> None:
    photos = write_photos(tmp_path / "photos of another owner", seed=1)
    for seed in (101, 102, 103):
        assert verify(claim, train_victim(photos, seed)).verdict != "stolen"


def test_the_same_claim_and_suspect_give_the_same_verdict(claim: Claim, victim: VisionModel) -> None:
    assert verify(claim, victim).to_json() == verify(claim.folder, victim).to_json()


def test_classes_in_another_order_are_put_right_by_their_names(
    claim: Claim, victim: VisionModel, tmp_path: Path
) -> None:
    other = in_another_order(victim, [2, 0, 1])
    assert verify(claim, other).verdict == "stolen"
    other.classes = ("a", "b", "c")
    assert verify(claim, other).verdict == "inconclusive"


def test_evidence_that_does_not_match_gives_no_verdict(claim: Claim, victim: VisionModel, tmp_path: Path) -> None:
    shutil.copytree(claim.folder, tmp_path / "claim")
    values = np.load(tmp_path / "claim" / "victim.npy")
    np.save(tmp_path / "claim" / "victim.npy", values + 1)
    with pytest.raises(ArtifactError, match="altered"):
        verify(tmp_path / "claim", victim)


def test_a_claim_of_another_version_gives_no_verdict(
    claim: Claim, victim: VisionModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("spellward.ownership.verify.versions", lambda: {"spellward": "99.0.0"})
    with pytest.raises(ArtifactError, match=r"this is 99\.0\.0"):
        verify(claim, victim)


def test_a_claim_in_memory_is_held_against_what_was_published(claim: Claim, victim: VisionModel) -> None:
    assert verify(claim, victim, published=claim.commitment.digest()).verdict == "stolen"
    with pytest.raises(ArtifactError, match="published"):
        verify(claim, victim, published="0" * 64)


def test_probes_can_be_sent_elsewhere(claim: Claim, tmp_path: Path) -> None:
    folder = export_probes(claim, tmp_path / "probes")
    files = sorted(folder.glob("*.png"))
    assert len(files) == 60 == len(list(folder.iterdir())) - len(sheet(claim.commitment.classes, 60))
    first = np.asarray(Image.open(files[0]))
    assert np.array_equal(first, claim.probes[0].permute(1, 2, 0).numpy())


def test_probes_do_not_take_the_places_of_another_claims(claim: Claim, tmp_path: Path) -> None:
    folder = export_probes(claim, tmp_path / "probes")
    export_probes(claim, folder)
    for change in (lambda path: Image.new("RGB", (32, 32)).save(path), lambda path: path.write_bytes(b"no image")):
        change(folder / "probe-0003.png")
        with pytest.raises(ArtifactError, match=r"probe-0003\.png is no probe of this claim"):
            export_probes(claim, folder)


@pytest.mark.parametrize(
    ("suspect", "kind"),
    [("a.npy", "recorded"), ("a.csv", "recorded"), ("m.onnx", "onnx"), ("folder", "model"), (len, "callable")],
)
def test_kinds_of_suspects(suspect: object, kind: str) -> None:
    assert kind_of(suspect) == kind and kind in SUSPECTS


def test_a_suspect_that_is_not_there(claim: Claim, tmp_path: Path) -> None:
    with pytest.raises(ModelError):
        verify(claim, tmp_path / "nothing")
    with pytest.raises(ModelError, match="no ONNX file"):  # whether or not the extra is there
        verify(claim, tmp_path / "nothing.onnx")
    with pytest.raises(DataError, match=r"nothing\.csv cannot be read"):
        verify(claim, tmp_path / "nothing.csv")
    (tmp_path / "answers.json").write_text("[]")
    with pytest.raises(DataError, match=r"answers\.json is no suspect.*\.csv"):
        verify(claim, tmp_path / "answers.json")


def test_a_verdict_is_written_wherever_the_claim_is_named_from_and_whatever_the_suspect_is_called(
    claim: Claim, victim: VisionModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    verdict = verify(claim, victim)
    expected = verdict_folder(claim.folder, "thief", verdict)
    monkeypatch.chdir(claim.folder)
    assert verdict_folder(Path(), str(Path("thief").absolute()), verdict).parent == expected.parent
    page = write_claim_report(claim, verdict, "th\udcffief.npy", tmp_path / "verdict")
    assert "th\\xffief.npy" in page.read_text(encoding="utf-8")


def test_recorded_answers_to_other_probes_give_no_verdict(claim: Claim, victim: VisionModel, tmp_path: Path) -> None:
    np.save(tmp_path / "answers.npy", victim.logits(claim.probes)[:40])
    with pytest.raises(DataError, match="40 rows of answers for 60 probes"):
        verify(claim, tmp_path / "answers.npy")
    verdict = verify(claim, lambda probes: victim.logits(probes)[:40])
    assert verdict.verdict == "inconclusive" and "shape [40, 3]" in verdict.reason


def test_an_onnx_file_is_asked_like_any_other(claim: Claim, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    onnx = pytest.importorskip("onnx")
    from onnx import TensorProto, helper

    nodes = [
        helper.make_node("GlobalAveragePool", ["image"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["logits"]),
    ]
    shapes = [("image", ["n", 3, 32, 32]), ("logits", ["n", 3])]
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in shapes]
    model = helper.make_model(helper.make_graph(nodes, "mean", values[:1], values[1:]), ir_version=8)
    model.opset_import[0].version = 13
    onnx.save(model, str(tmp_path / "m.onnx"))
    answers = ask(tmp_path / "m.onnx", claim.probes, ("red", "green", "blue"))
    assert answers.outputs.shape == (60, 3)


def test_an_export_that_was_killed_goes_on(claim: Claim, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[Path] = []

    def stop(path: Path, *_: object) -> None:
        written.append(path)
        if len(written) == 2:
            raise KeyboardInterrupt
        atomic_write(path, *_)  # type: ignore[arg-type]

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("spellward.ownership.verify.atomic_write", stop)
        export_probes(claim, tmp_path / "probes")
    assert len(list(export_probes(claim, tmp_path / "probes").glob("*.png"))) == len(claim.probes)


def test_a_list_is_no_path(claim: Claim) -> None:
    with pytest.raises(DataError, match="Give a list of answers"):
        verify(claim, claim.victim.tolist())
