"""Batch dates: the one notion of time.

A batch date is a calendar date in the project's time zone; it names one night's work. Its cut-off is the
first instant of that date there. The night of D runs just after the cut-off of D, uses only what was known
by then, and scores what happens on D. Every way a run can start goes through :func:`resolve`; nobody else
asks Airflow what day it is.
"""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from nightshift.errors import RequestError
from nightshift.freeform import Conf

# fullmatch below, not ^...$: `$` would admit a trailing newline.
ISO_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
LONGEST_RANGE_DAYS = 1100


@dataclass(frozen=True)
class Calendar:
    """Where midnight is, and which nights exist."""

    zone: ZoneInfo
    first_night: date
    last_night: date | None = None

    def cutoff(self, batch_date: date) -> datetime:
        """Return the instant (UTC) at which the night of ``batch_date`` stops listening."""
        return datetime.combine(batch_date, time(), tzinfo=self.zone).astimezone(UTC)

    def window(self, batch_date: date) -> tuple[datetime, datetime]:
        """Return ``[start, end)`` in UTC: what became known since the previous night.

        23, 24 or 25 hours long; consecutive windows meet without gap or overlap on every date.
        """
        return self.cutoff(batch_date - timedelta(days=1)), self.cutoff(batch_date)

    def date_of(self, instant: datetime) -> date:
        """Return the batch date whose night runs at ``instant`` (timezone-aware)."""
        return instant.astimezone(self.zone).date()

    def check(self, batch_date: date) -> date:
        """Return ``batch_date`` if the project has such a night.

        Raises:
            RequestError: it lies outside ``first_night`` .. ``last_night``.
        """
        if batch_date < self.first_night or (self.last_night and batch_date > self.last_night):
            last = self.last_night or "open"
            raise RequestError(
                f"batch date {batch_date}: outside the project's nights ({self.first_night} .. {last}, "
                "see include/project.yaml)"
            )
        return batch_date


@dataclass(frozen=True)
class DateRange:
    """An inclusive range of batch dates."""

    first: date
    last: date

    @property
    def dates(self) -> list[date]:
        """Every date, ascending."""
        return [self.first + timedelta(days=n) for n in range((self.last - self.first).days + 1)]

    @property
    def is_single(self) -> bool:
        """Whether the range is one night."""
        return self.first == self.last

    def __str__(self) -> str:
        return str(self.first) if self.is_single else f"{self.first}..{self.last}"


def next_at(hour: time, after: datetime, zone: ZoneInfo) -> datetime:
    """Return the first instant after ``after`` at which clocks in ``zone`` show ``hour``."""
    local = after.astimezone(zone)
    days = (local.date(), local.date() + timedelta(days=1))
    shown = (datetime.combine(day, hour, tzinfo=zone) for day in days)
    return next(instant for instant in shown if instant > local)


def parse_date(value: object, key: str) -> date:
    """Return the date that ``value`` (``YYYY-MM-DD``) spells.

    Raises:
        RequestError: naming ``key``, for anything else, a trailing newline included.
    """
    if not isinstance(value, str) or not ISO_DATE.fullmatch(value):
        raise RequestError(f"{key}: expected a date YYYY-MM-DD, got {_shown(value)}")
    try:
        return date.fromisoformat(value)
    except ValueError as error:
        raise RequestError(f"{key}: {value!r} is not a calendar date ({error})") from error


def resolve(
    calendar: Calendar,
    *,
    params: Conf,
    partition_key: str | None,
    logical_date: datetime | None,
    run_after: datetime,
    newest: bool = False,
) -> DateRange:
    """Return the batch dates a run is for, however it was started.

    In order: the dates typed by hand (``batch_date``, optionally ``until``); the run's partition key
    (cron, asset and backfill runs); the date of its logical date (a dated manual run); the date of its
    ``run_after`` (an undated manual run means the night it was asked for in; with ``newest``, for what looks at the
    newest night that there is, the project's last one once that is over).

    Raises:
        RequestError: the dates are malformed, reversed, too many, outside the project's nights, or
            contradict the run's partition key.
    """
    asked = range_of(params, "batch_date", "until")
    keyed = parse_date(partition_key, "partition key") if partition_key is not None else None
    if asked and keyed and asked != DateRange(keyed, keyed):
        raise RequestError(f"batch_date: the form says {asked}, the run's partition key says {keyed}")
    if asked is None:
        # run_after, not logical_date, is always set: asset-triggered and undated runs have no logical date.
        now = calendar.date_of(logical_date or run_after)
        night = keyed or (min(now, calendar.last_night or now) if newest else now)
        asked = DateRange(night, night)
    calendar.check(asked.first)
    calendar.check(asked.last)
    return asked


def compared(calendar: Calendar, params: Conf) -> DateRange | None:
    """Return the range to compare with (``compare_from``, optionally ``compare_until``), or None.

    Raises:
        RequestError: as :func:`resolve`.
    """
    return _checked(calendar, range_of(params, "compare_from", "compare_until"))


def typed(calendar: Calendar, params: Conf) -> DateRange | None:
    """Return the range that was typed in (``batch_date``, optionally ``until``), or None.

    Raises:
        RequestError: as :func:`resolve`.
    """
    return _checked(calendar, range_of(params, "batch_date", "until"))


def _checked(calendar: Calendar, asked: DateRange | None) -> DateRange | None:
    if asked:
        calendar.check(asked.first)
        calendar.check(asked.last)
    return asked


def range_of(params: Conf, from_key: str, until_key: str) -> DateRange | None:
    """Return the range that two fields name, or None.

    Raises:
        RequestError: they are no dates, reversed, too many, or the last one without the first.
    """
    first, last = params.get(from_key), params.get(until_key)
    if first is None:
        if last is not None:
            raise RequestError(
                f"{until_key}: give {from_key} too; a range runs from {from_key} to {until_key}, inclusive"
            )
        return None
    start = parse_date(first, from_key)
    end = start if last is None else parse_date(last, until_key)
    if end < start:
        raise RequestError(f"{until_key}: {end} lies before {from_key} {start}")
    if (end - start).days >= LONGEST_RANGE_DAYS:
        raise RequestError(f"{until_key}: a range holds at most {LONGEST_RANGE_DAYS} nights")
    return DateRange(start, end)


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
