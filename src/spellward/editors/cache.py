"""Edits of whole tables, made once and kept in the private cache.

An edit takes far longer than a training step, so every edited table is a store of its own on disk. A run that was
killed goes on at the chunk where it stopped; a second run of the same edit waits for the first and shares its result.
"""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import hashlib
import hmac
import json
import os
import secrets
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from spellward.artifacts import cache_root, in_use, private_folder, storage_errors
from spellward.data.masks import MaskTable
from spellward.data.progress import bars_are_drawn, progress_bar
from spellward.data.store import ImageStore
from spellward.data.table import ImageTable
from spellward.editors.base import Editor, EditSettings
from spellward.errors import EditorError

ALGORITHM = "edits-1"
EDITS = "edits"
_CLEARED = (EDITS, "prepared", "parquet", "attacks")
_RUNS = "runs"
_SECRET = "secret"
_SECRET_BYTES = 32
_CHUNK_BYTES = 64 << 20


def edit_table(
    editor: Editor,
    table: ImageTable,
    prompts: str | Sequence[str],
    seed: int,
    salts: bytes | Sequence[bytes | None] | None,
    settings: EditSettings | None = None,
    *,
    progress: bool = True,
) -> ImageTable:
    """Edits every image of a table, or finds the edits in the cache.

    Args:
        editor: Any editor.
        table: N square images with labels; read and edited a chunk at a time, so memory does not grow with N.
        prompts: One prompt for all images, or one for each row.
        seed: Seed of the initial noise.
        salts: 16 secret bytes, or `None`; one for all images, or one for each row.
        settings: The editor's `defaults` if not given.
        progress: Whether to show a bar on a terminal.

    Returns:
        The edited images on disk, with the labels, classes and masks of `table`. The fingerprint names the edit, not
        the pixels; it is keyed with this cache's secret, so it tells nobody the prompt.

    Raises:
        EditorError: For a wrong number of prompts or salts, or what the editor refuses.
        StorageError: If the disk is full; chunks that were edited are kept.
    """
    settings = settings or editor.defaults
    count = len(table)
    prompt_list = [prompts] * count if isinstance(prompts, str) else list(prompts)
    salt_list = [salts] * count if salts is None or isinstance(salts, bytes) else list(salts)
    if len(prompt_list) != count or len(salt_list) != count:
        raise EditorError(f"Got {count} images but {len(prompt_list)} prompts and {len(salt_list)} salts.")
    name = _name(editor, table, prompt_list, seed, salt_list, settings)
    size = table.images.size
    chunk = max(1, min(editor.batch_size, _CHUNK_BYTES // (3 * size * size)))
    with ImageStore.create(private_folder(cache_root() / EDITS) / f"{name}.images", count, size) as writer:
        with _progress_bar(count - writer.done, progress) as advance:
            for start in range(writer.done, count, chunk):
                rows = slice(start, min(start + chunk, count))
                images = table.images[rows]
                writer.append(editor.edit(images, prompt_list[rows], seed, salt_list[rows], settings))
                advance(len(images))
        edited = ImageTable(writer.finish(), table.labels, table.classes, name)
        return table.with_images(edited) if isinstance(table, MaskTable) else edited


def private_name(*parts: Any) -> str:
    """Names something by what it was made from, keys included: keyed with this cache's secret, so it tells nobody what.

    Args:
        parts: Plain values, as JSON knows them, and bytes.
    """
    text = json.dumps(parts, sort_keys=True, default=list)
    return hmac.new(_cache_secret(), text.encode(), hashlib.sha256).hexdigest()


def cache_size() -> int:
    """Bytes that `cache_clear` would free if nothing was running."""
    total = 0
    for path in _files():
        with contextlib.suppress(FileNotFoundError):  # another process may have finished or cleared it
            total += path.stat().st_size
    return total


def cache_clear() -> int:
    """Deletes edits, prepared images, results of attacks and trainings, also the keys of locks that were not finished,
    but nothing that is being written, and no training that is going on, at this moment.

    Returns:
        Bytes freed.
    """
    freed = 0
    for path in _files():
        with contextlib.suppress(FileNotFoundError), storage_errors(path), path.open("rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            size = os.fstat(file.fileno()).st_size
            path.unlink(missing_ok=True)
            freed += size
    return freed


def _files() -> Iterator[Path]:
    root = cache_root()
    for folder in (*(root / name for name in _CLEARED), *sorted((root / _RUNS).glob("*"))):
        if in_use(folder):  # asked when its turn comes: what stands before it may take minutes to delete
            continue
        yield from sorted(path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())


def _name(
    editor: Editor,
    table: ImageTable,
    prompts: list[str],
    seed: int,
    salts: list[bytes | None],
    settings: EditSettings,
) -> str:
    """Names an edit: an HMAC (sha256, hex), because a plain hash of a guessable prompt can be searched offline."""
    facts = [ALGORITHM, table.fingerprint, editor.fingerprint(), len(table), seed, dataclasses.asdict(settings)]
    digest = hmac.new(_cache_secret(), json.dumps(facts, sort_keys=True).encode(), hashlib.sha256)
    # A lone surrogate is a legal Python string too.
    encoded_prompts = [prompt.encode("utf-8", "surrogatepass") for prompt in prompts]
    encoded_salts = [b"none" if salt is None else b"salt" + salt for salt in salts]
    for values in (encoded_prompts, encoded_salts):
        numbers: dict[bytes, int] = {}
        rows = np.array([numbers.setdefault(value, len(numbers)) for value in values], dtype="<i8")
        digest.update(rows.tobytes())
        for value in numbers:
            digest.update(hashlib.sha256(value).digest())
    return digest.hexdigest()


def _cache_secret() -> bytes:
    """256 random bits that belong to this cache alone; made on first use, mode 0600."""
    path = cache_root() / _SECRET
    with storage_errors(path):
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            # The lock is for a second process that starts at the same time; a torn file is made anew.
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            os.fchmod(descriptor, 0o600)
            secret = os.pread(descriptor, _SECRET_BYTES + 1, 0)
            if len(secret) != _SECRET_BYTES:
                secret = secrets.token_bytes(_SECRET_BYTES)
                os.ftruncate(descriptor, 0)
                os.pwrite(descriptor, secret, 0)
                os.fsync(descriptor)
        finally:
            os.close(descriptor)
    return secret


@contextlib.contextmanager
def _progress_bar(total: int, shown: bool) -> Iterator[Callable[[int], None]]:
    """Like the data stage's bar, with images per second."""
    if not bars_are_drawn():
        with progress_bar("Editing images", total, shown) as tell:
            yield tell
        return
    console = Console(stderr=True)
    columns = (
        TextColumn("Editing images"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[speed]} images/s"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True, disable=not (shown and console.is_terminal)) as bar:
        task = bar.add_task("", total=total, speed="-")

        def advance(count: int) -> None:
            speed = bar.tasks[task].speed
            bar.update(task, advance=count, speed=f"{speed:.3g}" if speed else "-")

        yield advance
