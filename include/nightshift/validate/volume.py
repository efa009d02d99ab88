"""How much came, and how old it is: against what the source declares, told in numbers."""

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from statistics import median

from nightshift.specs.source import Freshness, Volume

# Of one earlier weekday nobody can tell which of the two is the odd one.
FEWEST_WEEKDAYS = 2


def volume(
    spec: Volume, day: date, collected: int, history: Mapping[date, int]
) -> tuple[list[str], list[str]]:
    """Return (why the batch fails, what to tell of it): its rows against the same weekdays in ``history``."""
    weekdays = [day - timedelta(weeks=week) for week in range(1, spec.weeks + 1)]
    counts = [history[weekday] for weekday in weekdays if weekday in history]
    if len(counts) < FEWEST_WEEKDAYS:
        note = f"{len(counts)} {day:%A}s published in the {spec.weeks} weeks before, {FEWEST_WEEKDAYS} are needed"
        return [], [f"volume not judged: {note}"]
    usual = float(median(counts))
    told = (
        f"{collected:,} rows, {collected / usual:.2f} times the median of {usual:,.10g} on {len(counts)} {day:%A}s "
        f"(volume: {spec.at_least:g} to {spec.at_most:g} times)"
    )
    within = spec.at_least * usual <= collected <= spec.at_most * usual
    return ([], []) if within else ([told], [])


def freshness(spec: Freshness, newest: datetime | None, cutoff: datetime) -> list[str]:
    """Return why the batch fails: its newest event lies too long before the night's cut-off."""
    if newest is None:
        return [f"freshness: column '{spec.column}' has no accepted value, so no event is new enough"]
    hours = (cutoff - newest).total_seconds() / 3600
    if hours <= spec.within_hours:
        return []
    age = f"{newest:%Y-%m-%d %H:%M} UTC, {hours:.1f} hours before the cut-off"
    return [f"the newest '{spec.column}' is {age} (freshness: within {spec.within_hours:g} hours)"]
