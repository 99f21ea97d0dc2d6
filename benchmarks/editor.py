"""Measures the bundled editor on held-out pictures and writes results/editor.json.

    python benchmarks/editor.py            (needs the extra `editor` and Debian's openclipart-png)

Held-out pictures share neither clip art nor photographs with the training. "Fidelity" is the PSNR of the mean squared
error between the editor and its teacher over all pictures and styles; "held-out wordings" is the share of wordings
that were never trained whose edit is nearest, among the teacher's edits of all styles, to the style they mean.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
import time
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from spellward.editors.base import EditSettings
from spellward.editors.mini import vocabulary
from spellward.editors.mini.editor import WEIGHTS, MiniEditor
from spellward.editors.mini.training import pairs
from spellward.editors.mini.training.sources import source_pictures
from spellward.editors.salting import apply_code, codes_from_salts

RESULTS = Path(__file__).parent / "results" / "editor.json"
UNKNOWN = (
    "as a hologram",
    "made of cheese",
    "in zero gravity",
    "with rainbow stripes",
    "like an ancient scroll",
    "under a microscope",
    "as folded origami",
    "covered in green slime",
)


def decibels(squared_error: float) -> float:
    return -10 * math.log10(max(squared_error, 1e-12))


def teacher(kind: int, index: int, pictures: np.ndarray) -> Tensor:
    return torch.from_numpy(np.stack([pairs.teacher_edit(kind, index, one) for one in pictures])).permute(0, 3, 1, 2)


def squared_error(first: Tensor, second: Tensor) -> float:
    return float(((first.float() - second.float()) / 255).square().mean())


def fidelity(
    editor: MiniEditor, images: Tensor, answers: dict[str, Tensor], steps: int, salted: bool
) -> dict[str, float]:
    """Squared error by style, of the default template and first wording."""
    settings = EditSettings(steps=steps, guidance=1.0, image_guidance=1.0, strength=1.0)
    rng = np.random.default_rng(1)
    salts = [rng.bytes(16) for _ in range(len(images))] if salted else [None] * len(images)
    errors = {}
    for style, answer in answers.items():
        wanted = answer
        if salted:
            wanted = (apply_code(answer.float() / 255, codes_from_salts(salts)) * 255).round().to(torch.uint8)
        edited = editor.edit(images, f"with {vocabulary.STYLES[style].wordings[0]}", 0, salts, settings)
        errors[style] = squared_error(edited, wanted)
    return errors


def held_out_wordings(editor: MiniEditor, images: Tensor, answers: dict[str, Tensor]) -> dict[str, float]:
    """Share of (wording, template) pairs whose edit is nearest to the right style's answer."""
    shares = {}
    stacked = torch.stack(list(answers.values())).float() / 255
    for which in ("wordings", "held_out"):
        hits = total = 0
        for index, style in enumerate(answers):
            for wording in getattr(vocabulary.STYLES[style], which):
                for template in vocabulary.STYLE_TEMPLATES[:4]:
                    edited = editor.edit(images, template.format(wording)).float() / 255
                    nearest = (stacked - edited[None]).square().mean((1, 2, 3, 4)).argmin()
                    hits, total = hits + int(nearest == index), total + 1
        shares[which] = hits / total
    return shares


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=160)
    options = parser.parse_args()
    torch.set_num_threads(2)
    found = list(source_pictures(True, 0, 1, 150))
    order = np.random.default_rng(0).permutation(len(found))[: options.pictures]
    pictures = np.stack([found[index] for index in order])
    images = torch.from_numpy(pictures).permute(0, 3, 1, 2).contiguous()
    editor = MiniEditor()
    editor.defaults = dataclasses.replace(editor.defaults, strength=1.0)  # the edit itself, not its blend
    answers = {style: teacher(pairs.STYLE, index, pictures) for index, style in enumerate(pairs.STYLES)}
    result: dict[str, object] = {"pictures": len(pictures), "styles": len(pairs.STYLES), "objects": len(pairs.OBJECTS)}
    unedited = np.mean([squared_error(images, answer) for answer in answers.values()])
    result["unedited_db"] = decibels(float(unedited))
    for steps in (1, 2, 4):
        errors = fidelity(editor, images, answers, steps, salted=False)
        salted = fidelity(editor, images, answers, steps, salted=True)
        result[f"steps_{steps}"] = {
            "fidelity_db": decibels(float(np.mean(list(errors.values())))),
            "mean_of_styles_db": float(np.mean([decibels(error) for error in errors.values()])),
            "salted_fidelity_db": decibels(float(np.mean(list(salted.values())))),
        }
        if steps == editor.defaults.steps:
            result["by_style_db"] = {style: round(decibels(error), 2) for style, error in errors.items()}
    objects = {}
    for index, name in enumerate(pairs.OBJECTS):
        wanted = teacher(pairs.OBJECT, index, pictures)
        edited = editor.edit(images, f"add {vocabulary.OBJECTS[name].wordings[0]}")
        place = (wanted != images).any(1, keepdim=True).expand_as(images)
        inside = ((edited.float() - wanted.float()) / 255).square()[place].mean()
        objects[name] = {"whole_db": decibels(squared_error(edited, wanted)), "object_db": decibels(float(inside))}
    result["objects_db"] = objects
    some = images[:: max(1, len(images) // 32)]
    result["wordings_right"] = held_out_wordings(
        editor, some, {k: v[:: max(1, len(images) // 32)] for k, v in answers.items()}
    )
    unknown = torch.stack([editor.edit(some, prompt).float() / 255 for prompt in UNKNOWN])
    apart = [float((unknown[i] - unknown[j]).square().mean().sqrt()) for i in range(len(UNKNOWN)) for j in range(i)]
    result["unknown_prompts_rms"] = {"smallest": min(apart), "mean": float(np.mean(apart))}
    rng = np.random.default_rng(2)
    salted_edits = torch.stack([editor.edit(some, "with oil pastel", 0, rng.bytes(16)).float() / 255 for _ in range(8)])
    apart = [float((salted_edits[i] - salted_edits[j]).square().mean().sqrt()) for i in range(8) for j in range(i)]
    result["salts_rms"] = {"smallest": min(apart), "mean": float(np.mean(apart))}
    many = images.repeat(-(-1600 // len(images)), 1, 1, 1)[:1600]
    editor.edit(many[:128], "with watercolor")
    speeds = {}
    for steps in (1, 2, 4):
        settings = EditSettings(steps=steps, guidance=1.0, image_guidance=1.0, strength=1.0)
        begun = time.perf_counter()
        editor.edit(many, "with watercolor", 0, bytes(16), settings)
        speeds[f"steps_{steps}"] = len(many) / (time.perf_counter() - begun)
    result["images_per_second"] = speeds
    result["package_megabytes"] = sum(path.stat().st_size for path in WEIGHTS.iterdir()) / 1e6
    result["editor"] = editor.fingerprint()
    result["versions"] = {name: version(name) for name in ("spellward", "torch", "numpy")}
    RESULTS.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
