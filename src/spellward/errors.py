"""The few kinds of error that Spellward raises on purpose.

Every message is one or two plain sentences: what was wrong (with the file's name), and what to do about it. The
command line prints the message alone and ends with the kind's exit code; anything else that is raised is a bug.
"""

from __future__ import annotations

from typing import ClassVar


class SpellwardError(Exception):
    """Base of all errors that a user can mend."""

    exit_code: ClassVar[int] = 1


class DataError(SpellwardError):
    """Images, labels or folders that cannot be used."""

    exit_code = 3


class KeyRefusedError(SpellwardError):
    """A key file that is broken, protected, or belongs to another model or editor."""

    exit_code = 4


class ArtifactError(SpellwardError):
    """A folder or file on disk that is foreign, truncated or altered."""

    exit_code = 5


class ModelError(SpellwardError):
    """A model that cannot be loaded, trained or saved."""

    exit_code = 6


class EditorError(SpellwardError):
    """An editor that cannot be loaded or was asked for something it cannot do."""

    exit_code = 7


class MissingExtraError(SpellwardError):
    """An optional dependency that is not installed; the message names the extra."""

    exit_code = 8


class StorageError(SpellwardError):
    """The disk is full or cannot be written; what was finished before is kept."""

    exit_code = 9
