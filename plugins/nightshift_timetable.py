"""Makes the nightly schedule known to Airflow, which reads timetables back by their registered name."""

from airflow.plugins_manager import AirflowPlugin

from nightshift.orchestration.timetable import NightlyTimetable


class NightshiftTimetable(AirflowPlugin):
    """Registers the timetable."""

    name = "nightshift_timetable"
    timetables = [NightlyTimetable]
