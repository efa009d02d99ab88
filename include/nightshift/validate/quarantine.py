"""The rows set aside: each with its reasons and, as JSON, with everything that was delivered.

Built column by column in Arrow: half a million rows take a second or two.
"""

import json
import re
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from nightshift.exact import kind_of
from nightshift.landing import spelled
from nightshift.validate.batches import Batches
from nightshift.validate.violations import Violation

TEXT = pa.large_string()
VALUE_LENGTH = 200
# Not of an escaped backslash before u0000, which is six letters.
NUL = re.compile(r"(?<!\\)((?:\\\\)*)\\u0000")
HALF_A_PAIR = re.compile("[\ud800-\udfff]")
COLUMNS = ("batch_date", "row_number", "rule", "column_name", "value", "row", "violations")


def rejected_rows(
    batches: Batches,
    violations: Sequence[Violation],
    declared: Sequence[str],
    delivered: Batches | None = None,
) -> pd.DataFrame:
    """Return one row for each position that a violation names, ascending.

    ``delivered``: the batches before any row was mended; values are shown as they were judged, rows as they came.
    """
    rows = np.concatenate([v.rows for v in violations]) if violations else np.empty(0, dtype=np.int64)
    order = np.argsort(rows, kind="stable")  # within a row, the violations keep their order
    positions, starts = np.unique(rows[order], return_index=True)
    told = _told(batches.frame, violations, order)
    listed = pa.LargeListArray.from_arrays(
        pa.array([*starts, len(rows)], type=pa.int64()), told["json"].combine_chunks()
    )
    first = told.take(pa.array(starts))
    days = np.array(batches.dates, dtype="datetime64[s]")[batches.day[positions]]
    table = pa.table(
        {
            "batch_date": pa.array(days),
            "row_number": pa.array(batches.row_numbers()[positions]),
            "rule": first["rule"],
            "column_name": first["column"],
            "value": first["value"],
            "row": _as_delivered(delivered or batches, positions, declared),
            "violations": _joined("[", pc.binary_join(listed, _text(", ")), "]"),
        }
    )
    return table.to_pandas()


def _as_delivered(batches: Batches, positions: np.ndarray, declared: Sequence[str]) -> pa.Array:
    """Return each row as JSON, with the columns that its own night has: others may be judged beside it."""
    days = batches.day[positions]
    nights: dict[tuple[str, ...], list[int]] = {}
    for number in np.unique(days):
        nights.setdefault(batches.columns[number], []).append(number)
    if len(nights) <= 1:
        return rows_as_json(batches.frame.iloc[positions], declared)
    places = [np.flatnonzero(np.isin(days, numbers)) for numbers in nights.values()]
    texts = [
        rows_as_json(batches.frame.iloc[positions[place]][list(dict.fromkeys(names))], declared)
        for names, place in zip(nights, places, strict=True)
    ]
    return pa.chunked_array(texts).combine_chunks().take(pa.array(np.argsort(np.concatenate(places))))


def no_rows() -> pd.DataFrame:
    """Return the columns of rows set aside, without a row."""
    return rejected_rows(Batches(pd.DataFrame({"row": []}), (), np.empty(0, dtype=np.int64), ()), [], [])


def _told(frame: pd.DataFrame, violations: Sequence[Violation], order: np.ndarray) -> pa.Table:
    """Return rule, column, value and all three as JSON of every violation of every row, in ``order``."""
    parts = [_one(frame, violation) for violation in violations]
    schema = pa.schema([("rule", TEXT), ("column", TEXT), ("value", TEXT), ("json", TEXT)])
    told = pa.concat_tables(parts) if parts else schema.empty_table()
    return told.take(pa.array(order))


def _one(frame: pd.DataFrame, violation: Violation) -> pa.Table:
    names = ", ".join(violation.columns)
    shown = [values_as_text(frame[c].iloc[violation.rows]) for c in violation.columns if c in frame]
    value = shown[0] if len(shown) == 1 else _several(shown, len(violation.rows))
    start = json.dumps({"rule": violation.rule, "column": names})[:-1] + ', "value": '
    count = len(violation.rows)
    return pa.table(
        {
            "rule": pa.repeat(_text(violation.rule), count),
            "column": pa.repeat(_text(names), count),
            "value": value,
            "json": _joined(start, pc.fill_null(_quoted(value), _text("null")), "}"),
        }
    )


def _several(shown: list[pa.Array], count: int) -> pa.Array:
    if not shown:
        return pa.nulls(count, TEXT)
    filled = [pc.fill_null(one, _text("null")) for one in shown]
    return pc.utf8_slice_codeunits(pc.binary_join_element_wise(*filled, _text(", ")), 0, VALUE_LENGTH)


def values_as_text(values: pd.Series) -> pa.Array:
    """Return the values as people read them, at most 200 characters, null for null."""
    text = _plain(values)
    if text is None:
        text = pa.array([None if _absent(value) else _shown(value) for value in values], type=TEXT)
    # PostgreSQL's text holds no NUL.
    return pc.utf8_slice_codeunits(pc.replace_substring(text, "\0", "\\0"), 0, VALUE_LENGTH)


def rows_as_json(frame: pd.DataFrame, declared: Sequence[str]) -> pa.Array:
    """Return each row as a JSON object, declared columns first; floats to their last digit."""
    names = [name for name in declared if name in frame]
    names += sorted(name for name in frame.columns if name not in names)
    parts: list[pa.Array | pa.Scalar] = []
    for number, name in enumerate(names):
        parts += [_text(f"{', ' if number else '{'}{json.dumps(name)}: "), values_as_json(frame[name])]
    return _without_nul(pc.binary_join_element_wise(*parts, _text("}"), _text("")))


def _without_nul(rows: pa.Array) -> pa.Array:
    """Return JSON with NUL spelled as in ``value``: PostgreSQL keeps it, and then cannot read the text around it."""
    holds = pc.fill_null(pc.match_substring(rows, "\\u0000"), False)
    if not pc.any(holds).as_py():
        return rows
    spelled = [NUL.sub(r"\1\\\\0", row) for row in rows.filter(holds).to_pylist()]
    return pc.replace_with_mask(rows, holds, pa.array(spelled, type=TEXT))


def values_as_json(values: pd.Series) -> pa.Array:
    """Return each value as JSON; null and NaN as null, infinities as text: JSON knows neither."""
    text = _plain(values)
    if text is None:
        return pa.array([_dumped(value) for value in values], type=TEXT)
    if kind_of(values) in ("integer", "boolean"):
        return pc.fill_null(text, _text("null"))
    if kind_of(values) == "float":
        finite = pc.is_finite(pc.cast(text, pa.float64()))
        return pc.fill_null(pc.if_else(finite, text, _quoted(text)), _text("null"))
    return pc.fill_null(_quoted(text), _text("null"))


def _plain(values: pd.Series) -> pa.Array | None:
    """Return the values as text by Arrow alone; None where they are Python objects of other types."""
    kind = kind_of(values)
    if values.dtype == object and kind not in ("text", "integer", "float", "boolean", "empty"):
        return None
    try:
        if kind == "timestamp":
            values = values.dt.as_unit("us")
        array = pa.array(values, from_pandas=True)
        array = array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array
        return pc.cast(array, TEXT)
    except (pa.ArrowException, ValueError, OverflowError):  # also a text or an instant out of bounds
        return None


def _shown(value: Any) -> str:
    """Return one value's text, spelled as :func:`_plain` spells a column of its kind."""
    if isinstance(value, bool | np.bool_):
        return str(value).lower()
    if isinstance(value, datetime):
        try:
            value = pd.Timestamp(value).as_unit("us").to_pydatetime()
        except (ValueError, OverflowError):  # of no year that Python knows
            return spelled(value.isoformat(" "))
    if isinstance(value, float | datetime):
        return str(pc.cast(pa.scalar(value), TEXT).as_py())
    return spelled(str(value))


def _quoted(text: pa.Array) -> pa.Array:
    """Return each text as a JSON string."""
    escaped = pc.replace_substring(pc.replace_substring(text, "\\", "\\\\"), '"', '\\"')
    quoted = _joined('"', escaped, '"')
    control = pc.fill_null(pc.match_substring_regex(text, r"[\x00-\x1f\x7f]"), False)
    if pc.any(control).as_py():
        spelled = [json.dumps(value, ensure_ascii=False) for value in text.filter(control).to_pylist()]
        quoted = pc.replace_with_mask(quoted, control, pa.array(spelled, type=TEXT))
    return quoted


def _dumped(value: Any) -> str:
    if _absent(value):
        return "null"
    if isinstance(value, Decimal) and value.is_finite():
        return f"{value:f}"  # a number, with every digit
    if isinstance(value, bool | np.bool_ | int) or (isinstance(value, float) and np.isfinite(value)):
        return _shown(value)
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError):  # no JSON type, or an infinity somewhere
        text = json.dumps(_shown(value), ensure_ascii=False)
    # Half a surrogate pair as in ``value``: its escape is JSON, which PostgreSQL keeps and then cannot read.
    return HALF_A_PAIR.sub(lambda found: f"\\\\u{ord(found[0]):04x}", text)


def _absent(value: Any) -> bool:
    return value is None or (pd.api.types.is_scalar(value) and bool(pd.isna(value)))


def _joined(before: str, text: pa.Array, after: str) -> pa.Array:
    return pc.binary_join_element_wise(_text(before), text, _text(after), _text(""))


def _text(value: str) -> pa.Scalar:
    return pa.scalar(value, type=TEXT)
