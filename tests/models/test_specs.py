from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from tests.models.tiny import CLASSES, SIDE, TinyNetwork, pictures, vit_folder

from spellward.errors import ModelError
from spellward.models import load_checkpoint, load_model, save_checkpoint
from spellward.models.specs import public_name

OTHERS = ("ant", "bee", "elk", "owl")


@pytest.mark.parametrize(
    ("spec", "size"),
    [
        ("bundled", 64),
        ("timm/test_resnet?random", 32),
        ("timm/test_vit?random", 32),
        ("timm/test_vit?random", 160),
        ("timm/mixer_s32_224?random", 64),
        ("torchvision/squeezenet1_1?random", 32),
        ("torchvision/mobilenet_v3_small?random", 32),
    ],
)
def test_every_spec_gives_logits_and_comes_back_from_disk(spec: str, size: int, tmp_path: Path) -> None:
    model = load_model(spec, OTHERS, size)
    images = pictures(3, side=size)
    logits = model.logits(images)
    assert logits.shape == (3, len(OTHERS))
    assert model.input_size == size
    assert any(name.startswith(model.head) for name, _ in model.network.named_parameters())
    save_checkpoint(model, tmp_path / "saved")
    again = load_checkpoint(tmp_path / "saved")
    assert (again.classes, again.input_size, again.mean, again.std) == (OTHERS, size, model.mean, model.std)
    assert np.array_equal(again.logits(images), logits)


@pytest.mark.parametrize("spec", ["timm/test_resnet?random", "torchvision/squeezenet1_1?random"])
def test_the_seed_decides_the_weights(spec: str) -> None:
    one, same, other = (load_model(spec, CLASSES, 32, seed=seed).logits(pictures(2, 32)) for seed in (0, 0, 1))
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)


def test_a_folder_with_other_classes_gets_a_fresh_head(tmp_path: Path) -> None:
    folder = vit_folder(tmp_path / "vit")
    kept, fresh = load_model(folder, CLASSES), load_model(folder, OTHERS)
    renamed = load_model(folder, ("a", "b", "c"))
    own = load_checkpoint(folder)
    images = pictures(4)
    assert np.array_equal(kept.logits(images), own.logits(images))
    assert fresh.logits(images).shape == (4, len(OTHERS))
    assert not np.allclose(renamed.logits(images), own.logits(images))
    assert (own.classes, own.input_size, own.mean) == (CLASSES, SIDE, (0.5, 0.5, 0.5))
    for model in (kept, fresh, renamed):
        body = model.network.vit.embeddings.state_dict()
        assert all(torch.equal(tensor, body[name]) for name, tensor in own.network.vit.embeddings.state_dict().items())


def test_a_folder_of_a_torchvision_model_takes_classes_and_random_weights_too(tmp_path: Path) -> None:
    own = load_model("torchvision/squeezenet1_1?random", CLASSES, 32, seed=1)
    save_checkpoint(own, tmp_path / "own")
    folder, images = tmp_path / "own", pictures(2, 32)
    fresh, again, other = (load_model(folder, OTHERS, seed=seed) for seed in (3, 3, 4))
    assert fresh.classes == OTHERS and fresh.logits(images).shape == (2, len(OTHERS))
    assert np.array_equal(fresh.logits(images), again.logits(images))
    assert not np.array_equal(fresh.logits(images), other.logits(images))
    body = {name: value for name, value in own.network.state_dict().items() if not own.in_head(name)}
    assert body and all(torch.equal(fresh.network.state_dict()[name], value) for name, value in body.items())
    random = load_model(f"{folder}?random", CLASSES, seed=3)
    assert random.classes == CLASSES and not np.array_equal(random.logits(images), own.logits(images))
    assert np.array_equal(load_model(folder, CLASSES, seed=3).logits(images), own.logits(images))
    with pytest.raises(ModelError, match="not for segmentation"):
        load_model(folder, CLASSES, task="segmentation")


def test_the_seed_decides_a_fresh_head(tmp_path: Path) -> None:
    folder = vit_folder(tmp_path / "vit")
    heads = [load_model(folder, OTHERS, seed=seed).network.classifier.weight for seed in (0, 0, 1)]
    assert torch.equal(heads[0], heads[1])
    assert not torch.equal(heads[0], heads[2])


def test_a_module_must_have_an_output_for_each_class() -> None:
    assert load_model(TinyNetwork(), CLASSES, SIDE).logits(pictures(1)).shape == (1, 3)
    with pytest.raises(ModelError, match="5 outputs"):
        load_model(TinyNetwork(), ("a", "b", "c", "d", "e"))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_a_module_in_another_precision_is_copied_in_float32(dtype: torch.dtype) -> None:
    module = TinyNetwork().to(dtype)
    model = load_model(module, CLASSES, SIDE)
    assert np.allclose(model.logits(pictures(2)), load_model(module.float(), CLASSES, SIDE).logits(pictures(2)))
    module = TinyNetwork().to(dtype)
    load_model(module, CLASSES, SIDE)
    assert all(tensor.dtype == dtype for tensor in module.parameters())


@pytest.mark.parametrize("classes", [5, None, "cats"])
def test_classes_are_names(classes: object) -> None:
    with pytest.raises(ModelError, match=f"Classes are a list of names, .*; got {classes!r}"):
        load_model(TinyNetwork(), classes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("timm/no_such_model", "list_models"),
        ("torchvision/no_such_model", "list_models"),
        ("torchvision/fcn_resnet50", "list_models"),
        ("bundled?pretrained", "random"),
        ("./no/such/folder", "no checkpoint folder"),
        ("no/such/folder", "no checkpoint folder"),
        ("folder/", "no checkpoint folder"),
    ],
)
def test_what_is_not_there_is_refused_in_one_sentence(spec: str, message: str) -> None:
    with pytest.raises(ModelError, match=message) as caught:
        load_model(spec, CLASSES)
    assert "\n" not in str(caught.value)


def test_one_class_is_not_enough() -> None:
    with pytest.raises(ModelError, match="two classes"):
        load_model("bundled", ["cat"])


@pytest.mark.parametrize("spec", ["somebody/some-model", "timm/test_vit", "torchvision/squeezenet1_1"])
def test_weights_out_of_reach_are_said_to_be(spec: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def unreachable(*_: object, **__: object) -> None:
        raise OSError("no route to host")

    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("transformers.AutoConfig.from_pretrained", unreachable)
    monkeypatch.setattr("torch.hub.load_state_dict_from_url", unreachable)
    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", unreachable)
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    with pytest.raises(ModelError) as caught:
        load_model(spec, CLASSES)
    assert spec.split("?")[0] in str(caught.value)


@pytest.mark.parametrize(
    ("spec", "name"),
    [
        ("bundled", "bundled"),
        ("timm/test_resnet?random", "timm/test_resnet?random"),
        ("/home/owner/secret", "a private model"),
        ("../secret", "a private model"),
        ("/home/owner/secret?random", "random weights"),
        (TinyNetwork(), "a private model"),
    ],
)
def test_others_read_of_a_base_what_is_public(spec: object, name: str) -> None:
    assert public_name(spec) == name


def test_a_folder_is_named_from_the_root_so_that_it_is_found_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "models").mkdir()
    save_checkpoint(load_model("timm/test_resnet?random", ("a", "b"), 32), tmp_path / "models" / "base")
    monkeypatch.chdir(tmp_path)
    spec = load_model("models/base?random", ("a", "b"), 32).spec
    assert spec == f"{tmp_path}/models/base?random"
    monkeypatch.chdir("/")
    assert public_name(spec) == "random weights" and public_name(spec.partition("?")[0]) == "a private model"
    assert load_model(spec, ("a", "b"), 32).classes == ("a", "b")
