"""The files beside masks that say what the numbers or colours in them mean."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

from spellward.data.masks import BACKGROUND, IGNORE, is_background
from spellward.errors import DataError
from spellward.plain_json import parse_json

LISTS = ("palette.json", "classes.txt", "classes.json")
IGNORED_NAMES = ("ignore", "ignored", "void", "unlabeled", "unlabelled")
"""Names in a palette for pixels that are left out of everything."""
_MAX_LIST_BYTES = 1 << 20

Palette: TypeAlias = dict[tuple[int, int, int], int]
"""Colour -> class id, or `IGNORE`."""


class ClassList(NamedTuple):
    """Names of the classes, the background first, and their colours, as far as a folder has them; and warnings."""

    names: list[str] | None = None
    palette: Palette | None = None
    warnings: tuple[str, ...] = ()


def class_list(root: Path) -> ClassList:
    """Reads the lists that a folder has.

    Raises:
        DataError: For a file that cannot be read, two that contradict each other, or a background that is not class 0.
    """
    palette_file, text_file, json_file = (root / name for name in LISTS)
    if text_file.is_file() and json_file.is_file():
        raise DataError(f"{text_file} and {json_file} both name the classes. Keep one of them.")
    names: list[str] | None = None
    if text_file.is_file():
        names = [line.strip() for line in _text(text_file).splitlines() if line.strip()]
    elif json_file.is_file():
        names = _names(_json(json_file), json_file)
    listed = text_file if text_file.is_file() else json_file
    if names is not None:
        check_background_first(names, str(listed))
    if not palette_file.is_file():
        return ClassList(names, None, _without_background(names or [], listed))
    colours = _colours(_json(palette_file), palette_file)
    painted = [name for name in colours if name.lower() not in IGNORED_NAMES]
    if names is not None and sorted(names) != sorted(painted):
        odd = sorted(set(names) ^ set(painted))
        raise DataError(f"{palette_file} and the list of classes do not name the same classes: {', '.join(odd[:5])}.")
    if names is None:
        # Colours say which class is which, so the order in the file means nothing.
        names, listed = sorted(painted, key=lambda name: not is_background(name)), palette_file
        check_background_first(names, str(palette_file))
    palette = {colour: names.index(name) if name in names else IGNORE for name, colour in colours.items()}
    return ClassList(names, palette, _without_background(names, listed))


def check_background_first(names: Sequence[str], source: str) -> None:
    """Refuses a background that is not class 0, as pixels of value 0 are.

    Args:
        names: Of the classes in the order of their numbers.
        source: What names them, for errors.

    Raises:
        DataError: If it stands elsewhere or, once more, after the first place.
    """
    for number, name in enumerate(names):
        if number and is_background(name):
            raise DataError(
                f"{source} names {name!r} as class {number}, but in masks the background is 0. Name it first and once, "
                f"and number the masks so."
            )


def _without_background(names: list[str], path: Path) -> tuple[str, ...]:
    if not names or is_background(names[0]):
        return ()
    return (f"{path} names no {BACKGROUND!r}: its first class, {names[0]!r}, is taken for the background.",)


def _names(value: Any, path: Path) -> list[str]:
    if isinstance(value, dict):
        numbers = {int(key): name for key, name in value.items() if key.isascii() and key.isdecimal() and len(key) < 6}
        if len(numbers) == len(value) and sorted(numbers) == list(range(len(numbers))):
            value = [numbers[number] for number in range(len(numbers))]
    if not isinstance(value, list) or not all(isinstance(name, str) and name.strip() for name in value):
        raise DataError(
            f'{path} is no list of names, nor an object such as {{"0": "background", "1": "cat"}}. Mend it.'
        )
    return [name.strip() for name in value]


def _colours(value: Any, path: Path) -> dict[str, tuple[int, int, int]]:
    def is_colour(colour: Any) -> bool:
        return (
            isinstance(colour, list)
            and len(colour) == 3
            and all(type(part) is int and 0 <= part <= 255 for part in colour)
        )

    if not isinstance(value, dict) or not all(map(is_colour, value.values())):
        raise DataError(f'{path} is no object such as {{"background": [0, 0, 0], "cat": [255, 0, 0]}}. Mend it.')
    colours = {str(name): (colour[0], colour[1], colour[2]) for name, colour in value.items()}
    if len(set(colours.values())) < len(colours):
        raise DataError(f"{path} gives two classes the same colour. Repaint one.")
    return colours


def _json(path: Path) -> Any:
    try:
        return parse_json(_text(path))
    except ValueError as error:
        raise DataError(f"{path} is not JSON ({error}). Mend it.") from error


def _text(path: Path) -> str:
    try:
        if path.stat().st_size > _MAX_LIST_BYTES:
            raise DataError(f"{path} is too large for a list of classes. Check what it is.")
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read ({error}). Save it as UTF-8 text.") from error
