"""Where a lock goes: a locked folder and a key beside it, both or neither, and what a killed run left of them."""

from __future__ import annotations

from pathlib import Path

from spellward.artifacts import cache_root, new_folder, private_folder, run_name
from spellward.errors import ArtifactError, KeyRefusedError
from spellward.keys import Key
from spellward.locking.folder import write_lock
from spellward.locking.training.recipe import Recipe
from spellward.models import VisionModel, save_checkpoint

PENDING = "pending.key"
"""The unfinished key of a lock, in its work folder."""
_RANDOM = {"salt", "seed", "lock_id"}


def publish(model: VisionModel, key: Key, recipe: Recipe, output: Path, key_path: Path, passphrase: str | None) -> Key:
    """Writes the checkpoint and `lock.json` into OUTPUT and the key beside it; all of it or nothing.

    Returns:
        The key with the digest of all files.
    """
    with new_folder(output) as folder:
        save_checkpoint(model, folder)
        record = write_lock(folder, key.lock_id, recipe.name, recipe.version)
        key = key.with_(weights_digest=record.digest)
        key.save(key_path, passphrase)
    return key


def resume_key(output: Path, key: Key, passphrase: str | None = None) -> Key:
    """Refuses to write over an earlier lock; takes salt, seed and lock id of a killed run to the same place.

    Only where the key leaves them open: a salt, say, that was given and is another one is a new lock.

    Raises:
        ArtifactError: If OUTPUT or OUTPUT.key exists.
    """
    key_path = output.with_name(output.name + ".key")
    pending = work_folder(output) / PENDING
    earlier = None
    if pending.is_file() and (passphrase is not None or not Key.is_protected(pending)):
        try:
            earlier = Key.load(pending, passphrase)
        except KeyRefusedError as error:
            raise KeyRefusedError(
                f"An earlier lock to {output} was not finished, and its key has another passphrase. Give that one to "
                "go on, or name another output."
            ) from error
        earlier = earlier if _goes_on(earlier, key) else None
    unfinished = key_path.exists() and not output.exists()
    if earlier is not None and unfinished and Key.load(key_path, passphrase).lock_id == earlier.lock_id:
        key_path.unlink()  # killed between the last two steps of `publish`; this run writes the same key
    for path in (output, key_path):
        if path.exists():
            raise ArtifactError(f"{path} exists. Name another output, or move it: a lost key cannot be made again.")
    return key if earlier is None else key.with_(**{name: getattr(earlier, name) for name in _RANDOM})


def _goes_on(earlier: Key, key: Key) -> bool:
    """Whether a key is that of an earlier run, as far as it says."""
    given = {"prompt", "editor", *(_RANDOM & key.model_fields_set)}
    same = all(getattr(earlier, name) == getattr(key, name) for name in given)
    return same and (earlier.salt is None) == (key.salt is None)


def work_folder(output: Path) -> Path:
    """Private folder for checkpoints and the unfinished key of a lock, in the cache and not beside the output."""
    return private_folder(cache_root() / "runs" / run_name(str(output.absolute())))
