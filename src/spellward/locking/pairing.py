"""Pairing a key with a locked folder anew, when its owner knows that they belong together."""

from __future__ import annotations

from pathlib import Path

from spellward.errors import KeyRefusedError
from spellward.keys import Key
from spellward.locking.folder import LOCK_FILE, read_lock, write_lock
from spellward.manifest import Manifest


def pair(folder: str | Path, key: Key) -> Key:
    """Takes the folder as it is now for the one that the key opens.

    For owners who changed the weights themselves (pruned, quantised, trained on) or whose folder got another lock id.
    `lock.json` is written anew if files changed; nothing tests that the key still opens the model, `score` does.

    Args:
        folder: A locked folder.
        key: The key to go with it.

    Returns:
        The key with the folder's lock id and the digest of its files.

    Raises:
        KeyRefusedError: If the key has never locked anything: its settings are still open.
        ArtifactError: If the folder is no locked model.
        StorageError: If `lock.json` cannot be written.
    """
    folder = Path(folder)
    record = read_lock(folder)
    if not key.editor_fingerprint:
        raise KeyRefusedError("This key has never locked a model, so it opens none. Give the key that `lock` wrote.")
    files = {path: digest for path, digest in Manifest.of(folder).files.items() if path != LOCK_FILE}
    if files != record.files:
        record = write_lock(folder, record.lock_id, record.recipe, record.recipe_version)
    return key.with_(lock_id=record.lock_id, weights_digest=record.digest)
