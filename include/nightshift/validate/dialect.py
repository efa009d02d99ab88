"""A source's own spelling, read: its dialect and its clock first, then its declared types."""

import numpy as np
import pandas as pd

from nightshift.specs import Source
from nightshift.spelling import plain
from nightshift.validate.coerce import coerce

KEYS = {
    "integer": "decimal, thousands or nulls",
    "float": "decimal, thousands or nulls",
    "boolean": "true_values and false_values, or nulls",
    "date": "dates or nulls",
    "timestamp": "timestamps or nulls",
}


def typed(source: Source, name: str, delivered: pd.Series) -> tuple[pd.Series, np.ndarray]:
    """Return a column's values as its type, null where they are null or wrong, and a mask of the wrong ones."""
    kind = source.columns[name].type
    values = plain(delivered, kind, source.dialect, source.zone_of(name))
    return coerce(values, kind, text_is_all=source.text_is_all)


def remedy(source: Source, name: str) -> str:
    """Return which key says that a column's values are spelled so, if one does; else nothing."""
    keys = KEYS.get(source.columns[name].type) if source.text_is_all else None
    return f"; if that is how it is spelled, say so in connector.dialect ({keys})" if keys else ""
