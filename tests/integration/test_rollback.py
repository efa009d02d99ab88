"""The champion is bad: a former one is champion again, on real nights, and stays so."""

import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from integration.champions import MODEL, better, interrupted, judged, promoted
from integration.conftest import History
from integration.test_registry_faults import delete_artifacts
from nightshift import stages
from nightshift.calendar import DateRange
from nightshift.errors import Barred, LedgerMismatch, RequestError, SchemaMismatch
from nightshift.govern import Ledger
from nightshift.platform.papers import version_row
from nightshift.registry import Registry
from nightshift.stages import Platform, Try
from nightshift.types import content_sha256
from nightshift.warehouse import Json, prediction_table

pytestmark = pytest.mark.integration

DAY = timedelta(days=1)
NIGHT = date(2013, 2, 6)  # the first night of the challenger
SERVED = DateRange(NIGHT, date(2013, 2, 8))  # nights the challenger scores
NEXT = SERVED.last + DAY
RESTORED_SECONDS = 120


def predictions(platform: Platform, nights: DateRange = SERVED) -> str:
    model = platform.project.model(MODEL)
    table = prediction_table(model, platform.project.feature_set(model.features))
    frame = platform.warehouse.read(table, nights.first, nights.last)
    return content_sha256(frame.drop(columns="run_id"))


def served_by(platform: Platform, nights: DateRange = SERVED) -> list[int]:
    rows = platform.warehouse.rows(
        "SELECT model_version FROM catalog.prediction_batches WHERE model = %s AND batch_date BETWEEN %s AND %s "
        "ORDER BY batch_date",
        (MODEL, nights.first, nights.last),
    )
    return [row["model_version"] for row in rows]


def back(platform: Platform, run_id: str = "rollback", **more: Any) -> dict[str, Any]:
    given = {"to": None, "reason": "late flights are all on time", "actor": "olga", **more}
    return stages.roll_back(platform, MODEL, Try(run_id), **given)


@pytest.fixture(scope="module")
def _served(history: History, tmp_path_factory: pytest.TempPathFactory) -> Iterator[History]:
    def go_on(month: Platform) -> None:
        done = promoted(better(month), MODEL, NIGHT - 2 * DAY, "bad")
        assert done["effective_from"] == str(NIGHT)
        stages.score(month, MODEL, SERVED, Try("nights"))
        assert served_by(month) == [done["version"]] * 3

    with history.continued(tmp_path_factory.mktemp("served"), go_on) as served:
        yield served


@pytest.fixture
def bad(history: History, _served: History, tmp_path: Path) -> Iterator[tuple[Platform, int, int]]:
    """Return the month with a second champion that has scored SERVED; the first champion; the second."""
    with _served.copied(tmp_path) as platform:
        yield platform, history.champion, _served.champion


def test_the_former_champion_serves_again_from_the_next_night_on(bad: tuple[Platform, int, int]) -> None:
    platform, first, second = bad
    before = predictions(platform)
    began = time.monotonic()
    found = back(platform)
    seconds = time.monotonic() - began
    print(f"restored in {seconds:.1f} s")
    assert seconds < RESTORED_SECONDS
    assert found == {"entry": 3, "version": first, "taken_out": second, "effective_from": str(NEXT)}
    assert platform.registry.champion(MODEL) == first
    ledger = Ledger(platform.warehouse, MODEL)
    assert [ledger.champion_on(night).version for night in (SERVED.last, NEXT)] == [second, first]
    stages.score(platform, MODEL, SERVED, Try("again"))
    assert predictions(platform) == before, "nights that were done stay as they were"
    assert ledger.verify() is None
    assert back(platform) == found, "a cleared task writes nothing"
    assert len(platform.warehouse.rows("SELECT * FROM governance.promotions")) == 3


def test_nights_scored_again_are_what_the_former_champion_would_have_said(loop: Platform) -> None:
    first = loop.registry.champion(MODEL)
    stages.score(loop, MODEL, SERVED, Try("as if nothing had happened"))
    wanted = predictions(loop)
    loop.warehouse.execute("DELETE FROM catalog.prediction_batches WHERE batch_date >= %s", (NIGHT,))
    promoted(better(loop), MODEL, NIGHT, "bad from its first night")
    stages.score(loop, MODEL, SERVED, Try("nights"))
    assert predictions(loop) != wanted
    began = time.monotonic()
    found = back(loop, again=SERVED)
    stages.score(loop, MODEL, SERVED, Try("rollback"))
    seconds = time.monotonic() - began
    print(f"restored, and {len(SERVED.dates)} nights scored again, in {seconds:.1f} s")
    assert seconds < RESTORED_SECONDS
    assert found["effective_from"] == str(NIGHT)
    assert served_by(loop) == [first] * 3
    assert predictions(loop) == wanted
    assert Ledger(loop.warehouse, MODEL).champion_on(NEXT).version == first


@pytest.mark.parametrize(
    ("more", "error", "says"),
    [
        ({"reason": " \n"}, RequestError, "reason: say why"),
        ({"to": 10**6}, RequestError, "has never been champion; former champions"),
        (
            {"again": DateRange(NIGHT, NIGHT + DAY)},
            RequestError,
            "until: the nights up to 2013-02-08 are scored by the champion of now too; score again until 2013-02-08",
        ),
        (
            {"again": DateRange(date(2013, 1, 20), SERVED.last)},
            RequestError,
            "was first champion on 2013-01-28; what it would say of 2013-01-20 it may have been trained on",
        ),
    ],
)
def test_what_cannot_be_gone_back_to_changes_nothing(
    bad: tuple[Platform, int, int], more: dict[str, Any], error: type[Exception], says: str
) -> None:
    platform, _, second = bad
    with pytest.raises(error, match=says):
        back(platform, **more)
    assert platform.registry.champion(MODEL) == second
    assert len(platform.warehouse.rows("SELECT * FROM governance.promotions")) == 2
    assert platform.warehouse.rows("SELECT * FROM governance.bars") == []


@pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy")  # MLflow's own store
def test_a_version_that_the_registry_has_lost_does_not_come_back(
    bad: tuple[Platform, int, int], tmp_path: Path
) -> None:
    """It is looked for before the ledger is written: the champion of now serves on."""
    platform, first, second = bad
    elsewhere = replace(platform, registry=Registry(f"sqlite:///{tmp_path / 'mlflow.db'}"))
    with pytest.raises(
        LedgerMismatch, match=f"version {first} cannot serve: it is gone from the registry. Nothing"
    ):
        back(elsewhere)
    run = version_row(platform, MODEL, first).mlflow_run_id
    client = platform.registry._client
    (tmp_path / "files").mkdir()
    client.download_artifacts(run, "", str(tmp_path / "files"))
    delete_artifacts(client, platform.registry.uri, run)
    try:
        with pytest.raises(
            LedgerMismatch, match=f"version {first} cannot serve: .* lost files of its run {run}"
        ):
            back(platform)
    finally:
        platform.registry.log_files(run, tmp_path / "files")
    assert platform.registry.champion(MODEL) == second
    assert len(platform.warehouse.rows("SELECT * FROM governance.promotions")) == 2
    assert back(platform)["version"] == first


def test_a_version_that_cannot_score_tonights_features_does_not_come_back(
    bad: tuple[Platform, int, int],
) -> None:
    """The set has lost a column since, or another type: the champion of now serves on."""
    platform, first, second = bad
    spec = platform.project.feature_set(platform.project.model(MODEL).features)
    lost = next(name for name, kind in spec.columns.items() if kind == "float")
    without = {name: kind for name, kind in spec.columns.items() if name != lost}
    for columns, says in (
        (without, f"fitted on features that are not there: {lost}"),
        ({**spec.columns, lost: "string"}, f"fitted on feature '{lost}' as float, and it is string now"),
    ):
        sets = {spec.name: spec.model_copy(update={"columns": columns})}
        changed = replace(platform, project=platform.project.model_copy(update={"feature_sets": sets}))
        with pytest.raises(
            SchemaMismatch, match=f"version {first} cannot serve: .*{says}.* Nothing was changed"
        ):
            back(changed)
    assert platform.registry.champion(MODEL) == second
    assert len(platform.warehouse.rows("SELECT * FROM governance.promotions")) == 2
    assert back(platform)["version"] == first


def test_a_rollback_may_begin_with_a_later_night(bad: tuple[Platform, int, int]) -> None:
    platform, _, second = bad
    assert back(platform, as_of=NEXT + 3 * DAY)["effective_from"] == str(NEXT + 3 * DAY)
    assert Ledger(platform.warehouse, MODEL).champion_on(NEXT).version == second


@pytest.mark.slow
def test_before_any_night_is_scored_a_rollback_takes_the_place_of_the_promotion(loop: Platform) -> None:
    first = loop.registry.champion(MODEL)
    loop.warehouse.execute("DELETE FROM catalog.prediction_batches")
    promoted(better(loop), MODEL, NIGHT, "bad from its first night")
    assert back(loop)["effective_from"] == str(NIGHT)
    assert Ledger(loop.warehouse, MODEL).champion_on(NIGHT).version == first


def test_a_crash_between_ledger_and_alias_is_finished_by_the_retry(bad: tuple[Platform, int, int]) -> None:
    platform, first, second = bad

    class Crash(Exception):
        """The process ended here."""

    def crash() -> None:
        raise Crash

    crashing = replace(platform, registry=interrupted(platform.registry.uri, "promote", crash, after=False))
    with pytest.raises(Crash):
        back(crashing)
    assert platform.registry.champion(MODEL) == second
    with pytest.raises(LedgerMismatch, match=f"nightshift reconcile {MODEL}"):
        stages.score(platform, MODEL, SERVED, Try("between"))
    assert back(platform)["version"] == first
    assert platform.registry.champion(MODEL) == first
    assert len(platform.warehouse.rows("SELECT * FROM governance.promotions")) == 3


def test_the_same_model_trained_again_is_not_promoted_and_another_one_is(
    bad: tuple[Platform, int, int],
) -> None:
    platform, first, second = bad
    back(platform)
    decided = judged(better(platform), MODEL, NIGHT - 2 * DAY, "the same again")
    assert decided["passed"], "its gates would let it in"
    with pytest.raises(
        Barred,
        match=rf"version {decided['version']} is barred, as a copy of version {second}: olga took that out",
    ):
        stages.promote(better(platform), MODEL, NIGHT - 2 * DAY, Try("the same again"), actor="nightly")
    assert platform.registry.champion(MODEL) == first
    assert stages.conclude(platform, Try("the same again")) == {"outcome": "barred"}
    done = promoted(better(platform), MODEL, NIGHT + DAY, "on other nights")
    assert (done["outcome"], done["effective_from"]) == ("promoted", str(NEXT))
    assert platform.registry.champion(MODEL) == done["version"]


def alarm(platform: Platform, night: date) -> None:
    platform.warehouse.execute(
        "INSERT INTO monitoring.verdicts (model, batch_date, model_version, status, breach, retrain, reason, drift, "
        "run_id) VALUES (%s, %s, 1, 'breached', true, true, 'carriers drifted', %s, 'test')",
        (MODEL, night, Json({})),
    )


@pytest.mark.parametrize("again", [None, SERVED], ids=["from the next night", "past nights too"])
def test_drift_starts_no_training_until_the_cooldown_after_a_rollback_is_over(
    bad: tuple[Platform, int, int], again: DateRange | None
) -> None:
    platform, *_ = bad
    back(platform, again=again)
    days = platform.project.model(MODEL).retrain.cooldown_days
    for night, starts in (
        (NIGHT, False),  # decided late: it was bad, and is behind the rollback
        (SERVED.last, False),
        (NEXT + (days - 1) * DAY, False),
        (NEXT + days * DAY, True),
    ):
        alarm(platform, night)
        answer = stages.decide_retraining(platform, MODEL, night, Try("night"))
        assert answer["start"] is starts, night
        assert (f"cooldown of {days} days after the rollback of {NEXT}" in answer["reason"]) is not starts
