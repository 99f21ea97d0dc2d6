"""All attacks on a lock, by name. A new one is a function in this folder and an entry here."""

from __future__ import annotations

from dataclasses import dataclass

from spellward.attacks.unlocking.extraction import extraction
from spellward.attacks.unlocking.fine_tuning import fine_tuning, head_tuning
from spellward.attacks.unlocking.guessing import filters, no_key, wrong_keys
from spellward.attacks.unlocking.key_inversion import key_inversion
from spellward.attacks.unlocking.mixing import averaging, stitching
from spellward.attacks.unlocking.probing import linear_probe, remap
from spellward.attacks.unlocking.prompt_inversion import prompt_inversion
from spellward.attacks.unlocking.pruning import fine_pruning
from spellward.attacks.unlocking.relearning import relearning
from spellward.attacks.unlocking.thief import AttackFunction

REFERENCE = ("fine-tuning", "head-tuning", "linear-probe")
"""What labels bring to whoever takes the public base instead: the one of these that looks best to a thief."""
_ANY = ("classification", "segmentation", "instances")
_CLASSES = ("classification",)


@dataclass(frozen=True)
class Attack:
    """One attack.

    Attributes:
        run: Steals from a model.
        on_base: The attacks on the public base that this one is measured against: itself alone, or `REFERENCE` where
            the base has nothing to open (wrong keys) or is what the locked model is mixed with. Of several, the one
            that a thief would choose by its own labelled images, as it chooses everything: the test images would
            choose better, and make gains look smaller. A thief with these labels could have put them to use on the
            base, so only what goes beyond that is a gain.
        guesses: Kind of wrong keys it needs; "" for none.
        edits: Whether what it finds depends on the lock's editor.
        tasks: What the model must be made for; attacks that read a single answer an image cannot read masks.
    """

    run: AttackFunction
    on_base: tuple[str, ...] = REFERENCE
    guesses: str = ""
    edits: bool = False
    tasks: tuple[str, ...] = _ANY


def _keyed(kind: str) -> Attack:
    return Attack(wrong_keys(kind), guesses=kind, edits=True)


ATTACKS: dict[str, Attack] = {
    "no-key": Attack(no_key),
    "filters": Attack(filters),
    "wrong-prompts": _keyed("wrong-prompts"),
    "wrong-prompts-known-salt": _keyed("wrong-prompts-known-salt"),
    "near-wordings": _keyed("near-wordings"),
    "other-settings": _keyed("other-settings"),
    "other-salts": _keyed("other-salts"),
    "other-editor": _keyed("other-editor"),
    "remap": Attack(remap, ("remap",), tasks=_CLASSES),
    "linear-probe": Attack(linear_probe, ("linear-probe",), tasks=_CLASSES),
    "fine-tuning": Attack(fine_tuning, ("fine-tuning",)),
    "head-tuning": Attack(head_tuning, ("head-tuning",)),
    "fine-pruning": Attack(fine_pruning, ("fine-pruning",)),
    "relearning": Attack(relearning, ("relearning",), tasks=_CLASSES),
    "averaging": Attack(averaging),
    "stitching": Attack(stitching),
    "key-inversion": Attack(key_inversion, tasks=_CLASSES),
    "prompt-inversion": Attack(prompt_inversion, edits=True, tasks=_CLASSES),
    "extraction": Attack(extraction, ("extraction",), tasks=_CLASSES),
}
