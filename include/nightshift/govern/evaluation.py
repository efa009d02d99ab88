"""The assessment: challenger and champion on the same holdout, now; overall, a slice at a time, and how sure.

Both are scored on the same rows, and the same days are drawn for both (:mod:`nightshift.bootstrap`): a gain is the
difference on the same days, so a hard day weighs on both.
"""

import hashlib
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from nightshift import bootstrap, metrics
from nightshift.bootstrap import Array
from nightshift.metrics import METRICS, Task
from nightshift.records import decisions as records
from nightshift.specs import FEWEST_HOLDOUT_DAYS

# What intervals in words and pages cover. A gate has a confidence of its own.
INTERVAL = 0.9
# A slice smaller than this is left out: its metrics are noise.
FEWEST_ROWS = 100
# Of a column, the largest first: so many are judged, and so many of them kept.
MOST_SLICES, MOST_KEPT = 500, 20
LONGEST_NAME, MISSING = 60, "(missing)"  # a longer value is shown by its beginning and its hash
DEAR = {"average_precision"}  # resampled only if a gate asks for it: it takes a pass over the rows a resample

Scores = records.Scores


@dataclass(frozen=True)
class Part:
    """The holdout or a slice of it. ``gains``: a metric's improvement on the champion in each resample."""

    rows: int
    challenger: Scores
    champion: Scores | None = None
    gains: Mapping[str, Array] = field(default_factory=dict, repr=False)

    def gain(self, metric: str) -> float | None:
        """Return by how much the challenger is better, in the metric's unit; None where either is undefined."""
        mine, theirs = self.challenger.get(metric), (self.champion or {}).get(metric)
        return None if mine is None or theirs is None else _signed(metric, mine - theirs)

    def share(self, metric: str, above: float) -> float:
        """Return the share of resamples with a gain above ``above``. An undefined one is no gain."""
        found = self.gains.get(metric)
        return float(np.mean(found > above)) if found is not None and found.size else 0.0

    def share_of_losses(self, metric: str, below: float) -> float:
        """Return the share of resamples with a gain below ``below``; 1 where there are none, and the point decides.

        An undefined one is no loss: without the days of a slice nothing is said of it.
        """
        found = self.gains.get(metric)
        return float(np.mean(found < below)) if found is not None and found.size else 1.0


@dataclass(frozen=True)
class Assessment:
    """``intervals``: of the challenger's metrics. ``calibration_error``: of both, for classification.

    ``recalibrated``: the scores are those that would have been served, moved by the offset of each night.
    """

    days: int
    overall: Part
    slices: Mapping[str, Part]
    intervals: Mapping[str, tuple[float, float] | None]
    calibration_error: Mapping[str, float | None]
    recalibrated: bool = False
    nights: tuple[records.PairedNight, ...] = ()

    def record(self) -> records.Evaluation:
        """Return what is kept of it: of the gains, their intervals."""
        return records.Evaluation(
            rows=self.overall.rows,
            days=self.days,
            resamples=bootstrap.RESAMPLES,
            confidence=INTERVAL,
            metrics=dict(self.overall.challenger),
            champion_metrics=dict(self.overall.champion) if self.overall.champion else None,
            intervals=dict(self.intervals),
            gains=_gains(self.overall),
            slices={
                name: records.Slice(part.rows, part.challenger, part.champion, _gains(part))
                for name, part in _largest(self.slices)
            },
            calibration_error=dict(self.calibration_error),
            recalibrated=self.recalibrated,
            nights=self.nights,
        )


def evaluate(
    task: Task,
    holdout: pd.DataFrame,
    challenger: Array,
    champion: Array | None,
    *,
    slices: Sequence[str] = (),
    fewest: int = FEWEST_ROWS,
    asked: Collection[str] = (),
) -> Assessment:
    """Return the assessment of two models' scores on a holdout.

    ``holdout``: a row an entity, with ``batch_date``, ``label`` and the columns of ``slices``. ``challenger``,
    ``champion``: n rows, as :data:`nightshift.metrics.METRICS` takes them. ``fewest``: rows of a slice that is
    measured. ``asked``: metrics that gates name.
    """
    days, day = np.unique(holdout["batch_date"].to_numpy(), return_inverse=True)
    weights = bootstrap.draws(len(days)) if len(days) >= FEWEST_HOLDOUT_DAYS else np.empty((0, len(days)))
    truth = holdout["label"].to_numpy(dtype="float64")
    resampled = [n for n, m in METRICS.items() if task in m.tasks and (n in asked or n not in DEAR)]

    def part(rows: Any) -> tuple[Part, dict[str, Array]]:
        mine = {
            m: bootstrap.replicates(m, truth[rows], challenger[rows], day[rows], weights) for m in resampled
        }
        scores = metrics.score(task, truth[rows], challenger[rows])
        count = len(truth[rows])
        if champion is None:
            return Part(count, scores), mine
        theirs = {
            m: bootstrap.replicates(m, truth[rows], champion[rows], day[rows], weights) for m in resampled
        }
        gains = {m: _signed(m, mine[m] - theirs[m]) for m in resampled}
        return Part(count, scores, metrics.score(task, truth[rows], champion[rows]), gains), mine

    overall, replicates = part(slice(None))
    errors: dict[str, float | None] = {}
    if task != "regression":
        errors["challenger"] = metrics.calibration_error(truth, challenger)
        errors["champion"] = None if champion is None else metrics.calibration_error(truth, champion)
    return Assessment(
        days=len(days),
        overall=overall,
        slices={name: part(rows)[0] for name, rows in _slices(holdout, slices, fewest)},
        intervals={m: bootstrap.interval(found, INTERVAL) for m, found in replicates.items()},
        calibration_error=errors,
        nights=() if champion is None else _paired(task, days, day, truth, challenger, champion),
    )


def _paired(
    task: Task, days: Any, day: Any, truth: Array, challenger: Array, champion: Array
) -> tuple[records.PairedNight, ...]:
    """Return both losses of each of ``days``; ``day``: of each row its number."""
    rows = np.bincount(day, minlength=len(days))
    mine, theirs, chance = (
        np.bincount(day, weights=each, minlength=len(days)) / rows
        for each in (
            metrics.row_losses(task, truth, challenger),
            metrics.row_losses(task, truth, champion),
            metrics.difference_variances(task, truth, challenger, champion),
        )
    )
    return tuple(
        records.PairedNight(pd.Timestamp(night).date(), int(n), float(a), float(b), float(c / n))
        for night, n, a, b, c in zip(days, rows, mine, theirs, chance, strict=True)
    )


def unmeasured(holdout: pd.DataFrame) -> Assessment:
    """Return the assessment of a model without labels: how many rows and days there were, and no number more."""
    return Assessment(holdout["batch_date"].nunique(), Part(len(holdout), {}), {}, {}, {})


def _slices(holdout: pd.DataFrame, columns: Sequence[str], fewest: int) -> Iterator[tuple[str, Any]]:
    """Yield ``column=value`` and the mask of its rows; missing values are a slice too."""
    for column in columns:
        missing = holdout[column].isna()
        values = holdout[column].astype("object").mask(missing, None)
        counts = values.value_counts(dropna=False)
        for value in counts[counts >= fewest].index[:MOST_SLICES]:
            rows = (missing if pd.isna(value) else values == value).to_numpy(dtype=bool)
            yield f"{column}={_named(value)}", rows


def _named(value: Any) -> str:
    """Return a value's name, at most 75 characters and no other value's: two of one name would be one slice."""
    if pd.isna(value):
        return MISSING
    text = str(value)
    if len(text) <= LONGEST_NAME and text != MISSING:
        return text
    return f"{text[:LONGEST_NAME]}...{hashlib.sha256(text.encode()).hexdigest()[:12]}"


def _largest(slices: Mapping[str, Part]) -> Iterator[tuple[str, Part]]:
    """Yield the first slices of each column: they come with the largest first."""
    seen = Counter[str]()
    for name, part in slices.items():
        seen[column := name.partition("=")[0]] += 1
        if seen[column] <= MOST_KEPT:
            yield name, part


def _signed(metric: str, difference: Any) -> Any:
    return difference if METRICS[metric].greater_is_better else -difference


def _gains(part: Part) -> records.Intervals:
    return {name: bootstrap.interval(values, INTERVAL) for name, values in part.gains.items()}
