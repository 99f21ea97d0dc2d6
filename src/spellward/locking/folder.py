"""`lock.json`: what a locked folder says about itself, which is nothing about its key."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from spellward.artifacts import atomic_write
from spellward.errors import ArtifactError, KeyRefusedError
from spellward.keys import Key
from spellward.manifest import Manifest
from spellward.plain_json import parse_json

LOCK_FILE = "lock.json"
_MAX_BYTES = 1_000_000


class LockRecord(BaseModel):
    """Contents of `lock.json`. It names neither prompt, seed, salt nor editor, nor a digest of them.

    Attributes:
        lock_id: 32 random hexadecimal digits that pair the model with its key.
        recipe, recipe_version: How it was trained.
        files: Digests of all other files of the folder.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    format: Literal["spellward-lock"] = "spellward-lock"
    version: Literal[1] = 1
    lock_id: str = Field(pattern=r"^[0-9a-f]{32}$")
    recipe: str
    recipe_version: int
    files: dict[str, str]

    def verify(self, folder: Path, key: Key | None = None) -> None:
        """Holds the folder's files against the digests here, and these against the one in the key.

        Raises:
            ArtifactError: If a file was altered, is missing or came in.
            KeyRefusedError: If the files are not those that the key was made for.
        """
        Manifest(self.files).verify(folder)
        # Earlier keys vouch for the weights alone.
        known = (self.digest, self.files.get("model.safetensors"))
        if key is not None and key.weights_digest and key.weights_digest not in known:
            raise KeyRefusedError(
                f"The weights or settings in {folder} are not those this key was made for, though the lock id is the "
                "same. Get the model from its owner again; if you changed it yourself, run `spellward key pair`."
            )

    @property
    def digest(self) -> str:
        """sha256 over the digests of all files: names of classes and normalisation decide answers as weights do."""
        return hashlib.sha256(Manifest(self.files).to_json().encode()).hexdigest()


def write_lock(folder: Path, lock_id: str, recipe: str, recipe_version: int) -> LockRecord:
    """Writes `lock.json` over everything that stands in the folder."""
    files = {path: digest for path, digest in Manifest.of(folder).files.items() if path != LOCK_FILE}
    record = LockRecord(lock_id=lock_id, recipe=recipe, recipe_version=recipe_version, files=files)
    atomic_write(folder / LOCK_FILE, record.model_dump_json(indent=2) + "\n")
    return record


def read_lock(folder: Path) -> LockRecord:
    """Reads `lock.json`.

    Raises:
        ArtifactError: If there is none, or it is broken.
    """
    path = folder / LOCK_FILE
    if not path.is_file():
        raise ArtifactError(f"{folder} is not a locked model: it has no {LOCK_FILE}. Name the folder `lock` wrote.")
    if path.stat().st_size > _MAX_BYTES:
        raise ArtifactError(f"{path} is too large to be a lock record.")
    try:
        return LockRecord.model_validate(parse_json(path.read_text(encoding="utf-8")))
    except (ValidationError, ValueError) as error:
        raise ArtifactError(f"{path} is broken or from another version; get the model from its owner again.") from error
