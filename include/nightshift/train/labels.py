"""Labels: the truth as it was known at a given time."""

from math import floor, inf, nextafter

import pandas as pd

from nightshift.distributions import nameable
from nightshift.errors import NotReady, SpecError
from nightshift.specs import Model
from nightshift.specs.tables import LABEL, NO_CLASS
from nightshift.spelling import spelled_otherwise
from nightshift.types import as_text

MOST_NAMED = 5
# When the first report came, and the first with an outcome; corrections come later.
FIRST_REPORTED, FIRST_KNOWN = "first_reported", "first_known"


def reports(model: Model, truth: pd.DataFrame, entity: list[str]) -> pd.DataFrame:
    """Return what rows of the target's source say: ``batch_date``, ``entity``, ``known_at``, ``label``, ``no_class``.

    The label: 1.0 or 0.0, the number of the class, or a regression's value; missing where the outcome is null (a flight
    that never arrived) or none of ``target.classes``, which is then in ``no_class`` as text. Of one batch's reports on
    an entity that were known at the same moment, the last; rows that name no entity report on none.
    """
    # Entities are text: a source may well keep a day as a date and a shop's number as an integer.
    found = truth[["batch_date", "known_at"]].assign(**{name: as_text(truth[name]) for name in entity})
    outcome = truth[model.truth.column]
    found[LABEL] = OUTCOMES[model.truth.form](model, outcome)
    is_none = outcome.notna() & found[LABEL].isna()
    found[NO_CLASS] = outcome[is_none].astype("str").reindex(found.index)
    found = found.dropna(subset=entity).drop_duplicates(["batch_date", *entity, "known_at"], keep="last")
    return found[["batch_date", *entity, "known_at", LABEL, NO_CLASS]]


def labels(model: Model, reported: pd.DataFrame, entity: list[str], known_by: pd.Timestamp) -> pd.DataFrame:
    """Return ``entity`` and ``label`` (float) of whatever had an outcome in its last report that was known by then.

    ``reported``: as :func:`reports` returns it, ascending by batch. A correction replaces what it corrects.

    Raises:
        SpecError: an outcome is none of ``target.classes``, and these refuse others.
    """
    known = _known(reported, known_by).drop_duplicates(entity, keep="last")
    require_classes(model, known[NO_CLASS])
    return known[[*entity, LABEL]].dropna(subset=[LABEL])


def came(reported: pd.DataFrame, entity: list[str], known_by: pd.Timestamp) -> pd.DataFrame:
    """Return ``entity``, its ``label`` as :func:`labels` has it, and since when it was reported, and had an outcome.

    Missing is the label of a last report without an outcome. One that is no class is for a training to refuse.
    """
    known = _known(reported, known_by)
    outcomes = known[known[LABEL].notna() | known[NO_CLASS].notna()]
    found = known.drop_duplicates(entity, keep="last")[[*entity, LABEL]]
    for name, rows in ((FIRST_REPORTED, known), (FIRST_KNOWN, outcomes)):
        first = rows.drop_duplicates(entity)[[*entity, "known_at"]].rename(columns={"known_at": name})
        found = found.merge(first, on=entity, how="left", validate="one_to_one")
    return found


def _known(reported: pd.DataFrame, known_by: pd.Timestamp) -> pd.DataFrame:
    """Return the reports that were known by then, ascending by when."""
    return reported[reported["known_at"] <= known_by].sort_values("known_at", kind="stable")


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
    return numbers.astype("float64").reindex(values.index)


def require_spelled(model: Model, truth: pd.DataFrame, known_by: pd.Timestamp) -> None:
    """Raise SpecError where a text of the target is hardly ever reported, and oftener in another case or with spaces.

    ``truth``: the target's source, as :func:`labels` takes it. Such rows would be labelled as what they are not.
    """
    target = model.truth
    asked = texts(model)
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


def texts(model: Model) -> list[str]:
    """Return the texts that the target's column is compared with."""
    return [each for each in (model.truth.equals, *(model.truth.classes or ())) if isinstance(each, str)]


def require_classes(model: Model, others: pd.Series) -> None:
    """Raise SpecError, naming the most frequent, if there are ``others`` than classes and the target refuses them."""
    others = others.dropna()
    if others.empty or model.truth.other_values != "refuse":
        return
    counted = others.value_counts()
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
