"""How long what the nights leave behind is kept, a kind each. What a ledger rests on is kept for good."""

from typing import Annotated

from pydantic import Field

from nightshift.specs.parts import Spec

LONGEST_DAYS = 36_500
# Nothing younger goes: trainings, signatures and corrections of a month may still need it.
FEWEST_DAYS = 35
Days = Annotated[int, Field(ge=FEWEST_DAYS, le=LONGEST_DAYS)] | None


class Retention(Spec):
    """``retention`` in ``project.yaml``: days, ``null`` for good. What a kind is: :data:`nightshift.kept.KINDS`."""

    landed: Days = 400
    # Of trainings that came to no version. Those of versions stay.
    snapshots: Days = 180
    reports: Days = 90
    data_docs: Days = 90
    explorations: Days = 180
    # The values of rows that were set aside. That they were, and by which rule, stays.
    quarantine: Days = 180
    # Those of predictions, and of nights in the bins of a version's profile.
    sketches: Days = 400
    verdicts: Days = 730
    # What happened to a night, and to an alert. What happened to a version stays.
    events: Days = 730
    # Runs, with their files, of versions that never were champion.
    mlflow: Days = 365
    # Logs of tasks and OpenLineage's files.
    logs: Days = 60
    # Airflow's own tables, XCom among them.
    airflow: Days = 90
