"""What goes: what is old and needed by nothing; where the disk is short, the oldest files before their time."""

from collections.abc import Iterator
from datetime import date, timedelta
from typing import get_args

import pytest
from pydantic import BaseModel

from nightshift.retention import PARTS, Thing, airflow_days, choose, days_of, lines, needed_days, oldest_kept
from nightshift.specs import Model, load_project
from nightshift.specs.project import Settings
from nightshift.specs.retention import FEWEST_DAYS

NIGHT = date(2013, 12, 31)
DAYS = {"landed": 100, "reports": 50, "sketches": 200, "mlflow": None, PARTS: 1}


def thing(kind: str, days: int, name: str = "", **more: object) -> Thing:
    return Thing(kind, name or f"{kind}/{days}", NIGHT - timedelta(days=days), **more)


def names(things: list[Thing], **more: int) -> list[str]:
    return [each.thing.name for each in choose(things, DAYS, NIGHT, **more)]


@pytest.mark.parametrize(
    ("kind", "days", "goes"),
    [
        ("landed", 100, False),
        ("landed", 101, True),
        ("reports", 51, True),
        ("sketches", 199, False),
        ("mlflow", 10_000, False),
        (PARTS, 1, False),
        (PARTS, 2, True),
    ],
)
def test_a_thing_goes_once_it_is_older_than_the_days_of_its_kind(kind: str, days: int, goes: bool) -> None:
    assert bool(names([thing(kind, days)])) is goes


def test_what_is_needed_never_goes_however_short_the_disk_is() -> None:
    needed = thing("landed", 5000, bytes=10, needed="a version is made again from it")
    assert names([needed], short=10**12) == []
    assert oldest_kept([needed], []) == {"landed": needed.day}


def test_a_short_disk_takes_the_oldest_files_first_and_no_more_than_it_lacks() -> None:
    files = [thing("landed", days, bytes=10) for days in (40, 90, 60, 20)]
    rows = thing("sketches", 190, bytes=1000)
    assert names([*files, rows]) == []
    assert names([*files, rows], short=15) == ["landed/90", "landed/60"]
    assert names([*files, rows], short=10**9) == ["landed/90", "landed/60", "landed/40"], "a month stays"


def test_what_is_kept_for_good_stays_however_short_the_disk_is() -> None:
    days = DAYS | {"landed": None}
    assert choose([thing("landed", 5000, bytes=10)], days, NIGHT, short=10**9) == []


def test_what_is_old_counts_for_a_short_disk_first() -> None:
    files = [thing("landed", 101, bytes=10), thing("landed", 90, bytes=10)]
    assert names(files, short=10) == ["landed/101"]
    going = choose(files, DAYS, NIGHT, short=11)
    assert [each.why for each in going] == [
        "older than 100 days",
        "the disk is short, and nothing older is left",
    ]


def test_what_windows_of_models_reach_is_kept_whatever_the_project_says() -> None:
    project = load_project()
    content = project.settings.model_dump() | {"retention": {"verdicts": 35, "sketches": None, "landed": 35}}
    short = project.model_copy(update={"settings": Settings.model_validate(content)})
    days = days_of(short)
    assert (days["reports"], days["sketches"], days["landed"]) == (90, None, 35)
    assert days["verdicts"] == max(needed_days(project), 90)
    longest = max(model.train.holdout_days + model.matures_after_days for model in project.models.values())
    assert needed_days(project) >= 35 + longest


def test_a_run_that_may_wait_for_its_signature_is_kept_whatever_the_project_says() -> None:
    def kept(days: int | None, **of: object) -> int | None:
        project = load_project()
        content = project.settings.model_dump() | {"retention": {"airflow": days}}
        models = {name: model.model_copy(update=of) for name, model in project.models.items()}
        settings = Settings.model_validate(content)
        return airflow_days(project.model_copy(update={"settings": settings, "models": models}))

    weeks = {"approval": "required", "approvers": ["olga"], "approve_within_hours": 60 * 24}
    assert kept(35, **weeks) == 62  # to be asked takes hours, and training before it
    assert kept(35, **weeks | {"approval": "auto"}) == 35
    assert kept(90, **weeks) == 90
    assert kept(None, **weeks) is None


@pytest.mark.parametrize(
    ("verdicts", "reports", "kept"), [(200, 400, 400), (200, None, None), (None, 90, None), (200, 90, 200)]
)
def test_a_verdict_is_kept_as_long_as_the_report_that_it_names(
    verdicts: int | None, reports: int | None, kept: int | None
) -> None:
    project = load_project()
    content = project.settings.model_dump() | {"retention": {"verdicts": verdicts, "reports": reports}}
    settings = Settings.model_validate(content)
    assert days_of(project.model_copy(update={"settings": settings}))["verdicts"] == kept


# Counts of nights in a model's spec, and what they count is kept for good: rows, performance, requests, the ledger.
OF_WHAT_STAYS = {
    "train.window_days": "rows of features",
    "train.half_life_days": "rows of features",
    "retrain.when.age_days": "the ledger",
    "retrain.cooldown_days": "the ledger",
    "retrain.retry_days": "requests",
    "retrain.budget.trainings": "requests",
    "retrain.budget.days": "requests",
    "retrain.give_up_after": "requests",
    "retrain.probation_nights": "performance",
}
OF_NO_NIGHT = {
    "target.above": "a value",
    "train.max_rows": "rows",
    "train.min_rows": "rows",
    "train.tune.trials": "fits",
    "train.tune.folds": "fits",
    "approve_within_hours": "hours",
    "drift.min_rows": "rows",
    "drift.breaches": "never more than of_last",
    "performance.min_labels": "rows",
    "recalibrate.shrink_nights": "a weight",
    "retrain.min_new_labels": "rows",
    "retrain.verdict_within_minutes": "minutes",
}


def whole_numbers(spec: type[BaseModel], path: str = "") -> Iterator[str]:
    """Yield the keys of a spec, and of the specs in it, that take a whole number."""
    for name, field in spec.model_fields.items():
        kinds = [field.annotation, *get_args(field.annotation)]
        if int in kinds:
            yield f"{path}{name}"
        for kind in kinds:
            if isinstance(kind, type) and issubclass(kind, BaseModel):
                yield from whole_numbers(kind, f"{path}{name}.")


def test_the_keys_that_are_told_of_here_are_those_of_a_model() -> None:
    assert {*OF_WHAT_STAYS, *OF_NO_NIGHT} < {*whole_numbers(Model)}


@pytest.mark.parametrize("key", sorted({*whole_numbers(Model)} - {*OF_WHAT_STAYS, *OF_NO_NIGHT}))
def test_each_key_of_a_model_that_looks_back_at_what_ends_is_reached(key: str) -> None:
    project = load_project()
    name, model = next((name, model) for name, model in project.models.items() if model.target)
    content = model.model_dump(by_alias=True)
    *above, last = key.split(".")
    section = content
    for each in above:
        section[each] = section[each] or {}
        section = section[each]
    section[last] = 90  # as much as any of them may be
    alone = project.model_copy(update={"models": {name: Model.model_validate(content)}})
    assert needed_days(alone) >= FEWEST_DAYS + 90


def test_each_kind_is_told_in_a_line() -> None:
    taken = {"things": 3, "bytes": 30, "why": ["older than 100 days"], "oldest_kept": "2013-09-22"}
    found = {"as_of": "2013-12-31", "asked_for": "2013-12-31", "dry_run": True, "kinds": {"landed": taken}}
    line = "landed: 3 would go, 30 bytes (older than 100 days); the oldest that stays is of 2013-09-22"
    assert lines(found) == [line]
    before = "as of 2013-12-31, the newest night: nothing was collected of 2014-01-02"
    assert lines({**found, "asked_for": "2014-01-02"}) == [before, line]
