"""Any source of labelled images -> seeded splits -> one private store of square uint8 images.

load_splits(source)  ->  Splits of datasets.Dataset   (sources.py, folder.py, columns.py, splits.py)
prepare(split, size) ->  ImageTable                    (prepare.py, images.py, store.py, table.py)

Images with masks go the same way and end as a MaskTable (masks.py, pairs.py, mask_folder.py, coco.py, mask_columns.py).
"""

from spellward.data.images import decode_image
from spellward.data.masks import IGNORE, MaskTable, mask_table_from_arrays
from spellward.data.prepare import prepare
from spellward.data.sources import load_splits
from spellward.data.splits import DataReport, Splits
from spellward.data.store import ImageStore
from spellward.data.table import ImageTable, table_from_arrays

__all__ = [
    "IGNORE",
    "DataReport",
    "ImageStore",
    "ImageTable",
    "MaskTable",
    "Splits",
    "decode_image",
    "load_splits",
    "mask_table_from_arrays",
    "prepare",
    "table_from_arrays",
]
