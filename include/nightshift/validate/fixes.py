"""Declared fixes: what a replay may do to rows that were set aside. One action on one column, no code.

A fix works on the values as delivered; the rows are judged afterwards, like any others.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from nightshift.errors import SpecError, did_you_mean
from nightshift.specs import Fix, Source
from nightshift.validate.batches import Batches
from nightshift.validate.dialect import typed
from nightshift.validate.quarantine import values_as_text

# Reads values as delivered; null where they are no numbers.
Numbers = Callable[[pd.Series], pd.Series]


def with_fixes(source: Source, batches: Batches, mended: Sequence[tuple[date, str, np.ndarray]]) -> Batches:
    """Return the batches with each fix applied to its rows, in the order given.

    Raises:
        SpecError: a fix is not declared any more.
    """
    frame = batches.frame
    for day, name, numbers in mended:
        fix = declared(source, name)
        positions = batches.positions(day, numbers)
        if fix.column in frame and len(positions):
            # Objects: what the fix puts in may be of another type than what was delivered beside it.
            values = frame[fix.column].astype(object)
            numbers_of = partial(_numbers, source, fix.column)
            fixed = FIXES[fix.action](values.iloc[positions], getattr(fix, fix.action), numbers_of)
            values.iloc[positions] = fixed.to_numpy(dtype=object)
            frame = frame.assign(**{fix.column: values})
    return replace(batches, frame=frame)


def declared(source: Source, name: str) -> Fix:
    """Return the fix of that name.

    Raises:
        SpecError: the source declares none.
    """
    if name not in source.fixes:
        raise SpecError(
            f"source '{source.name}', key 'fixes': rows were mended by '{name}', which is not declared any more"
            f"{did_you_mean(name, source.fixes)} Put it back: these rows are in the warehouse as it left them"
        )
    return source.fixes[name]


def _numbers(source: Source, column: str, values: pd.Series) -> pd.Series:
    return typed(source, column, values)[0]


def multiply(values: pd.Series, factor: float, numbers_of: Numbers) -> pd.Series:
    """Return the numbers times ``factor``; what is no number stays as it is."""
    typed = numbers_of(values)
    return values.where(typed.isna(), typed.astype("Float64") * factor)


def set_null(values: pd.Series, _: bool, __: Numbers) -> pd.Series:
    """Return nothing in place of every value."""
    return pd.Series(None, index=values.index, dtype=object)


def substitute(values: pd.Series, pairs: dict[Any, Any], _: Numbers) -> pd.Series:
    """Return the values that ``pairs`` names replaced, matched as the quarantine shows them."""
    shown = dict(
        zip(values_as_text(pd.Series(list(pairs), dtype=object)).to_pylist(), pairs.values(), strict=True)
    )
    delivered = values_as_text(values).to_pylist()
    replaced = [shown.get(text, value) for text, value in zip(delivered, values, strict=True)]
    return pd.Series(replaced, index=values.index, dtype=object)


FIXES: dict[str, Callable[[pd.Series, Any, Numbers], pd.Series]] = {
    "multiply": multiply,
    "set_null": set_null,
    "replace": substitute,
}
