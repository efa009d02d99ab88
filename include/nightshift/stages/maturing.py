"""Whether the labels of past nights are complete: looked at when performance is measured, and told wherever it is."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta

import numpy as np
import pandas as pd

from nightshift.calendar import DateRange
from nightshift.monitor.maturity import Looked, Maturity, arrived, measure, state
from nightshift.platform import Platform
from nightshift.records import monitoring
from nightshift.records.monitoring import Arrivals, PerformanceResult
from nightshift.specs import Model
from nightshift.train import FIRST_KNOWN, FIRST_REPORTED

# So many nights say what is usual.
NIGHTS = 60
# Of fewer nights in a window, it is not seen whose labels come later.
FEWEST_DAYS = 7


@dataclass(frozen=True)
class Matured:
    """Which nights a night may judge: those of ``judged`` that are not ``provisional``, and why these are not."""

    maturity: Maturity
    judged: DateRange
    provisional: dict[date, str]

    def is_final(self, night: date) -> bool:
        """Return whether all labels of a night are in."""
        return night <= self.judged.last and night not in self.provisional

    @property
    def words(self) -> str:
        """What is told beside a performance; empty where labels are as declared."""
        said = dict.fromkeys([self.maturity.words or "", *self.provisional.values()])
        return "; ".join(filter(None, said))


def looked_at(platform: Platform, model: Model, batch_date: date) -> DateRange:
    """Return the nights whose labels a night looks at: all that have the declared age and may not be final yet."""
    last = batch_date - timedelta(days=model.matures_after_days)
    known = measure(arrivals_of(platform, model, batch_date), model.matures_after_days)
    days = max(_window(model), FEWEST_DAYS) + known.after - known.declared
    return DateRange(last - timedelta(days=days - 1), last)


def arrived_now(
    platform: Platform,
    model: Model,
    scored: Sequence[date],
    rows: pd.DataFrame,
    before: Sequence[Looked],
    batch_date: date,
) -> list[Arrivals]:
    """Return when the labels of ``scored`` nights came: of those in ``rows``, whole, with their labels so far.

    Of the others nothing came since they were looked at ``before``.
    """
    parts = rows.groupby(rows["batch_date"].dt.date)
    looked = {each.night: each.until(batch_date) for each in before if each.night in set(scored)}
    looked |= {night: _looked(platform, night, part, batch_date) for night, part in parts}
    others = [each for each in before if each.night not in looked]
    nights = sorted([*others, *looked.values()], key=lambda each: each.night)
    maturity = measure(nights, model.matures_after_days)
    found = []
    for each in looked.values():
        said, why = state(each, [one for one in nights if one.night < each.night], maturity)
        found.append(
            Arrivals(
                model=model.name,
                batch_date=each.night,
                scored=each.scored,
                observed=each.age,
                arrived=each.arrived,
                state=said,
                reason=why,
            )
        )
    return found


def matured(platform: Platform, model: Model, batch_date: date) -> Matured:
    """Return which nights may be judged on ``batch_date``, from what was recorded of arrivals, as it could see it."""
    nights = arrivals_of(platform, model, batch_date)
    maturity = measure(nights, model.matures_after_days)
    last = batch_date - timedelta(days=maturity.after)
    judged = DateRange(last - timedelta(days=_window(model) - 1), last)
    provisional: dict[date, str] = {}
    for number, each in enumerate(nights):
        if judged.first <= each.night <= judged.last:
            said, why = state(each, nights[:number], maturity)
            provisional |= {each.night: why} if said == "provisional" else {}
    return Matured(maturity, judged, provisional)


def told(result: PerformanceResult, matured: Matured) -> PerformanceResult:
    """Return the result with what is known of its labels' maturity in its reason."""
    return replace(result, reason=f"{result.reason}; {matured.words}") if matured.words else result


def _window(model: Model) -> int:
    return model.performance.window_days if model.performance else 1


def arrivals_of(platform: Platform, model: Model, batch_date: date) -> list[Looked]:
    """Return the newest nights of which arrivals are recorded, oldest first, each as ``batch_date`` could see it."""
    rows = platform.warehouse.all(
        monitoring.ARRIVALS,
        model=model.name,
        first=batch_date - timedelta(days=NIGHTS),
        last=batch_date,
    )
    return [Looked(row.batch_date, row.scored, row.arrived).as_of(batch_date) for row in rows]


def _looked(platform: Platform, night: date, part: pd.DataFrame, batch_date: date) -> Looked:
    """Return when the labels of a night's rows came, in nights by their cut-offs."""
    nights = DateRange(night, batch_date).dates
    cutoffs = pd.DatetimeIndex([platform.project.calendar.cutoff(day) for day in nights])
    known = part[part["label"].notna()]
    reported, ages = (
        np.asarray(cutoffs.searchsorted(pd.DatetimeIndex(instants), side="left"), dtype=np.float64)
        for instants in (part[FIRST_REPORTED].dropna(), known[FIRST_KNOWN])
    )
    labels = known["label"].to_numpy(dtype=np.float64)
    return Looked(night, len(part), arrived(reported, ages, labels, len(nights) - 1))
