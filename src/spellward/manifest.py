"""What a folder holds, as digests: anything that is missing, altered or was added is named."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path

from spellward.artifacts import safe_join, sha256_file
from spellward.errors import ArtifactError
from spellward.plain_json import parse_json

_DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Manifest:
    """Digests of the files of a folder.

    Law: `Manifest.from_json(m.to_json()) == m` for every manifest m.

    Attributes:
        files: Relative POSIX path to sha256 in hexadecimal.
    """

    files: dict[str, str]

    @classmethod
    def of(cls, folder: Path) -> Manifest:
        """Digests every file of a folder, hidden ones included.

        Raises:
            ArtifactError: For a file name that is no text.
        """
        paths = sorted(path for path in folder.rglob("*") if path.is_file())
        files = {path.relative_to(folder).as_posix(): sha256_file(path) for path in paths}
        for relative in files:
            if not _is_text(relative):
                raise ArtifactError(f"The file name {relative!r} in {folder} is no text. Rename it.")
        return cls(files)

    def to_json(self) -> str:
        return json.dumps(self.files, indent=2, sort_keys=True, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> Manifest:
        """Reads what `to_json` wrote.

        Raises:
            ArtifactError: For anything else.
        """
        try:
            files = parse_json(text)
        except ValueError as error:
            raise ArtifactError(
                "The manifest is truncated or not JSON. Get the folder from its owner again."
            ) from error
        if not isinstance(files, dict) or not all(
            isinstance(digest, str) and _DIGEST.fullmatch(digest) for digest in files.values()
        ):
            raise ArtifactError("The manifest does not map paths to digests. Get the folder from its owner again.")
        return cls(files)

    def verify(self, folder: Path, allowed_extra: tuple[str, ...] = ("lock.json",)) -> None:
        """Holds a folder against the digests.

        Raises:
            ArtifactError: Naming the first file that is missing, altered or was added.
        """
        for relative, digest in self.files.items():
            path = safe_join(folder, relative)
            if not path.is_file():
                raise ArtifactError(f"{path} is missing. Get the folder from its owner again.")
            if sha256_file(path) != digest:
                raise ArtifactError(f"{path} was altered after it was written. Get the folder from its owner again.")
        known = {*self.files, *allowed_extra}
        for path in sorted(folder.rglob("*")):
            relative = path.relative_to(folder).as_posix()
            hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
            if path.is_file() and relative not in known and not hidden:
                raise ArtifactError(f"{path} was not there when the folder was written. Remove it if it is yours.")


def _is_text(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
