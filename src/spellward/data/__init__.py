"""Any source of labelled images -> seeded splits -> one private store of square uint8 images.

load_splits(source)  ->  Splits of datasets.Dataset   (sources.py, folder.py, columns.py, splits.py)
prepare(split, size) ->  ImageTable                    (prepare.py, images.py, store.py, table.py)
"""

from spellward.data.images import decode_image
from spellward.data.prepare import prepare
from spellward.data.sources import load_splits
from spellward.data.splits import DataReport, Splits
from spellward.data.store import ImageStore
from spellward.data.table import ImageTable, table_from_arrays

__all__ = [
    "DataReport",
    "ImageStore",
    "ImageTable",
    "Splits",
    "decode_image",
    "load_splits",
    "prepare",
    "table_from_arrays",
]
