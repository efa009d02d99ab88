"""Whether the labels of past nights are complete: looked at when performance is measured, and told wherever it is."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta

import pandas as pd

from nightshift.calendar import DateRange
from nightshift.monitor.maturity import AT_LAST, Looked, Maturity, measure, provisional, state
from nightshift.platform import Platform
from nightshift.platform.labels import looked_at_night
from nightshift.records import monitoring
from nightshift.records.monitoring import Arrivals, PerformanceResult
from nightshift.specs import Model

# So many nights, beside those that are looked at, say what is usual; by so many labels can be seen to come later.
NIGHTS = 60
# Each night is looked at until it is final; of fewer it is not seen whose labels come later.
FEWEST_DAYS = AT_LAST + 1


@dataclass(frozen=True)
class Matured:
    """Which nights a night may judge: up to the last of ``judged``, but those that are ``provisional``, and why.

    ``judged``: what performance is measured on. Harm, probation and estimates look farther back.
    """

    maturity: Maturity
    judged: DateRange
    provisional: dict[date, str]

    def is_final(self, night: date) -> bool:
        """Return whether all labels of a night are in."""
        return night <= self.judged.last and night not in self.provisional

    @property
    def words(self) -> str:
        """What is told beside a performance, of its own nights; empty where labels are as declared."""
        of_judged = [why for night, why in self.provisional.items() if night >= self.judged.first]
        said = dict.fromkeys([self.maturity.words or "", *of_judged])
        return "; ".join(filter(None, said))


def looked_at(platform: Platform, model: Model, batch_date: date) -> DateRange:
    """Return the nights whose labels a night looks at: all that have the declared age and may not be final yet."""
    last = batch_date - timedelta(days=model.matures_after_days)
    known = measure(arrivals_of(platform, model, batch_date), model.matures_after_days)
    days = _days(model) + min(known.after - known.declared, NIGHTS)
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
    looked |= {
        night: looked_at_night(platform.project.calendar, night, part, batch_date) for night, part in parts
    }
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
    return Matured(maturity, judged, provisional(nights, maturity, batch_date))


def told(result: PerformanceResult, matured: Matured) -> PerformanceResult:
    """Return the result with what is known of its labels' maturity in its reason."""
    return replace(result, reason=f"{result.reason}; {matured.words}") if matured.words else result


def _window(model: Model) -> int:
    return model.performance.window_days if model.performance else FEWEST_DAYS


def _days(model: Model) -> int:
    """Return how many nights are looked at where labels come as declared."""
    return max(_window(model), FEWEST_DAYS)


def arrivals_of(platform: Platform, model: Model, batch_date: date) -> list[Looked]:
    """Return the newest nights of which arrivals are recorded, oldest first, each as ``batch_date`` could see it.

    All that a night looks at, however late labels are declared to come, and those that say what is usual.
    """
    rows = platform.warehouse.all(
        monitoring.ARRIVALS,
        model=model.name,
        first=batch_date - timedelta(days=model.matures_after_days + _days(model) + NIGHTS),
        last=batch_date,
    )
    return [Looked(row.batch_date, row.scored, row.arrived).as_of(batch_date) for row in rows]
