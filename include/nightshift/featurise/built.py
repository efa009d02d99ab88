"""What ``build()`` returned, as its set declares it: exactly, or refused by column and row.

What a feature is must not depend on what a night happened to hold: pandas makes floats of integers beside a null.
So a float is no identifier and no category, a number that is not whole is no integer, and only 0 and 1 are booleans.
"""

from datetime import date

import numpy as np
import pandas as pd

from nightshift.errors import BatchRejected
from nightshift.exact import exact, kind_of
from nightshift.room import key_bytes, long_keys
from nightshift.specs import FeatureSet
from nightshift.types import DTYPES, as_text

SPELLED = {"integer", "boolean", "date", "timestamp"}  # what has one text, whatever stands beside it
REMEDY = {
    "string": "give text; a number as an integer or as text that you format",
    "integer": "round it, or declare it float",
    "float": "give numbers, NaN for what is not known",
    "boolean": "give True, False or nothing",
}


def as_declared(spec: FeatureSet, built: object, batch_date: date) -> pd.DataFrame:
    """Return the entity and the declared columns, typed, ordered by entity.

    Raises:
        BatchRejected: no frame, other columns, no rows, entities that repeat, are null or too long, infinities,
            or a value that its column's type cannot hold.
    """
    where = _where(spec, batch_date)
    frame = _checked(spec, built, batch_date)
    entity = {name: _typed(frame, name, "string", spec.entity, where) for name in spec.entity}
    columns = {name: _typed(frame, name, kind, spec.entity, where) for name, kind in spec.columns.items()}
    typed = pd.DataFrame({**entity, **columns}).sort_values(spec.entity, ignore_index=True)
    _check_entity(spec, typed, where)
    for name, kind in spec.columns.items():
        if kind == "float":
            infinite = np.isinf(typed[name].to_numpy())
            if infinite.any():
                raise BatchRejected(
                    f"{where}: feature '{name}' holds infinities, first for {_row(spec, typed, infinite)}"
                )
    typed.insert(0, "batch_date", pd.Series(pd.Timestamp(batch_date), typed.index, DTYPES["date"]))
    return typed


def no_rows(spec: FeatureSet, batch_date: date) -> BatchRejected:
    """Return why a night is refused of which nothing was built."""
    return BatchRejected(f"{_where(spec, batch_date)}: no rows")


def _where(spec: FeatureSet, batch_date: date) -> str:
    return f"{spec.path}: build() for {batch_date}"


def _checked(spec: FeatureSet, built: object, batch_date: date) -> pd.DataFrame:
    where = _where(spec, batch_date)
    if not isinstance(built, pd.DataFrame):
        raise BatchRejected(f"{where}: expected a DataFrame, got {type(built).__name__}; return the frame")
    names = [str(name) for name in built.columns]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise BatchRejected(f"{where}: column '{twice[0]}' is there {names.count(twice[0])} times; keep one")
    expected, got = {*spec.entity, *spec.columns}, set(names)
    if expected != got:
        raise BatchRejected(
            f"{where}: missing columns {sorted(expected - got)}, undeclared columns {sorted(got - expected)}"
        )
    if built.empty:
        raise no_rows(spec, batch_date)
    return built.reset_index(drop=True)


def _typed(frame: pd.DataFrame, name: str, kind: str, entity: list[str], where: str) -> pd.Series:
    given = frame[name]
    if isinstance(given.dtype, pd.CategoricalDtype):
        kept = given.cat.categories.dtype
        # NumPy has no integer and no truth value beside a null.
        given = given.astype(object if kept.kind in "iub" else kept)
    if isinstance(given.dtype, pd.ArrowDtype):  # its values are the same, and its instants have other methods
        given = given.astype(object)
    typed = _text(given) if kind == "string" else _number(given, kind)
    wrong = (typed.isna() & given.notna()).to_numpy()
    if wrong.any():
        first = int(wrong.argmax())
        of = ", ".join(f"{each}={frame[each].iloc[first]!r:.60}" for each in entity if each != name)
        raise BatchRejected(
            f"{where}: column '{name}' is declared {kind}; row {first + 1}{f' ({of})' if of else ''} holds "
            f"{given.iloc[first]!r:.60} ({type(given.iloc[first]).__name__}), and {int(wrong.sum()) - 1} more rows; "
            f"{REMEDY[kind]}"
        )
    return typed


def _text(given: pd.Series) -> pd.Series:
    kind = "date" if given.dtype == DTYPES["date"] else kind_of(given)
    if kind in SPELLED:
        return as_text(exact(given, kind)).astype(DTYPES["string"])
    return exact(given, "string")


def _number(given: pd.Series, kind: str) -> pd.Series:
    found = kind_of(given)
    if found == "boolean" and kind != "boolean":
        given = exact(given, "boolean").astype("Int64")
    if found == "float" and kind == "boolean":
        given = exact(given, "integer")
    return exact(given, kind)


def _check_entity(spec: FeatureSet, typed: pd.DataFrame, where: str) -> None:
    null = typed[spec.entity].isna().any(axis=1).to_numpy()
    repeated = typed.duplicated(spec.entity).to_numpy()
    long = long_keys(typed, spec.entity, len(spec.entity))
    most = f"is longer than the {key_bytes(len(spec.entity)):,} bytes that a table's key has room for"
    for mask, fault, remedy in (
        (null, "has nulls", "return one row an entity"),
        (repeated, "is not unique", "return one row an entity"),
        (long, most, "an entity is a name, not a text: shorten it, or give its hash"),
    ):
        if mask.any():
            first = _row(spec, typed, mask)
            raise BatchRejected(
                f"{where}: {spec.entity} {fault}: {int(mask.sum())} rows, first {first}; {remedy}"
            )


def _row(spec: FeatureSet, typed: pd.DataFrame, mask: np.ndarray) -> str:
    first = typed.iloc[int(mask.argmax())]
    return ", ".join(f"{name}={first[name]!r:.60}" for name in spec.entity)
