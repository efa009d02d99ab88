"""What the training data looked like, small enough to keep with the model version.

Drift is decided against this profile, so the training data is never read again. Every feature becomes a
histogram: numbers by the deciles of the training data, categories by name, and always a last bin for
missing values, so missingness counts like any other change. Beside the histograms stands how much the
training weeks differed among themselves, because a night's rows share their weather and their lateness:
a week that differs from the average is no drift yet.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import date

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nightshift.distributions import FEWEST_ROWS, MOST_CATEGORIES, Floats, decile_edges, nameable, psi
from nightshift.errors import EmptyBatch, SchemaMismatch
from nightshift.records.profile import Estimation, FeatureProfile, Kind, Profile
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
    return Profile(
        rows=len(features),
        first=date.fromordinal(int(nights.min())),
        last=date.fromordinal(int(nights.max())),
        window_days=drift.window_days,
        features=tuple(columns),
        predictions=tuple(
            windows.histogram(_bins_of(name, values, None), values, 0.0) for name, values in scores.items()
        ),
        estimation=estimation,
    )


def columns_of(predictions: Floats, names: Sequence[str]) -> dict[str, pd.Series]:
    """Return predictions, (n,) or (n, classes), as a column a name. Raises SchemaMismatch if there are others."""
    values = predictions.reshape(len(predictions), -1) if len(predictions) else np.empty((0, len(names)))
    if values.shape[1] != len(names):
        raise SchemaMismatch(f"{values.shape[1]} predictions a row for {', '.join(names)}")
    return {name: pd.Series(values[:, number]) for number, name in enumerate(names)}


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
        bins = len(empty.counts)
        cells = np.bincount(self._night * bins + _codes(empty, values), minlength=self._nights * bins)
        counts = cells.reshape(self._nights, bins)
        envelopes = self._envelopes(counts) if self._nights >= 2 * self._span else (0.0, 0.0)
        return empty.model_copy(
            update={
                "counts": tuple(counts.sum(axis=0).tolist()),
                "importance": importance,
                "psi_envelope": envelopes[0],
                "missing_envelope": envelopes[1],
            }
        )

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
    if total == 0:
        return dict.fromkeys(weights, 1 / len(weights))
    return {name: weight / total for name, weight in weights.items()}


def _check_shapes(
    features: pd.DataFrame, predictions: Floats, batch_dates: pd.Series, importance: Mapping[str, float]
) -> None:
    if features.empty:
        raise EmptyBatch("a profile of no rows, or of no features")
    lengths = {"predictions": len(predictions), "batch_dates": len(batch_dates)}
    for what, length in lengths.items():
        if length != len(features):
            raise SchemaMismatch(f"{what}: {length} for {len(features)} rows of features")
    odd = set(importance) ^ set(map(str, features.columns))
    if odd:
        raise SchemaMismatch(f"importance and features differ in: {', '.join(sorted(odd))}")
