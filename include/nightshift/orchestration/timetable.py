"""The nightly schedule: Airflow's cron of partitions, within the project's first and last night.

Not the DAG's ``start_date`` and ``end_date``: Airflow drops every task of a run whose logical date lies outside
them, a manual run today of a project that ended among them, and calls the empty run a success.
"""

from datetime import date
from typing import Any

from airflow.timetables.base import DagRunInfo, TimeRestriction
from airflow.timetables.trigger import CronPartitionTimetable

from nightshift.freeform import Json

KEY_FORMAT = "%Y-%m-%d"


class NightlyTimetable(CronPartitionTimetable):
    """One partition a calendar date of ``timezone``; nothing is scheduled outside ``first`` .. ``last``."""

    def __init__(self, cron: str, *, timezone: Any, first: str, last: str | None) -> None:
        super().__init__(cron, timezone=timezone, key_format=KEY_FORMAT)
        self._first = first
        self._last = last

    def serialize(self) -> Json:
        """Return what :meth:`deserialize` needs."""
        return {**super().serialize(), "first": self._first, "last": self._last}

    @classmethod
    def deserialize(cls, data: Json) -> "NightlyTimetable":
        """Return the timetable that was serialized."""
        from airflow.timetables.trigger import parse_timezone

        zone = parse_timezone(data["timezone"])
        return cls(data["expression"], timezone=zone, first=data["first"], last=data["last"])

    def next_dagrun_info_v2(
        self, *, last_dagrun_info: DagRunInfo | None, restriction: TimeRestriction
    ) -> DagRunInfo | None:
        """Return the next night, or None when there is none within the project's nights."""
        found = super().next_dagrun_info_v2(last_dagrun_info=last_dagrun_info, restriction=restriction)
        while found and str(found.partition_key) < self._first:
            found = super().next_dagrun_info_v2(last_dagrun_info=found, restriction=restriction)
        return found if found and self._holds(found) else None

    def _holds(self, info: DagRunInfo) -> bool:
        # ISO dates compare as text as they do as dates.
        return self._last is None or date.fromisoformat(str(info.partition_key)) <= date.fromisoformat(
            self._last
        )
