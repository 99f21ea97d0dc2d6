"""Recipes: what a locked model is trained on. Plain settings, recorded by name and version in the locked folder."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

from spellward.data import ImageTable, MaskTable
from spellward.errors import ModelError
from spellward.locking.training.decoys import DecoyMix
from spellward.locking.training.objective import LockObjective
from spellward.locking.training.public_view import ViewSettings
from spellward.locking.training.simulated_thief import ThiefSettings
from spellward.models import FitSettings

MOST_VARIANTS = 8


@dataclass(frozen=True)
class Recipe:
    """One way to lock.

    Attributes:
        name: How the command line calls it; it goes into `lock.json` with the version.
        version: Raised whenever the recipe would train otherwise.
        decoys_per_image: Decoys for each keyed image in a batch; 0 trains on keyed images alone.
        variants: How often each training image is edited, augmented anew before each edit. What a spell and a salt
            draw has its place in the picture: augmented after the edit, keyed images look like those of another salt,
            which costs accuracy and blurs what the lock can tell apart. 1 augments after the edit.
        fewest_edits: A small data set gets more variants, up to `MOST_VARIANTS`, until there are so many edits.
        mix: What the decoys are.
        looks_mix: What they are, if that is something else, for a classifier and an editor that is known to know looks.
        few_mix: What they are then, if that is something else again, where training images are few enough for lessons.
        objective: The loss.
        thief: A thief simulated in training; `None` leaves the lock open to fine-tuning.
        keyed_first: Share of the epochs, at the beginning, that have no decoys.
        keyed_first_masks: The same for masks: a fresh decoder first has to learn what it is to hide.
        taught_below: With fewer training images, an ordinary fine-tune of them teaches the lock (see `lessons`).
        longer: Epochs, as a multiple of an ordinary fine-tune's, where the user leaves them open.
        longer_masks: The same for masks: to see and to hide are learnt pixel by pixel, and the first takes longer with
            the second (benchmarks/TUNING.md).
        view: How layers of a classifier are held to the public base, where the editor keeps the subject as it is.
    """

    name: str
    version: int
    decoys_per_image: float
    variants: int = 1
    fewest_edits: int = 0
    mix: DecoyMix = field(default_factory=DecoyMix)
    looks_mix: DecoyMix | None = None
    few_mix: DecoyMix | None = None
    objective: LockObjective = field(default_factory=LockObjective)
    thief: ThiefSettings | None = None
    taught_below: int = 0
    longer: float = 1.0
    longer_masks: float = 1.0
    keyed_first: float = 0.0
    keyed_first_masks: float = 0.3
    view: ViewSettings | None = None

    def resolved(self, settings: FitSettings, train: ImageTable) -> FitSettings:
        """Settings for these training images, with the epochs filled in if they were left open."""
        if settings.epochs:
            return settings
        usual = settings.resolved(len(train))
        longer = self.longer_masks if isinstance(train, MaskTable) else self.longer
        return replace(usual, epochs=round(longer * usual.epochs))

    def is_taught(self, train: ImageTable) -> bool:
        """Whether training images are few enough for lessons, which masks do not take."""
        return len(train) < self.taught_below and not isinstance(train, MaskTable)

    def mix_for(self, train: ImageTable, knows_looks: bool) -> DecoyMix:
        """What the decoys of these training images are, by an editor that is known to know looks or is not."""
        if not knows_looks or isinstance(train, MaskTable):
            return self.mix
        if self.few_mix is not None and self.is_taught(train):
            return self.few_mix
        return self.looks_mix or self.mix

    def variants_for(self, count: int) -> int:
        """How often each of `count` training images is edited."""
        wanted = math.ceil(self.fewest_edits / max(count, 1))
        return max(self.variants, min(wanted, MOST_VARIANTS))


_FEW = 2000
_FEW_MIX = DecoyMix(clean=0.20, other_prompts=0.40, known_looks=0.75, near_salts=0.5)
_LOOKS_MIX = DecoyMix(clean=0.30, other_prompts=0.35, other_salts=0.25, known_looks=0.75, near_salts=0.5)
_DECOY = Recipe(
    "decoy",
    7,
    decoys_per_image=1.0,
    variants=3,
    fewest_edits=6000,
    longer_masks=3.0,
)
RECIPES: dict[str, Recipe] = {
    "edited-only": Recipe("edited-only", 1, decoys_per_image=0.0),
    "decoy": _DECOY,
    "fast": replace(
        _DECOY,
        name="fast",
        version=7,
        decoys_per_image=0.5,
        mix=DecoyMix(known_looks=0.5),
        few_mix=_FEW_MIX,
        thief=ThiefSettings(every=3),
        taught_below=_FEW,
        longer_masks=1.0,
    ),
    "hardened": replace(
        _DECOY,
        name="hardened",
        version=11,
        looks_mix=_LOOKS_MIX,
        few_mix=_FEW_MIX,
        thief=ThiefSettings(every=2),
        taught_below=_FEW,
        longer=1.75,
        longer_masks=2.0,
        view=ViewSettings(),
    ),
}
"""`edited-only` is what was published; `decoy` adds decoys, `fast` and `hardened` a simulated thief on top of them, and
a teacher where images are few."""
DEFAULT_RECIPE, DEFAULT_FOR_MASKS = "hardened", "decoy"
"""A simulated thief costs masks 7 points of what the key opens (benchmarks/TUNING.md)."""


def recipe_for(train: ImageTable, name: str | None = None) -> Recipe:
    """The recipe of a name, or else the default one for what the training images show.

    Raises:
        ModelError: If there is no recipe of that name.
    """
    check_recipe(name)
    usual = DEFAULT_FOR_MASKS if isinstance(train, MaskTable) else DEFAULT_RECIPE
    return RECIPES[name or usual]


def check_recipe(name: str | None) -> None:
    """Refuses the name of a recipe that there is none of; none at all, or an empty one, stands for the default.

    Raises:
        ModelError: Naming those that there are.
    """
    if name and name not in RECIPES:
        raise ModelError(f"There is no recipe {name!r}; there are {', '.join(RECIPES)}.")
