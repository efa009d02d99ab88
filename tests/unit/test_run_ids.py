"""A run's id is what it seems to be, who started it is told; what a task of an old run told may be gone."""

from datetime import date
from types import SimpleNamespace

import pytest

from nightshift.calendar import DateRange
from nightshift.errors import NotReady, RequestError
from nightshift.orchestration import run
from nightshift.orchestration.run import sound_id, still_told


@pytest.mark.parametrize(
    "run_id", ["manual__2013-02-08T00:30:00+00:00", "retrain__late_arrival__2013-02-08", "a b"]
)
def test_a_printable_id_is_taken(run_id: str) -> None:
    assert sound_id(run_id) == run_id


@pytest.mark.parametrize("run_id", ["manual\n", "a\nb", "a\x00", "a\x1b[2J", "a\u2028", "a\u202eb", "\t"])
def test_an_id_with_a_sign_that_is_not_printed_is_refused(run_id: str) -> None:
    with pytest.raises(RequestError, match="printable"):
        sound_id(run_id)


@pytest.mark.parametrize(
    ("kind", "key", "dry"),
    [
        ("scheduled", "2013-06-28", False),
        ("manual", None, True),
        ("manual", "2013-06-28", True),
        ("backfill", "2013-06-28", True),
        ("operator_triggered", "2013-06-28", True),
    ],
)
def test_only_the_schedule_takes_away_what_a_form_only_names(kind: str, key: str | None, dry: bool) -> None:
    dag_run = SimpleNamespace(run_id="r", run_type=kind, partition_key=key)
    asked = run._caller({"dag_run": dag_run, "ti": SimpleNamespace(try_number=1)}, {"dry_run": True})
    nights = DateRange(date(2013, 6, 28), date(2013, 6, 28))
    made = run.Run(
        platform=None,  # type: ignore[arg-type]
        nights=nights,
        downstream="changed",
        nightly=run.is_nightly(dag_run, {}),
        redefines=False,
        **asked,
    )
    assert made.is_dry is dry


@pytest.mark.parametrize(
    ("run_id", "kind", "person", "actor"),
    [
        ("probation__late_arrival__t1", "operator_triggered", None, "probation"),
        ("retrain__late_arrival__2013-06-28", "operator_triggered", "admin", "admin"),
        ("scheduled__2013-06-28", "scheduled", None, "scheduled"),
        ("manual__x", "manual", "olga", "olga"),
    ],
)
def test_a_run_says_who_started_it_or_whose_decision_did(
    run_id: str, kind: str, person: str | None, actor: str
) -> None:
    dag_run = SimpleNamespace(run_id=run_id, run_type=kind, triggering_user_name=person)
    context = {"dag_run": dag_run, "ti": SimpleNamespace(try_number=1)}
    assert run._caller(context, {})["actor"] == actor


def test_what_an_old_run_told_and_was_cleaned_is_said_to_be_gone() -> None:
    assert still_told({"snapshot_id": "a"}, "snapshot") == {"snapshot_id": "a"}
    with pytest.raises(NotReady, match=r"what task 'snapshot' told is gone.*clear 'snapshot'"):
        still_told(None, "snapshot")
