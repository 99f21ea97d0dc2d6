"""Spellward: lock a vision model behind a secret spell.

The main stages, in the order in which imports go:

    errors       the kinds of error that a user can mend
    keys         `Key`: everything that unlocking needs, in one private file
    artifacts    files and folders on disk, with digests
    data         any source -> splits -> images in one store      (`load_splits`)
    models       any spec -> model; the one `fit`                 (`load_model`)
    editors      a prompt and an image -> an edited image         (`load_editor`)
    attacks      what a thief would try: unlocking a model, stealing one
    locking      `lock`, `unlock`, `score`, `attack`, `suggest`
    ownership    `create_claim`, `verify`, and `judge` for recorded outputs
    reports      results -> tables, figures, one HTML file
    cli          the command `spellward`

In six lines:

    from spellward import Key, load_splits, lock, unlock
    data = load_splits("photos/")
    key = Key("with oil pastel")
    lock("bundled", data, key, "locked/")  # settings=FitSettings(epochs=30), say
    model = unlock("locked/", Key.load("locked.key"))
    model.predict(images)

Names are imported when they are first used, so `import spellward` is quick.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from spellward.data import load_splits as load_splits
    from spellward.editors import load_editor as load_editor
    from spellward.errors import ArtifactError as ArtifactError
    from spellward.errors import DataError as DataError
    from spellward.errors import EditorError as EditorError
    from spellward.errors import KeyRefusedError as KeyRefusedError
    from spellward.errors import MissingExtraError as MissingExtraError
    from spellward.errors import ModelError as ModelError
    from spellward.errors import SpellwardError as SpellwardError
    from spellward.errors import StorageError as StorageError
    from spellward.keys import Key as Key
    from spellward.locking.attacking import attack as attack
    from spellward.locking.lock import lock as lock
    from spellward.locking.scoring import score as score
    from spellward.locking.suggest import suggest as suggest
    from spellward.locking.unlock import unlock as unlock
    from spellward.models import FitSettings as FitSettings
    from spellward.models import load_model as load_model
    from spellward.ownership.claim import ClaimSettings as ClaimSettings
    from spellward.ownership.claim import create_claim as create_claim
    from spellward.ownership.claim import load_claim as load_claim
    from spellward.ownership.judge import judge as judge
    from spellward.ownership.verdict import Verdict as Verdict
    from spellward.ownership.verify import verify as verify

    __version__: str

_HOMES = {
    "ArtifactError": "spellward.errors",
    "ClaimSettings": "spellward.ownership.claim",
    "DataError": "spellward.errors",
    "EditorError": "spellward.errors",
    "FitSettings": "spellward.models",
    "Key": "spellward.keys",
    "KeyRefusedError": "spellward.errors",
    "MissingExtraError": "spellward.errors",
    "ModelError": "spellward.errors",
    "SpellwardError": "spellward.errors",
    "StorageError": "spellward.errors",
    "Verdict": "spellward.ownership.verdict",
    "attack": "spellward.locking.attacking",
    "create_claim": "spellward.ownership.claim",
    "judge": "spellward.ownership.judge",
    "load_claim": "spellward.ownership.claim",
    "load_editor": "spellward.editors",
    "load_model": "spellward.models",
    "load_splits": "spellward.data",
    "lock": "spellward.locking.lock",
    "score": "spellward.locking.scoring",
    "suggest": "spellward.locking.suggest",
    "unlock": "spellward.locking.unlock",
    "verify": "spellward.ownership.verify",
}
__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("spellward")
    if name not in _HOMES:
        raise AttributeError(f"module 'spellward' has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES, "__version__"})
