"""A clock that jumps while Airflow schedules: each night begins once, whichever way it was set and set back."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from airflow.timetables import trigger
from airflow.timetables.base import DagRunInfo, TimeRestriction

from nightshift.orchestration import lifecycle
from nightshift.orchestration.timetable import NightlyTimetable
from nightshift.specs import load_project

ZONE = ZoneInfo("America/New_York")
WHENEVER = TimeRestriction(earliest=None, latest=None, catchup=False)
HOURS = timedelta(hours=3)
FIRST, LAST = date(2026, 2, 25), date(2026, 3, 20)  # summer time begins on 8 March


class Scheduler:
    """What Airflow's scheduler does at each look: a run that is due begins, and the next one is worked out."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.nights = NightlyTimetable("30 0 * * *", timezone=str(ZONE), first=str(FIRST), last=str(LAST))
        self.now = datetime(2026, 2, 24, 12, tzinfo=ZONE).astimezone(UTC)
        monkeypatch.setattr(trigger, "utcnow", lambda: self.now)
        self.next = self._after(None)
        self.begun: list[str] = []

    def _after(self, last: DagRunInfo | None) -> DagRunInfo | None:
        return self.nights.next_dagrun_info_v2(last_dagrun_info=last, restriction=WHENEVER)

    def look(self) -> None:
        while self.next and self.next.run_after <= self.now:
            self.begun.append(str(self.next.partition_key))
            self.next = self._after(self.next)


@pytest.mark.parametrize("hour", [0, 1, 22, 23])
@pytest.mark.parametrize("jump", [HOURS, -HOURS], ids=["ahead", "back"])
def test_a_clock_that_is_three_hours_off_for_a_while_neither_loses_nor_doubles_a_night(
    monkeypatch: pytest.MonkeyPatch, jump: timedelta, hour: int
) -> None:
    scheduler = Scheduler(monkeypatch)
    wrong_from = datetime(2026, 3, 5, hour, 45, tzinfo=ZONE).astimezone(UTC)
    true = scheduler.now
    while true < datetime(2026, 3, 22, tzinfo=ZONE):
        is_wrong = wrong_from <= true < wrong_from + timedelta(days=5)
        scheduler.now = true + (jump if is_wrong else timedelta())
        scheduler.look()
        true += timedelta(minutes=15)
    nights = [str(FIRST + timedelta(days=n)) for n in range((LAST - FIRST).days + 1)]
    assert scheduler.begun == nights


@pytest.mark.parametrize(
    ("cron", "night"),
    [("30 0 * * *", "2026-03-08"), ("0 7 * * *", "2026-03-08"), ("30 22 * * *", "2026-03-07")],
)
def test_what_runs_in_the_morning_is_of_the_newest_night_that_has_begun(
    monkeypatch: pytest.MonkeyPatch, cron: str, night: str
) -> None:
    declared = load_project()
    settings = declared.settings.model_copy(update={"cron": cron, "first_night": FIRST, "last_night": LAST})
    monkeypatch.setattr(lifecycle, "project", lambda: declared.model_copy(update={"settings": settings}))
    monkeypatch.setattr(trigger, "utcnow", lambda: datetime(2026, 3, 8, 6, tzinfo=ZONE).astimezone(UTC))
    schedule = NightlyTimetable.deserialize(lifecycle.nightly(time(7)).serialize())
    found = schedule.next_dagrun_info_v2(last_dagrun_info=None, restriction=WHENEVER)
    assert found is not None
    assert found.run_after == datetime(2026, 3, 8, 7, tzinfo=ZONE).astimezone(UTC)
    assert found.partition_key == night
