"""Labels: the truth as it was known at a given time."""

from math import floor, inf, nextafter

import pandas as pd

from nightshift.distributions import nameable
from nightshift.errors import NotReady, SpecError
from nightshift.specs import Model
from nightshift.specs.tables import LABEL
from nightshift.spelling import spelled_otherwise
from nightshift.types import as_text

MOST_NAMED = 5
# When the first report came, and the first with an outcome; corrections come later.
FIRST_REPORTED, FIRST_KNOWN = "first_reported", "first_known"


def labels(model: Model, truth: pd.DataFrame, entity: list[str], known_by: pd.Timestamp) -> pd.DataFrame:
    """Return ``entity`` and ``label`` (float) for every row of ``truth`` whose outcome was known by then.

    The label: 1.0 or 0.0, the number of the class, or a regression's value. The last report counts: a correction
    replaces what it corrects. Rows whose outcome is null (a flight that never arrived) have no label.

    Raises:
        SpecError: an outcome is none of ``target.classes``.
    """
    known = truth[truth["known_at"] <= known_by].sort_values("known_at", kind="stable")
    # Entities are text: a source may well keep a day as a date and a shop's number as an integer.
    known = known.assign(**{name: as_text(known[name]) for name in entity})
    known = known.drop_duplicates(entity, keep="last")
    outcome = OUTCOMES[model.truth.form](model, known[model.truth.column])
    return known[entity].assign(**{LABEL: outcome}).dropna(subset=[LABEL])


def outcomes(model: Model, truth: pd.DataFrame, entity: list[str], known_by: pd.Timestamp) -> pd.DataFrame:
    """Return ``entity``, ``label`` and when it was first reported and first known, a row an entity reported by then.

    Reported without an outcome (a flight that never arrived), its label and when that was known are missing.
    """
    known = truth[truth["known_at"] <= known_by]
    known = known.assign(**{name: as_text(known[name]) for name in entity})
    reports = known.groupby(entity, observed=True, sort=False)["known_at"].min()
    with_outcome = known[known[model.truth.column].notna()]
    first = with_outcome.groupby(entity, observed=True, sort=False)["known_at"].min()
    found = pd.concat({FIRST_REPORTED: reports, FIRST_KNOWN: first}, axis=1).reset_index()
    return found.merge(labels(model, truth, entity, known_by), on=entity, how="left", validate="one_to_one")


def labelled(features: pd.DataFrame, truth: pd.DataFrame, entity: list[str]) -> pd.DataFrame:
    """Return the feature rows that have a label, in the order of ``features``.

    Raises:
        SpecError: an entity has features on several nights: which of them its label belongs to would be a guess.
    """
    again = features.duplicated(entity)
    if again.any():
        first = features[again].iloc[0]
        nights = features.loc[(features[entity] == first[entity]).all(axis=1), "batch_date"].dt.date
        raise SpecError(
            f"key 'entity': {_named(first, entity)} has features on {nights.iloc[0]} and on {nights.iloc[1]}, and one "
            "label: an entity is one event. Let it name the day as well, a column of the target's source too"
        )
    return features.merge(truth, on=entity, how="inner", validate="one_to_one")


def never_met(model: Model, features: pd.DataFrame, truth: pd.DataFrame, entity: list[str]) -> NotReady:
    """Return the error for features and labels, some of each, of which none are of one entity."""
    return NotReady(
        f"model '{model.name}': none of {len(truth)} labels is of an entity that has features: labels are of "
        f"{_named(truth.iloc[-1], entity)}, features of {_named(features.iloc[-1], entity)}. If both mean the same "
        f"things, have source '{model.truth.source}' and build() of {model.features} spell them alike: they are "
        "compared as text"
    )


def _named(row: pd.Series, entity: list[str]) -> str:
    shown = (repr(row[name]) if nameable(str(row[name])) else "(a text not shown)" for name in entity)
    return ", ".join(f"{name} {value}" for name, value in zip(entity, shown, strict=True))


def _value(_: Model, values: pd.Series) -> pd.Series:
    return values.astype("float64")


def _above(model: Model, values: pd.Series) -> pd.Series:
    """Compare exactly: an integer never becomes a float, and a threshold that no float holds is the one below it."""
    above = model.truth.above or 0
    if not pd.api.types.is_integer_dtype(values.dtype):
        nearest = float(above)
        return _truth(values > (nearest if nearest <= above else nextafter(nearest, -inf)), values)
    return _truth(values > floor(above), values)


def _equals(model: Model, values: pd.Series) -> pd.Series:
    return _truth(values == model.truth.equals, values)


def _class(model: Model, values: pd.Series) -> pd.Series:
    known = values.dropna()
    numbers = known.map({value: number for number, value in enumerate(model.truth.classes or ())})
    if model.truth.other_values == "refuse":
        _refuse_others(model, known[numbers.isna()])
    return numbers.astype("float64").reindex(values.index)


def require_spelled(model: Model, truth: pd.DataFrame, known_by: pd.Timestamp) -> None:
    """Raise SpecError where a text of the target is hardly ever reported, and oftener in another case or with spaces.

    ``truth``: the target's source, as :func:`labels` takes it. Such rows would be labelled as what they are not.
    """
    target = model.truth
    asked = [each for each in (target.equals, *(target.classes or ())) if isinstance(each, str)]
    if not asked:
        return
    values = truth.loc[truth["known_at"] <= known_by, target.column].dropna().astype("str")
    for text in asked:
        there, others = int((values == text).sum()), spelled_otherwise(values[~values.isin(asked)], text)
        if sum(others.values()) > there:
            named = [f"{each!r} in {rows}" for each, rows in others.items() if nameable(each)][:MOST_NAMED]
            raise SpecError(
                f"model '{model.name}': key 'target.{target.form}': {text!r} is in {there} of {len(values)} rows of "
                f"column '{target.column}' of source '{target.source}', {', '.join(named)}; texts are compared to the "
                f"letter. Did you mean {next(iter(others))!r}? If several are meant, have the source deliver one, and "
                "hold it to that with expect_column_values_to_be_in_set"
            )


def _refuse_others(model: Model, others: pd.Series) -> None:
    if others.empty:
        return
    counted = others.astype("str").value_counts()
    named = [f"'{value}' ({rows} rows)" for value, rows in counted.items() if nameable(str(value))][
        :MOST_NAMED
    ]
    more = len(counted) - len(named)
    meant = [each for each in model.classes if spelled_otherwise(others, each)]
    did_you_mean = f"; did you mean '{meant[0]}'?" if meant else "."
    raise SpecError(
        f"model '{model.name}': key 'target.classes': column '{model.truth.column}' of source "
        f"'{model.truth.source}' has {len(counted)} values that are no class: {', '.join(named)}"
        f"{f' and {more} more' if more else ''}{did_you_mean} Add them to classes, or write other_values: unlabelled, "
        "and rows with them have no label"
    )


def _truth(true: pd.Series, values: pd.Series) -> pd.Series:
    return true.astype("boolean").fillna(False).astype("float64").where(values.notna())


OUTCOMES = {"value": _value, "above": _above, "equals": _equals, "classes": _class}
