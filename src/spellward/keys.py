"""The key: everything that unlocking needs, and the only place where it stands."""

from __future__ import annotations

import json
import secrets
import stat
import warnings
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from spellward.artifacts import atomic_write
from spellward.errors import KeyRefusedError
from spellward.plain_json import parse_json
from spellward.sealing import WrongPassphraseError, seal, unseal

SALT_BYTES = 16
MAX_PROMPT_CHARACTERS = 10_000
_FORMAT = "spellward-key"
_VERSION = 1
_MAX_FILE_BYTES = 1_000_000


class Key(BaseModel):
    """A key prompt with all that decides how an image is edited under it.

    Law: `Key.load(p) == k` after `k.save(p)`, with and without a passphrase.

    Attributes:
        prompt: The spell. Any text of at most 10,000 characters.
        salt: 16 secret bytes that vary the edit, so that the right words alone do not open the lock; `None` gives
            the published scheme (ModelLock).
        seed: Seed of the editor's initial noise.
        editor: Which editor (`load_editor`).
        editor_fingerprint: Identity of the editor that the model was locked with (`Editor.identity`); empty before.
        steps, guidance, image_guidance, strength: Edit settings; `None` leaves them to the editor until the lock is
            made, which fills them in.
        resolution: Side at which images are edited, in pixels.
        lock_id: 32 random hexadecimal digits, the same in the locked model.
        weights_digest: Digest of the model the key was made for (`LockRecord.digest`); empty before the lock is made.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, hide_input_in_errors=True)

    prompt: Annotated[str, Field(max_length=MAX_PROMPT_CHARACTERS)]
    salt: bytes | None = Field(default_factory=lambda: secrets.token_bytes(SALT_BYTES))
    seed: int = Field(default_factory=lambda: secrets.randbits(31), ge=0, lt=2**63)
    editor: str = "mini"
    editor_fingerprint: str = ""
    steps: int | None = Field(default=None, ge=1, le=1000)
    guidance: float | None = Field(default=None, ge=0, le=1000, allow_inf_nan=False)
    image_guidance: float | None = Field(default=None, ge=0, le=1000, allow_inf_nan=False)
    strength: float | None = Field(default=None, gt=0, le=1, allow_inf_nan=False)
    resolution: int | None = Field(default=None, ge=8, le=4096)
    lock_id: str = Field(default_factory=lambda: secrets.token_hex(16), pattern=r"^[0-9a-f]{32}$")
    weights_digest: str = Field(default="", pattern=r"^([0-9a-f]{64})?$")

    def __init__(self, prompt: str, **fields: Any) -> None:
        """Makes a key; salt, seed and lock id are fresh unless given.

        Raises:
            KeyRefusedError: Naming the first field that is unknown or has a value it cannot have.
        """
        try:
            super().__init__(prompt=prompt, **fields)
        except ValidationError as error:
            raise KeyRefusedError(f"This is not a usable key: {_first_problem(error)}.") from error

    @field_validator("salt")
    @classmethod
    def _salt_has_its_length(cls, salt: bytes | None) -> bytes | None:
        if salt is not None and len(salt) != SALT_BYTES:
            raise ValueError(f"a salt has {SALT_BYTES} bytes, got {len(salt)}")
        return salt

    @field_validator("prompt")
    @classmethod
    def _prompt_is_text(cls, prompt: str) -> str:
        try:
            prompt.encode("utf-8")
        except UnicodeEncodeError as error:
            raise ValueError("the prompt has half of a surrogate pair, which is no text") from error
        return prompt

    def __repr_args__(self) -> Iterator[tuple[str | None, Any]]:
        """Names the lock; never the prompt, the salt or the seed, since keys end up in logs and tracebacks."""
        yield "lock_id", f"{self.lock_id[:8]}..."

    def __str__(self) -> str:
        return repr(self)

    def with_(self, **changes: Any) -> Self:
        """The same key with some fields changed; validated again."""
        fields = {name: getattr(self, name) for name in type(self).model_fields}
        return type(self)(**{**fields, **changes})

    def save(self, path: str | Path, passphrase: str | None = None, *, overwrite: bool = False) -> None:
        """Writes the key file, mode 0600.

        Args:
            path: The file.
            passphrase: Encrypts the key (scrypt, AES-256-GCM) if given.
            overwrite: Whether an existing file may be replaced. A lost key cannot be made again.

        Raises:
            KeyRefusedError: If the file exists and may not be replaced.
            StorageError: If it cannot be written.
        """
        path = Path(path)
        if path.exists() and not overwrite:
            raise KeyRefusedError(f"{path} exists, and a lost key cannot be made again. Move it, or name another file.")
        path = path.resolve()  # behind a link, the key itself has to change: its old content may be in the clear
        header = {"format": _FORMAT, "version": _VERSION}
        if passphrase is None:
            document = header | self._fields()
        else:
            header["lock_id"] = self.lock_id
            document = header | {"protected": seal(json.dumps(self._fields()).encode(), passphrase, header)}
        atomic_write(path, json.dumps(document, indent=2, ensure_ascii=False) + "\n", mode=0o600)

    @classmethod
    def load(cls, path: str | Path, passphrase: str | None = None) -> Key:
        """Reads a key file.

        Args:
            path: The file.
            passphrase: Needed if the key is protected, else ignored.

        Raises:
            KeyRefusedError: If it is missing, broken, foreign, from another version, or the passphrase is wrong.
        """
        path = Path(path)
        document = _read_document(path)
        if path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            warnings.warn(f"Others on this machine can read {path}; run `chmod 600` on it.", stacklevel=2)
        if "protected" in document:
            if passphrase is None:
                raise KeyRefusedError(f"{path} is protected. Give its passphrase (SPELLWARD_PASSPHRASE).")
            fields = _unseal_fields(document, passphrase, path)
        else:
            fields = {name: value for name, value in document.items() if name not in ("format", "version")}
        # A missing field must not fall back to its default, which for salt, seed and lock id is a fresh random one.
        if odd := fields.keys() ^ cls.model_fields.keys():
            what = "lacks" if min(odd) in cls.model_fields else "has an unknown field"
            raise KeyRefusedError(f"{path} is not a complete key: it {what} {min(odd)[:40]!r}. Use a backup.")
        try:
            if fields["salt"] is not None:
                fields["salt"] = bytes.fromhex(fields["salt"])
            return cls(**fields)
        except KeyRefusedError as error:
            raise KeyRefusedError(f"{path} is broken. {error} Use a backup.") from error
        except (ValueError, TypeError) as error:
            raise KeyRefusedError(f"{path} is broken: the salt is not hexadecimal. Use a backup.") from error

    @staticmethod
    def is_protected(path: str | Path) -> bool:
        """Whether a key file asks for a passphrase."""
        return "protected" in _read_document(Path(path))

    def _fields(self) -> dict[str, Any]:
        fields = {name: getattr(self, name) for name in type(self).model_fields}
        return fields | {"salt": None if self.salt is None else self.salt.hex()}


def key_from(given: Key | str | Path) -> Key:
    """A key as it is, or out of its file: for functions that only open things, so that a string can be no new prompt.

    Args:
        given: A key, or the path of a key file without a passphrase.

    Raises:
        KeyRefusedError: If it is neither, or the key is protected or cannot be used. Of a string nothing is repeated:
            it may be the prompt.
    """
    if isinstance(given, Key):
        return given
    if isinstance(given, Path):
        if Key.is_protected(given):
            raise KeyRefusedError(f"{given} is protected. Give Key.load(path, passphrase) instead of its path.")
        return Key.load(given)
    if not isinstance(given, str) or not _is_file(given):
        raise KeyRefusedError("This is neither a key nor a key file. Give Key.load(path) or the path of the key file.")
    reason = "cannot be used; give Key.load(path)"
    with suppress(KeyRefusedError):
        if not Key.is_protected(given):
            return Key.load(given)
        reason = "is protected; give Key.load(path, passphrase)"
    # Raised out here, since an error would carry along the one that was being handled, which names the file.
    raise KeyRefusedError(f"The key file {reason} instead of its path.")


def is_blank(prompt: str) -> bool:
    """Whether a prompt says nothing, as the value of a variable that was never set does.

    `Key` itself takes such a prompt, since a key that was made with one before has to open its model; whoever makes a
    new key or lock refuses it.
    """
    return not prompt.strip()


def _is_file(text: str) -> bool:
    try:
        return Path(text).is_file()
    except (OSError, ValueError):  # too long for a path, say, as a prompt may be
        return False


def _read_document(path: Path) -> dict[str, Any]:
    try:
        status = path.stat()
        if stat.S_ISREG(status.st_mode) and status.st_size > _MAX_FILE_BYTES:
            raise KeyRefusedError(f"{path} is too large to be a key. Name the file that `lock` wrote.")
        if not stat.S_ISREG(status.st_mode):
            raise KeyRefusedError(f"{path} is not a file. Name the key file that `lock` wrote.")
        document = parse_json(path.read_bytes().decode("utf-8"))
    except OSError as error:
        reason = (error.strerror or "unreadable").lower()
        raise KeyRefusedError(f"The key {path} cannot be read ({reason}). Name the file that `lock` wrote.") from error
    except ValueError as error:
        raise KeyRefusedError(f"{path} is truncated or not a key. Use a backup.") from error
    if not isinstance(document, dict) or document.get("format") != _FORMAT:
        raise KeyRefusedError(f"{path} is not a Spellward key. Name the file that `lock` wrote.")
    version = document.get("version")
    if type(version) is not int:
        raise KeyRefusedError(f"{path} does not say which version of key it is. Use a backup.")
    if version != _VERSION:
        raise KeyRefusedError(
            f"{path} is a key of version {version}, and this program reads version {_VERSION}. "
            "Install the Spellward that made it."
        )
    return document


def _unseal_fields(document: dict[str, Any], passphrase: str, path: Path) -> dict[str, Any]:
    header = {name: value for name, value in document.items() if name != "protected"}
    try:
        fields = parse_json(unseal(document["protected"], passphrase, header).decode("utf-8"))
    except WrongPassphraseError as error:
        raise KeyRefusedError(f"The passphrase for {path} is wrong, or the file was altered.") from error
    except (TypeError, ValueError) as error:
        raise KeyRefusedError(f"{path} is broken, or protected in a way that this version does not know.") from error
    if not isinstance(fields, dict) or fields.get("lock_id") != header.get("lock_id"):
        raise KeyRefusedError(f"{path} is broken. Use a backup.")
    return fields


def _first_problem(error: ValidationError) -> str:
    first = error.errors(include_input=False, include_url=False, include_context=False)[0]
    place, message = ".".join(str(part) for part in first["loc"]) or "key", first["msg"].removeprefix("Value error, ")
    return f"{place}: {message[:1].lower()}{message[1:]}"
