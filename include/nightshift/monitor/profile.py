"""What the training data looked like, small enough to keep with the model version.

Drift is decided against this profile, so the training data is never read again. Every feature becomes a
histogram: numbers by the deciles of the training data, categories by name, and always a last bin for
missing values, so missingness counts like any other change. Beside the histograms stands how much the
training weeks differed among themselves, because a night's rows share their weather and their lateness:
a week that differs from the average is no drift yet.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import date

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nightshift.distributions import FEWEST_ROWS, MOST_CATEGORIES, Floats, decile_edges, nameable, psi
from nightshift.errors import EmptyBatch, SchemaMismatch, did_you_mean
from nightshift.records.profile import Estimation, FeatureProfile, Kind, NightCounts, Profile
from nightshift.records.sketches import Counted, Counts
from nightshift.specs.model import Drift

Ints = NDArray[np.int64]
PREDICTION = "prediction"


def build_profile(
    features: pd.DataFrame,
    predictions: Floats,
    batch_dates: pd.Series,
    importance: Mapping[str, float],
    drift: Drift,
    categories: Mapping[str, Sequence[str]] | None = None,
    classes: Sequence[str] = (),
    estimation: Estimation | None = None,
) -> Profile:
    """Return the profile of the rows a model was trained on, (n, k) features and (n,) predictions.

    ``classes``: of several classes the predictions are P(class), (n, classes), in this order. ``estimation``: what the
    predictions are worth before labels, kept as it is.

    ``importance`` is any non-negative weight a feature (negative ones, as permutation importance has for
    noise, count as 0; all 0 means all alike). ``categories`` names the values of string columns that the
    model knows; without it, those observed. The 20 most frequent get a bin, the others share one.

    The envelope of a feature is the **maximum**, over every contiguous window of ``drift.window_days``
    nights of the training data, of the PSI between that window and all other training rows
    (leave-block-out, so that a window is never compared with itself). The maximum and no percentile:
    45 nights hold only about six independent weeks, of which a 95th percentile cannot be estimated, and
    even the maximum of K exchangeable weeks is exceeded by the next one with probability 1 / (K + 1).
    Windows of fewer rows than ``drift.min_rows`` are left out, being noise; with less than two windows of
    nights there is no envelope and ``drift.psi`` alone is the limit.

    Raises:
        EmptyBatch: no rows.
        SchemaMismatch: the lengths differ, or ``importance`` and the columns are not the same names.
    """
    _check_shapes(features, predictions, batch_dates, importance)
    nights = _days(batch_dates)
    weights = _normalised(importance)
    windows = _Windows(nights - nights.min(), drift)
    known = categories or {}
    columns = [
        windows.histogram(_bins_of(name, features[name], known.get(name)), features[name], weights[name])
        for name in map(str, features.columns)
    ]
    scores = columns_of(predictions, classes or (PREDICTION,))
    said = [(_bins_of(name, values, None), values) for name, values in scores.items()]
    return Profile(
        rows=len(features),
        first=date.fromordinal(int(nights.min())),
        last=date.fromordinal(int(nights.max())),
        window_days=drift.window_days,
        features=tuple(columns),
        predictions=tuple(windows.histogram(empty, values, 0.0) for empty, values in said),
        prediction_nights=_nights(nights, [windows.nightly(empty, values) for empty, values in said]),
        estimation=estimation,
    )


def columns_of(predictions: Floats, names: Sequence[str]) -> dict[str, pd.Series]:
    """Return predictions, (n,) or (n, classes), as a column a name. Raises SchemaMismatch if there are others."""
    values = predictions.reshape(len(predictions), -1) if len(predictions) else np.empty((0, len(names)))
    if values.shape[1] != len(names):
        raise SchemaMismatch(f"{values.shape[1]} predictions a row for {', '.join(names)}")
    return {name: pd.Series(values[:, number]) for number, name in enumerate(names)}


def counted(profile: Profile, features: pd.DataFrame, predictions: Floats) -> Counted:
    """Return (n, k) features and (n,) predictions as counts in the bins of ``profile``, every row counted.

    Predictions of several classes are P(class), (n, classes), in the order of ``profile.classes``. Features may come in
    any order; those that the profile does not name are left out. A category that it does not know is "other".

    Raises:
        SchemaMismatch: a feature is missing, its values are of another kind, or the lengths differ.
    """
    given = list(map(str, features.columns))
    for each in profile.features:
        if each.name not in given:
            raise SchemaMismatch(
                f"feature '{each.name}' of the profile is missing{did_you_mean(each.name, given)}"
            )
    if len(predictions) != len(features):
        raise SchemaMismatch(f"{len(predictions)} predictions for {len(features)} rows of features")
    said = columns_of(predictions, [each.name for each in profile.predictions])
    return Counted(
        len(features),
        tuple(tuple(count(each, features[each.name]).tolist()) for each in profile.features),
        tuple(tuple(count(each, said[each.name]).tolist()) for each in profile.predictions),
    )


def summed(nights: Iterable[Counted], profile: Profile) -> Counted:
    """Return the counts of the rows of all ``nights``."""
    none = [tuple((0,) * len(e.counts) for e in of) for of in (profile.features, profile.predictions)]
    total = Counted(0, none[0], none[1])
    for night in nights:
        total = Counted(
            total.rows + night.rows,
            _added(total.features, night.features),
            _added(total.predictions, night.predictions),
        )
    return total


def _added(one: Counts, other: Counts) -> Counts:
    return tuple(tuple(a + b for a, b in zip(*each, strict=True)) for each in zip(one, other, strict=True))


def counted_sha256(counts: Counted) -> str:
    """Return the hash of all that the counts of a night say."""
    return hashlib.sha256(json.dumps(asdict(counts), sort_keys=True).encode()).hexdigest()


def count(column: FeatureProfile, values: pd.Series) -> Ints:
    """Return the rows a bin of ``values``, every row counted; shape (bins,), the missing bin last.

    Raises:
        SchemaMismatch: the values are not of the column's kind.
    """
    return np.bincount(_codes(column, values), minlength=len(column.counts))


class _Windows:
    """Counts a night and a bin, summed over every contiguous window of the training nights."""

    def __init__(self, night: Ints, drift: Drift) -> None:
        """``night`` numbers each row's night from 0; nights without rows count as nights."""
        self._night = night
        self._nights = int(night.max()) + 1
        self._span = drift.window_days
        self._min_rows = drift.min_rows

    def histogram(self, empty: FeatureProfile, values: pd.Series, importance: float) -> FeatureProfile:
        """Return ``empty`` with its counts, its importance and its envelopes."""
        counts = self.nightly(empty, values)
        envelopes = self._envelopes(counts) if self._nights >= 2 * self._span else (0.0, 0.0)
        return empty.model_copy(
            update={
                "counts": tuple(counts.sum(axis=0).tolist()),
                "importance": importance,
                "psi_envelope": envelopes[0],
                "missing_envelope": envelopes[1],
            }
        )

    def nightly(self, empty: FeatureProfile, values: pd.Series) -> Ints:
        """Return the rows a night and a bin, (nights, bins)."""
        bins = len(empty.counts)
        cells = np.bincount(self._night * bins + _codes(empty, values), minlength=self._nights * bins)
        return cells.reshape(self._nights, bins)

    def _envelopes(self, counts: Ints) -> tuple[float, float]:
        running = np.concatenate([np.zeros((1, counts.shape[1]), dtype=np.int64), counts.cumsum(axis=0)])
        inside = running[self._span :] - running[: -self._span]
        rest = running[-1] - inside
        enough = np.minimum(inside.sum(axis=1), rest.sum(axis=1)) >= self._min_rows
        if not enough.any():
            return 0.0, 0.0
        inside, rest = inside[enough], rest[enough]
        excess = inside[:, -1] / inside.sum(axis=1) - rest[:, -1] / rest.sum(axis=1)
        return float(psi(rest, inside).max()), max(float(excess.max()), 0.0)


def _nights(days: Ints, columns: Sequence[Ints]) -> tuple[NightCounts, ...]:
    """Return the counts of each night with rows, from those a night and bin of each column, from the first night on."""
    first = int(days.min())
    return tuple(
        NightCounts(
            night=date.fromordinal(int(day)),
            counts=tuple(tuple(column[day - first].tolist()) for column in columns),
        )
        for day in np.unique(days)
    )


def _bins_of(name: str, values: pd.Series, known: Sequence[str] | None) -> FeatureProfile:
    """Return the bins for ``values``, all empty."""
    if pd.api.types.is_bool_dtype(values.dtype):
        return FeatureProfile(name=name, kind="boolean", counts=(0, 0, 0))
    if pd.api.types.is_numeric_dtype(values.dtype):
        edges = decile_edges(_as_floats(values))
        return FeatureProfile(name=name, kind="numeric", edges=edges, counts=(0,) * (len(edges) + 2))
    top = _top_categories(values, known)
    return FeatureProfile(name=name, kind="category", categories=top, counts=(0,) * (len(top) + 2))


def _top_categories(values: pd.Series, known: Sequence[str] | None) -> tuple[str, ...]:
    frequency = values.astype("str").value_counts()
    frequency = frequency[frequency >= FEWEST_ROWS]
    allowed = frequency.index if known is None else frequency.index.intersection(list(map(str, known)))
    named = [str(value) for value in allowed if nameable(str(value))]
    return tuple(sorted(named, key=lambda value: (-int(frequency[value]), value))[:MOST_CATEGORIES])


def _codes(column: FeatureProfile, values: pd.Series) -> Ints:
    """Return the number of each row's bin, shape (n,)."""
    try:
        return CODES[column.kind](column, values)
    except (TypeError, ValueError) as error:
        raise SchemaMismatch(f"'{column.name}': expected {column.kind} values, got {values.dtype}") from error


def _numeric_codes(column: FeatureProfile, values: pd.Series) -> Ints:
    numbers = _as_floats(values)
    codes = np.searchsorted(np.array(column.edges), numbers, side="right")
    codes[np.isnan(numbers)] = len(column.edges) + 1
    return codes


def _boolean_codes(_: FeatureProfile, values: pd.Series) -> Ints:
    return np.asarray(values.astype("boolean").astype("Int8").fillna(2), dtype=np.int64)


def _category_codes(column: FeatureProfile, values: pd.Series) -> Ints:
    missing = values.isna().to_numpy()
    codes = (
        pd.Index(list(column.categories), dtype="str")
        .get_indexer(pd.Index(values.astype("str")))
        .astype(np.int64)
    )
    codes[codes < 0] = len(column.categories)
    codes[missing] = len(column.categories) + 1
    return codes


CODES: dict[Kind, Callable[[FeatureProfile, pd.Series], Ints]] = {
    "numeric": _numeric_codes,
    "boolean": _boolean_codes,
    "category": _category_codes,
}


def _as_floats(values: pd.Series) -> Floats:
    return pd.to_numeric(values).to_numpy(dtype=np.float64, na_value=np.nan)


def _days(batch_dates: pd.Series) -> Ints:
    """Return the ordinal of each date, whatever way the column holds dates."""
    numbers, dates = pd.factorize(batch_dates)
    if (numbers < 0).any():
        raise SchemaMismatch("batch_dates: a row without a batch date")
    return np.array([pd.Timestamp(day).toordinal() for day in dates], dtype=np.int64)[numbers]


def _normalised(importance: Mapping[str, float]) -> dict[str, float]:
    weights = {name: max(float(weight), 0.0) for name, weight in importance.items()}
    total = sum(weights.values())
    if weights and total == 0:
        return dict.fromkeys(weights, 1 / len(weights))
    return {name: weight / total for name, weight in weights.items()}


def _check_shapes(
    features: pd.DataFrame, predictions: Floats, batch_dates: pd.Series, importance: Mapping[str, float]
) -> None:
    if not len(features):
        raise EmptyBatch("a profile of no rows")
    lengths = {"predictions": len(predictions), "batch_dates": len(batch_dates)}
    for what, length in lengths.items():
        if length != len(features):
            raise SchemaMismatch(f"{what}: {length} for {len(features)} rows of features")
    odd = set(importance) ^ set(map(str, features.columns))
    if odd:
        raise SchemaMismatch(f"importance and features differ in: {', '.join(sorted(odd))}")
