from __future__ import annotations

import json
import pickle
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from tests.models.tiny import CLASSES, SIDE, TinyNetwork, pictures, tiny_model, vit_folder
from transformers import AutoImageProcessor, AutoModelForImageClassification, pipeline

from spellward.errors import ArtifactError, ModelError, SpellwardError
from spellward.models import load_checkpoint, load_model, save_checkpoint, state_digest
from spellward.models.pretrained import load_pretrained


def picture(side: int) -> Image.Image:
    return Image.fromarray(pictures(1, side)[0].permute(1, 2, 0).numpy())


@pytest.mark.parametrize("spec", ["bundled", "timm/test_vit?random", "vit"])
def test_plain_transformers_sees_what_spellward_sees(spec: str, tmp_path: Path) -> None:
    size = 64 if spec != "vit" else SIDE
    model = load_model(vit_folder(tmp_path / "vit") if spec == "vit" else spec, CLASSES, size)
    save_checkpoint(model, tmp_path / "saved")
    image = picture(size)
    ours = model.logits(pictures(1, size))[0]
    plain = AutoModelForImageClassification.from_pretrained(tmp_path / "saved").eval()
    inputs = AutoImageProcessor.from_pretrained(tmp_path / "saved")(image, return_tensors="pt")
    with torch.inference_mode():
        theirs = plain(**inputs).logits[0].numpy()
    assert np.allclose(theirs, ours, atol=1e-5)
    classify = pipeline("image-classification", model=str(tmp_path / "saved"))
    scores = {one["label"]: one["score"] for one in classify(image)}
    expected = torch.softmax(torch.from_numpy(ours), 0).tolist()
    assert scores == pytest.approx(dict(zip(CLASSES, expected, strict=True)), abs=1e-5)


def test_a_module_comes_back_into_the_module_that_is_given(tmp_path: Path) -> None:
    model = tiny_model()
    save_checkpoint(model, tmp_path)
    with pytest.raises(ModelError, match="module="):
        load_checkpoint(tmp_path)
    again = load_checkpoint(tmp_path, module=TinyNetwork())
    assert np.array_equal(again.logits(pictures(3)), model.logits(pictures(3)))
    assert (again.spec, again.classes, again.input_size) == ("module", CLASSES, SIDE)
    with pytest.raises(SpellwardError):
        load_checkpoint(tmp_path, module=torch.nn.Linear(3, 3))


def test_the_digest_names_the_weights(tmp_path: Path) -> None:
    model = load_model(vit_folder(tmp_path / "vit"), CLASSES)
    before = state_digest(model.network)
    save_checkpoint(model, tmp_path / "saved")
    assert state_digest(load_checkpoint(tmp_path / "saved").network) == before
    with torch.no_grad():
        next(model.network.parameters()).view(-1)[0] += 1e-3
    assert state_digest(model.network) != before


def test_everyone_may_read_a_published_checkpoint(tmp_path: Path) -> None:
    save_checkpoint(tiny_model(), tmp_path / "own")
    save_checkpoint(load_model("timm/test_resnet?random", CLASSES, 32), tmp_path / "timm")
    for path in tmp_path.rglob("*.*"):
        assert path.stat().st_mode & 0o777 == 0o644, path


def edit_json(path: Path, **changes: Any) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def only_pickle(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps({"a": 1}))


def no_weights(folder: Path) -> None:
    (folder / "model.safetensors").unlink()


def truncated_weights(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-7])


def empty_weights(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(b"")


def foreign_weights(folder: Path) -> None:
    save_file({"somebody.else": torch.zeros(3)}, folder / "model.safetensors", metadata={"format": "pt"})


def part_of_the_weights(folder: Path) -> None:
    tensors = load_file(folder / "model.safetensors")
    del tensors[sorted(tensors)[-1]]
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


def weights_of_another_shape(folder: Path) -> None:
    tensors = load_file(folder / "model.safetensors")
    name = next(name for name in tensors if name.endswith("weight") and ("patch" in name or "conv" in name))
    save_file({**tensors, name: torch.zeros(2, 2)}, folder / "model.safetensors", metadata={"format": "pt"})


def other_head(folder: Path) -> None:
    edit_json(folder / "config.json", id2label={"0": "a", "1": "b"}, num_classes=2)


def remote_code(folder: Path) -> None:
    edit_json(folder / "config.json", auto_map={"AutoConfig": "evil.Config"})
    (folder / "evil.py").write_text("raise SystemExit('code of a stranger ran')")


def huge_config(folder: Path) -> None:
    edit_json(folder / "config.json", padding="x" * 6_000_000)


def broken_config(folder: Path) -> None:
    (folder / "config.json").write_text('{"model_type": ')


def nested_config(folder: Path) -> None:
    (folder / "config.json").write_text("[" * 100_000)


def list_config(folder: Path) -> None:
    (folder / "config.json").write_text("[1, 2]")


def no_config(folder: Path) -> None:
    (folder / "config.json").unlink()


def unknown_model(folder: Path) -> None:
    edit_json(folder / "config.json", model_type="no-such-model", architectures=["None"])


def quantised(folder: Path) -> None:
    edit_json(folder / "config.json", quantization_config={"quant_method": "bitsandbytes", "load_in_8bit": True})


def escaping_index(folder: Path) -> None:
    shutil.move(folder / "model.safetensors", folder.parent / "elsewhere.safetensors")
    names = list(load_file(folder.parent / "elsewhere.safetensors"))
    index = {"metadata": {}, "weight_map": dict.fromkeys(names, "../elsewhere.safetensors")}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    save_file({"a": torch.zeros(1)}, folder / "other.safetensors")


DAMAGES = [
    only_pickle,
    no_weights,
    truncated_weights,
    empty_weights,
    foreign_weights,
    part_of_the_weights,
    weights_of_another_shape,
    other_head,
    remote_code,
    huge_config,
    broken_config,
    nested_config,
    list_config,
    no_config,
    unknown_model,
    quantised,
    escaping_index,
]


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
@pytest.mark.parametrize("kind", ["vit", "timm"])
def test_a_damaged_or_hostile_folder_is_refused(damage: Any, kind: str, tmp_path: Path) -> None:
    folder = tmp_path / "vit"
    if kind == "vit":
        vit_folder(folder)
    else:
        save_checkpoint(load_model("timm/test_resnet?random", CLASSES, 32), folder)
    damage(folder)
    with pytest.raises((ArtifactError, ModelError)) as caught:
        load_checkpoint(folder)
    message = str(caught.value)
    assert str(folder) in message
    assert "\n" not in message and len(message) < 600


@pytest.mark.parametrize(
    "changes",
    [
        {"model_args": {"checkpoint_path": "weights.pth"}},
        {"model_args": {"pretrained": True}},
        {"model_args": {"pretrained_cfg_overlay": {"file": "weights.pth"}}},
        {"architecture": "hf-hub:somebody/model"},
        {"architecture": "local-dir:/tmp"},
        {"architecture": ["resnet18"]},
        {"model_args": [1]},
        {"pretrained_cfg": [1]},
        {"pretrained_cfg": {"input_size": 64}},
        {"pretrained_cfg": {"input_size": [None]}},
        {"parts": [{"model_type": "timm_backbone", "backbone": "hf-hub:somebody/model"}]},
    ],
    ids=str,
)
@pytest.mark.parametrize("names_its_type", [True, False])
def test_a_timm_config_cannot_point_anywhere_else(
    changes: dict[str, Any], names_its_type: bool, tmp_path: Path
) -> None:
    save_checkpoint(load_model("timm/test_resnet?random", CLASSES, 32), tmp_path)
    edit_json(tmp_path / "config.json", **changes)
    if not names_its_type:  # transformers then takes it for timm's by its other fields
        config = json.loads((tmp_path / "config.json").read_text())
        del config["model_type"]
        (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises((ArtifactError, ModelError), match=r"config\.json"):
        load_checkpoint(tmp_path)


def test_what_the_hub_gives_is_checked_as_a_folder_is(tmp_path: Path) -> None:
    save_checkpoint(load_model("timm/test_resnet?random", CLASSES, 32), tmp_path)
    assert load_pretrained(str(tmp_path), None, False, None).classes == CLASSES
    edit_json(tmp_path / "config.json", model_args={"checkpoint_path": str(tmp_path / "weights.pth")})
    with pytest.raises(ArtifactError, match="other files"):
        load_pretrained(str(tmp_path), None, False, None)


@pytest.mark.parametrize(
    "changes",
    [
        {"format": "spellward-model-2"},
        {"spec": "../somewhere"},
        {"spec": "somebody/model"},
        {"spec": 3},
        {"classes": "cat"},
        {"classes": [1, 2, 3]},
        {"input_size": "16"},
        {"input_size": 10**9},
        {"mean": [0.5]},
        {"mean": [0.5, 0.5, 1e300]},
        {"std": [0.5, 0.5, 0.0]},
        {"surprise": 1},
    ],
    ids=str,
)
def test_spellwards_own_record_is_checked(changes: dict[str, Any], tmp_path: Path) -> None:
    save_checkpoint(load_model("torchvision/squeezenet1_1?random", CLASSES, 32), tmp_path)
    edit_json(tmp_path / "spellward_model.json", **changes)
    with pytest.raises(ArtifactError, match=r"spellward_model\.json"):
        load_checkpoint(tmp_path)


@pytest.mark.parametrize(
    "changes",
    [
        {"image_mean": [0.5]},
        {"image_mean": "grey"},
        {"image_mean": [0.5, 0.5, 1e300]},
        {"image_std": [0.5, 0.5, 0.0]},
        {"image_std": {"r": 1}},
    ],
    ids=str,
)
def test_pixels_that_no_network_could_take_are_refused(changes: dict[str, Any], tmp_path: Path) -> None:
    edit_json(vit_folder(tmp_path / "vit") / "preprocessor_config.json", **changes)
    with pytest.raises(ArtifactError, match="normalised"):
        load_checkpoint(tmp_path / "vit")


def test_one_number_normalises_all_channels(tmp_path: Path) -> None:
    edit_json(vit_folder(tmp_path / "vit") / "preprocessor_config.json", image_mean=0.25, image_std=0.5)
    model = load_checkpoint(tmp_path / "vit")
    assert (model.mean, model.std) == ((0.25,) * 3, (0.5,) * 3)


def test_a_full_disk_is_said_to_be_full(tmp_path: Path) -> None:
    code = (
        "import resource, sys\n"
        "from pathlib import Path\n"
        "from spellward.errors import StorageError\n"
        "from spellward.models import load_model, save_checkpoint\n"
        "model = load_model('timm/test_resnet?random', ('a', 'b'), 32)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))\n"
        "try:\n"
        "    save_checkpoint(model, Path(sys.argv[1]))\n"
        "except StorageError as error:\n"
        "    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True)
    assert str(tmp_path) in done.stdout, done.stderr


def test_notes_in_the_config_of_a_base_are_not_passed_on(tmp_path: Path) -> None:
    base = vit_folder(tmp_path / "base")
    edit_json(base / "config.json", finetuned_from="/home/alice/secret-project", notes={"by": "alice"})
    model = load_checkpoint(base)
    save_checkpoint(model, tmp_path / "saved")
    assert "alice" not in (tmp_path / "saved" / "config.json").read_text()
    again = load_checkpoint(tmp_path / "saved")
    assert np.array_equal(again.logits(pictures(4)), model.logits(pictures(4)))
