"""A passphrase around a few bytes: scrypt and AES-256-GCM of the `cryptography` package, nothing of our own."""

from __future__ import annotations

import base64
import json
import secrets
import unicodedata
from typing import Any

from spellward.errors import KeyRefusedError

_COST = {"n": 2**15, "r": 8, "p": 1}
# The work factors stand in the file; bounds keep a hostile file from eating all memory (at most 256 MB).
_READABLE_N = {2**power for power in range(14, 19)}
_FIELDS = {"kdf", "n", "r", "p", "salt", "nonce", "ciphertext"}


class WrongPassphraseError(Exception):
    """The passphrase does not fit, or the sealed bytes or their header were altered; the two look the same."""


def seal(plain: bytes, passphrase: str, header: dict[str, Any]) -> dict[str, Any]:
    """Encrypts bytes under a passphrase.

    Args:
        plain: What to hide.
        passphrase: At least one character; compared in Unicode's NFC form, so that any keyboard will do.
        header: Plain JSON that stays readable beside the result and cannot be altered unnoticed.

    Returns:
        What `unseal` takes, as plain JSON.

    Raises:
        KeyRefusedError: For an empty passphrase.
    """
    if not passphrase:
        raise KeyRefusedError("A passphrase has at least one character. Give one, or save the key without.")
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    salt, nonce = secrets.token_bytes(16), secrets.token_bytes(12)
    public = {"kdf": "scrypt", **_COST, "salt": _text(salt)}
    ciphertext = AESGCM(_derive(passphrase, salt, **_COST)).encrypt(nonce, plain, _bound(header, public))
    return {**public, "nonce": _text(nonce), "ciphertext": _text(ciphertext)}


def unseal(sealed: Any, passphrase: str, header: dict[str, Any]) -> bytes:
    """Decrypts what `seal` returned, under the same header.

    Raises:
        WrongPassphraseError: If the passphrase is another one, or something was altered.
        ValueError: If `sealed` does not have the form that `seal` gives it.
    """
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    if not isinstance(sealed, dict) or sealed.keys() != _FIELDS or sealed["kdf"] != "scrypt":
        raise ValueError("not sealed by this version")
    cost = {name: sealed[name] for name in _COST}
    if not all(type(value) is int for value in cost.values()) or (cost["r"], cost["p"]) != (8, 1):
        raise ValueError("unknown work factors")
    if cost["n"] not in _READABLE_N or not all(isinstance(sealed[name], str) for name in ("salt", "nonce")):
        raise ValueError("unknown work factors")
    salt, nonce, ciphertext = (
        base64.b64decode(sealed[name], validate=True) for name in ("salt", "nonce", "ciphertext")
    )
    if (len(salt), len(nonce)) != (16, 12):
        raise ValueError("salt or nonce of another length")
    public = {name: sealed[name] for name in ("kdf", "n", "r", "p", "salt")}
    try:
        return AESGCM(_derive(passphrase, salt, **cost)).decrypt(nonce, ciphertext, _bound(header, public))
    except InvalidTag:
        raise WrongPassphraseError from None


def _derive(passphrase: str, salt: bytes, n: int, r: int, p: int) -> bytes:
    from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

    secret = unicodedata.normalize("NFC", passphrase).encode("utf-8", "surrogatepass")
    return Scrypt(salt=salt, length=32, n=n, r=r, p=p).derive(secret)


def _bound(header: dict[str, Any], public: dict[str, Any]) -> bytes:
    return json.dumps([header, public], sort_keys=True, separators=(",", ":")).encode()


def _text(raw: bytes) -> str:
    return base64.b64encode(raw).decode("ascii")
