"""Image files: predictions for them, and a look at what a key does to them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from spellward.artifacts import atomic_write, write_errors
from spellward.data import decode_image
from spellward.data.images import SUFFIXES, png_of, square
from spellward.data.overlays import mask_png, overlay
from spellward.errors import DataError
from spellward.keys import Key
from spellward.locking.keying import edit_with_key, editor_for
from spellward.locking.unlock import Predictions, Segmentations, UnlockedModel

_MASK, _INSTANCES, _OVERLAY = _OWN = (".mask.png", ".instances.png", ".overlay.png")


def image_files(paths: Sequence[Path]) -> list[Path]:
    """Files as they are, folders as the images below them, in order; of these nothing hidden, as in training data.

    Raises:
        DataError: If a path is not there, or a folder has no images.
    """
    files: list[Path] = []
    for path in paths:
        if path.is_dir():
            found = sorted(one for one in path.rglob("*") if one.suffix.lower() in SUFFIXES and one.is_file())
            found = [one for one in found if not any(part.startswith(".") for part in one.relative_to(path).parts)]
            if not found:
                raise DataError(f"{path} has no images ({', '.join(sorted(SUFFIXES))}).")
            files += found
        elif path.is_file():
            files.append(path)
        else:
            raise DataError(f"There is no file {path}.")
    return files


def is_own_picture(path: Path, output: Path) -> bool:
    """Whether a file is a picture that `segment_files` wrote into its folder: a run again must not segment it."""
    return path.parent.resolve() == output.resolve() and path.name.endswith(_OWN)


def predict_files(
    unlocked: UnlockedModel, files: Sequence[Path], batch_size: int = 64
) -> Iterator[tuple[Sequence[Path], Predictions]]:
    """Yields (files, predictions) a batch at a time; images are read as training images were.

    Raises:
        DataError: Naming a file that is no image, or broken.
    """
    for start in range(0, len(files), batch_size):
        some = files[start : start + batch_size]
        yield some, unlocked.predict(some)


def segment_files(
    unlocked: UnlockedModel, files: Sequence[Path], output: Path
) -> Iterator[tuple[Path, tuple[int, int], Segmentations, dict[str, Path]]]:
    """Segments image files and writes two pictures for each: NAME.mask.png (class ids, at the image's own size, in the
    classes' colours) and NAME.overlay.png. A model that tells instances apart gives a third, NAME.instances.png (their
    numbers), and its overlay is in the colours of the instances.

    Args:
        unlocked: A model that gives masks.
        files: Images.
        output: Folder for the pictures; a second image of the same name gets a number.

    Yields:
        The file, its picture's width and height, its mask at the model's size, and what was written: `mask`, `overlay`
        and, of a model that tells instances apart, `instances`.

    Raises:
        DataError: Naming a file that is no image, or broken.
        ModelError: If the model is a classifier.
        StorageError: If a picture cannot be written.
    """
    with write_errors(output):
        output.mkdir(parents=True, exist_ok=True)
    taken: set[str] = set()
    for path in files:
        picture = decode_image(path)
        found = unlocked.segment(torch.from_numpy(square(picture, unlocked.resolution))[None])
        count = len(found.classes)
        ids = _resized(found.masks[0], picture.size)
        name, number = path.stem, 1
        while name.casefold() in taken:  # on some disks Cat and cat are one file
            number += 1
            name = f"{path.stem}-{number}"
        taken.add(name.casefold())
        written = {"mask": output / f"{name}{_MASK}", "overlay": output / f"{name}{_OVERLAY}"}
        atomic_write(written["mask"], mask_png(ids, count))
        if found.objects:
            ids, count = _resized(found.objects[0].numbers(), picture.size), 1 + len(found.objects[0])
            written["instances"] = output / f"{name}{_INSTANCES}"
            atomic_write(written["instances"], mask_png(ids, count))
        atomic_write(written["overlay"], png_of(overlay(np.asarray(picture.convert("RGB")), ids, count)))
        yield path, picture.size, found, written


def _resized(ids: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """uint8 [S, S] at another width and height, each pixel taking its nearest neighbour."""
    return np.asarray(Image.fromarray(ids).resize(size, Image.Resampling.NEAREST))


def edit_file(image: Path, key: Key, output: Path) -> None:
    """Edits one image file as a key says, and writes a PNG.

    Raises:
        DataError: If it is no image, or the output is to be of another kind, or the image itself.
        StorageError: If the result cannot be written.
    """
    if output.suffix.lower() not in ("", ".png"):
        raise DataError(f"The edited image is written as PNG, not {output.suffix}. Name a file that ends in .png.")
    if output.resolve() == image.resolve():
        raise DataError(f"{output} is the image itself, which the edited one would replace. Name another output.")
    editor = editor_for(key)
    pixels = torch.from_numpy(square(decode_image(image), key.resolution or editor.resolution))
    edited = edit_with_key(editor, pixels[None], key)[0]
    # Beside the clean picture it shows what the key does, so it is for the owner alone.
    atomic_write(output, png_of(edited.permute(1, 2, 0).numpy()), mode=0o600)
