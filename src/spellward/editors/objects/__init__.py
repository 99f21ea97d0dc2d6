"""The object lock's editor: it adds an object to the background and leaves the foreground alone.

sprites.py (a prompt -> an object) and placing.py (a salt -> where, how large, which way) -> editor.py, which keeps off
what foreground.py finds. inpainting.py has a diffusers pipeline draw the object instead.
"""

from spellward.editors.objects.editor import ObjectEditor
from spellward.editors.objects.foreground import (
    Foreground,
    GivenForeground,
    SaliencyForeground,
    SegmenterForeground,
)
from spellward.editors.objects.inpainting import InpaintingInserter
from spellward.editors.objects.sprites import OBJECTS, object_for

__all__ = [
    "OBJECTS",
    "Foreground",
    "GivenForeground",
    "InpaintingInserter",
    "ObjectEditor",
    "SaliencyForeground",
    "SegmenterForeground",
    "object_for",
]
