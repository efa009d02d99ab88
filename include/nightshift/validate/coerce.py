"""Delivered values to declared types, losslessly or not at all.

Sources that know types (SQL, Parquet, JSON) must deliver numbers as numbers: a column that turned to text is a
retyped column even while every text spells a number. CSV knows only text. Dates and timestamps may be ISO text
everywhere, since JSON and SQLite have no other way, also spelled 2013/02/08; timestamps without a zone are UTC.
"""

import numpy as np
import pandas as pd

from nightshift.exact import as_texts, exact
from nightshift.specs.parts import ColumnType

MISSING = {"integer": ["", "nan"], "float": ["", "nan"], "boolean": [""], "date": [""], "timestamp": [""]}


def coerce(delivered: pd.Series, kind: ColumnType, *, text_is_all: bool) -> tuple[pd.Series, np.ndarray]:
    """Return the values in the dtype of ``kind``, null where they are null or wrong, and a mask of the wrong ones.

    ``text_is_all``: the source knows only text (CSV), so numbers and booleans are read from it.
    """
    absent = delivered.isna().to_numpy()
    typed = exact(delivered, kind, texts=text_is_all)
    wrong = typed.isna().to_numpy() & ~absent
    if text_is_all and kind != "string" and wrong.any():
        # CSV writers that quote every field spell a missing value "", and many spell a missing number NaN.
        spelled = as_texts(delivered[wrong]).str.lower().reindex(delivered.index[wrong])
        wrong[wrong] = ~spelled.isin(MISSING[kind]).to_numpy()
    return typed, wrong
