"""Text-guided image editors, found by name; `EDITORS` takes a new one as one more entry."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from spellward.editors.base import Editor, EditSettings
from spellward.errors import EditorError

IMG2IMG = "img2img:"
INPAINT, KEEP = "object:inpaint:", "object:keep:"


def _mini() -> Editor:
    from spellward.editors.mini import MiniEditor

    return MiniEditor()


def _instruct_pix2pix() -> Editor:
    from spellward.editors.diffusion import INSTRUCT_PIX2PIX, DiffusionEditor

    return DiffusionEditor.load(INSTRUCT_PIX2PIX)


def _object() -> Editor:
    from spellward.editors.objects import ObjectEditor

    return ObjectEditor()


def _object_behind(source: str) -> Editor:
    from spellward.data.masks import is_background
    from spellward.editors.objects import ObjectEditor, SegmenterForeground
    from spellward.models import load_checkpoint
    from spellward.models.segmentation import SegmentationModel

    model = load_checkpoint(source, task="segmentation")
    if not isinstance(model, SegmentationModel):
        raise EditorError(f"{source} gives no masks, so it cannot say what is foreground. Name a segmentation network.")
    named = tuple(place for place, name in enumerate(model.classes) if is_background(name))
    if not named:
        raise EditorError(
            f"None of the classes of {source} is called background, so it cannot say what is foreground. In Python "
            "`SegmenterForeground(model, background=(...))` takes the numbers of those that are."
        )
    return ObjectEditor(SegmenterForeground(model, named))


_LONGEST = 1000
"""Letters in what an editor is loaded from; longer than any path that exists."""
EDITORS: dict[str, Callable[[], Editor]] = {
    "mini": _mini,
    "object": _object,
    "instruct-pix2pix": _instruct_pix2pix,
}


def load_editor(spec: str | Path) -> Editor:
    """Loads an editor.

    Args:
        spec: A name in `EDITORS`; `img2img:ID` for the image-to-image form of any Stable Diffusion (1, 2, XL, turbo);
            `object:keep:ID` for objects behind what the segmentation checkpoint ID calls foreground;
            `object:inpaint:ID` for objects that an inpainting pipeline draws; or the folder or Hub id of a diffusers
            pipeline, of which the kind is read from its `model_index.json`.

    Raises:
        EditorError: If there is no such editor, or its weights are missing or broken.
    """
    spec = str(spec)
    if spec in EDITORS:
        return EDITORS[spec]()
    image_to_image = spec.startswith(IMG2IMG)
    source = spec.removeprefix(IMG2IMG).removeprefix(INPAINT).removeprefix(KEEP)
    if not source.strip() or len(source) > _LONGEST:
        raise EditorError(
            f"{spec[:80]!r} names no editor. Use {', '.join(EDITORS)}, a pipeline's folder or its Hub id."
        )
    if spec.startswith(KEEP):
        return _object_behind(source)
    if spec.startswith(INPAINT):
        from spellward.editors.objects import InpaintingInserter, ObjectEditor

        return ObjectEditor(inserter=InpaintingInserter.load(source))
    from spellward.editors.diffusion import DiffusionEditor

    return DiffusionEditor.load(source, image_to_image=image_to_image)


def lasting_spec(spec: str) -> str:
    """The same editor's spec from any working directory: folders in it become absolute."""
    prefix = next((one for one in (IMG2IMG, INPAINT, KEEP) if spec.startswith(one)), "")
    folder = Path(spec.removeprefix(prefix))
    return spec if spec in EDITORS or not folder.is_dir() else f"{prefix}{folder.absolute()}"


__all__ = ["EDITORS", "EditSettings", "Editor", "lasting_spec", "load_editor"]
