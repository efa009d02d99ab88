"""A fault at the source: named the night it comes, held back, learned by no training, closed by a person or a mend."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date, timedelta

import pytest

from integration.conftest import CHAMPION_AS_OF, LAST, MODEL, with_model
from nightshift import stages
from nightshift.calendar import DateRange
from nightshift.errors import BatchRejected, NotReady, RequestError
from nightshift.monitor.sketches import edges_sha256
from nightshift.platform.faults import open_faults
from nightshift.platform.frozen import read_snapshot
from nightshift.records import monitoring, sketches
from nightshift.registry import Registry
from nightshift.stages import Platform, Try
from nightshift.warehouse import Json

pytestmark = pytest.mark.integration
NIGHT = DateRange(LAST, LAST)


def build(platform: Platform, run_id: str = "build", night: date = LAST) -> dict:
    return stages.build_features(platform, "departure", DateRange(night, night), Try(run_id))


def spoiled(platform: Platform, night: date = LAST) -> Platform:
    """Return the platform after weather came without half its temperatures, and the night was built of it."""
    platform.warehouse.execute(
        "CREATE TABLE public.good AS SELECT * FROM raw.weather WHERE batch_date = %s", (night,)
    )
    platform.warehouse.execute(
        "UPDATE raw.weather SET temp = NULL WHERE batch_date = %s AND extract(hour FROM observed_at)::int %% 2 = 0",
        (night,),
    )
    build(platform, night=night)
    return platform


def faults(platform: Platform) -> list[tuple[str, str, list[str]]]:
    spec = platform.project.feature_set("departure")
    every = DateRange(date(2013, 1, 1), LAST)
    return [(f.column_name, f.measure, f.sources) for f in open_faults(platform, spec, every)]


def predictions(platform: Platform) -> list[dict]:
    return platform.warehouse.rows(
        f"SELECT * FROM predictions.{MODEL} WHERE batch_date = %s ORDER BY 1, 2, 3", (LAST,)
    )


def test_a_month_of_real_nights_has_no_fault(still: Platform) -> None:
    assert faults(still) == []


def test_what_is_missing_is_a_fault_of_its_column_and_names_the_sources(loop: Platform) -> None:
    told = spoiled(loop).warehouse.rows(
        "SELECT what, name, batch_date, why FROM catalog.events ORDER BY event DESC"
    )[0]
    found = faults(loop)

    assert ("temp_same_hour", "missing", ["weather", "flights"]) in found
    assert {column for column, _, _ in found} <= {"temp_same_hour", "temp_last"}
    assert (told["what"], told["name"], told["batch_date"]) == ("fault", "departure_v1", LAST)
    assert "missing; never more than" in told["why"]


def test_a_night_with_a_fault_is_not_scored_and_what_was_predicted_stands(loop: Platform) -> None:
    stages.score(loop, MODEL, NIGHT, Try("before"))
    before = predictions(loop)
    spoiled(loop)
    with pytest.raises(
        BatchRejected, match=r"2013-02-08, temp_same_hour: .*% missing.*\(from weather or flights\)"
    ):
        stages.score(loop, MODEL, NIGHT, Try("after"))
    with pytest.raises(BatchRejected, match="close-faults departure"):  # the nights beside it are scored
        stages.score(loop, MODEL, DateRange(LAST - timedelta(days=1), LAST), Try("both"))

    assert predictions(loop) == before != []
    scored = loop.warehouse.rows("SELECT batch_date FROM catalog.prediction_batches WHERE run_id = 'both'")
    assert scored == [{"batch_date": LAST - timedelta(days=1)}]


@dataclass
class Meanwhile:
    """A registry during whose answer something else is committed."""

    registry: Registry
    happens: Callable[[], object]

    def champion(self, name: str) -> int | None:
        self.happens()
        return self.registry.champion(name)

    def __getattr__(self, name: str) -> object:
        return getattr(self.registry, name)


def test_a_night_that_is_built_anew_with_a_fault_while_it_is_scored_is_held(loop: Platform) -> None:
    stages.score(loop, MODEL, NIGHT, Try("before"))
    before = predictions(loop)
    overtaken = replace(loop, registry=Meanwhile(loop.registry, lambda: spoiled(loop)))
    with pytest.raises(BatchRejected, match=r"2013-02-08, temp_same_hour: .*% missing"):
        stages.score(overtaken, MODEL, DateRange(LAST - timedelta(days=1), LAST), Try("overtaken"))

    assert predictions(loop) == before != []
    scored = loop.warehouse.rows(
        "SELECT batch_date FROM catalog.prediction_batches WHERE run_id = 'overtaken'"
    )
    assert scored == [{"batch_date": LAST - timedelta(days=1)}]


def test_a_model_that_warns_is_scored_and_says_what_is_wrong(loop: Platform) -> None:
    warns = with_model(spoiled(loop), lambda m: m["drift"].update(faults="warn"))
    scored = stages.score(warns, MODEL, NIGHT, Try("warned"))

    assert scored["rows"] == len(predictions(loop)) > 0
    assert any("temp_same_hour" in words for words in scored["faults"])


def test_a_training_leaves_the_night_out(loop: Platform) -> None:
    night = date(2013, 1, 18)
    loop.warehouse.execute(
        "INSERT INTO monitoring.faults (feature_set, feature_version, batch_date, column_name, measure, words, "
        "sources, sketch_sha256, run_id) "
        "VALUES ('departure', 1, %s, 'temp_last', 'missing', 'w', '{weather}', 's', 'r')",
        (night,),
    )
    frozen = stages.snapshot(loop, MODEL, CHAMPION_AS_OF, Try("without"))
    _, rows = read_snapshot(loop, frozen["snapshot_id"])

    assert night not in set(rows["batch_date"].dt.date)
    assert night - timedelta(days=1) in set(rows["batch_date"].dt.date)
    frozen_of = "FROM catalog.snapshot_{} WHERE snapshot_id = %s"
    inputs = loop.warehouse.rows("SELECT batch_date " + frozen_of.format("inputs"), (frozen["snapshot_id"],))
    assert {row["batch_date"] for row in inputs} >= set(rows["batch_date"].dt.date)
    assert night not in {row["batch_date"] for row in inputs}
    behind = "SELECT DISTINCT source, {} AS day " + frozen_of.format("sources") + " AND role = 'features'"
    of_the_rest = loop.warehouse.rows(
        "SELECT DISTINCT source, source_batch_date AS day FROM catalog.feature_inputs WHERE feature_set = 'departure' "
        "AND batch_date IN (SELECT batch_date " + frozen_of.format("inputs") + ")",
        (frozen["snapshot_id"],),
    )
    told = loop.warehouse.rows(behind.format("source_batch_date"), (frozen["snapshot_id"],))
    assert {(r["source"], r["day"]) for r in told} == {(r["source"], r["day"]) for r in of_the_rest}
    assert ("flights", night) not in {(r["source"], r["day"]) for r in told}


def test_nothing_is_retrained_while_a_fault_is_open(loop: Platform) -> None:
    spoiled(loop)
    loop.warehouse.execute(
        "INSERT INTO monitoring.verdicts (model, batch_date, model_version, status, breach, retrain, reason, drift, "
        "run_id) VALUES (%s, %s, 1, %s, true, true, %s, %s, 'r')",
        (MODEL, LAST, "breached", "a shift", Json({})),
    )
    answer = stages.decide_retraining(loop, MODEL, LAST, Try("ask"))
    request = loop.warehouse.one(monitoring.REQUEST, model=MODEL, batch_date=LAST)

    assert not answer["start"]
    assert request
    assert request.guard == "fault"
    assert "temp_same_hour" in request.reason
    assert "weather" in request.reason


def test_the_windows_of_later_nights_leave_it_out(loop: Platform) -> None:
    """Seven nights of drift because one was broken: that is no drift."""
    stages.score(loop, MODEL, NIGHT, Try("before"))
    stages.decide_verdict(loop, MODEL, LAST, Try("whole"))
    whole = loop.warehouse.one(monitoring.VERDICT, model=MODEL, batch_date=LAST)
    spoiled(loop, LAST - timedelta(days=2))
    stages.decide_verdict(loop, MODEL, LAST, Try("without"))
    without = loop.warehouse.one(monitoring.VERDICT, model=MODEL, batch_date=LAST)

    assert whole
    assert without
    assert 0 < without.drift.rows < whole.drift.rows
    psi = {each.name: each.missing_now for each in without.drift.features}
    assert psi["temp_same_hour"] == pytest.approx(
        next(each.missing_now for each in whole.drift.features if each.name == "temp_same_hour"), abs=0.01
    )


def test_a_person_closes_it_with_a_reason_and_it_stays_closed(loop: Platform) -> None:
    spoiled(loop)
    with pytest.raises(RequestError, match="reason: missing"):
        stages.close_faults(loop, "departure", LAST, actor="olga", reason=" ")
    stages.close_faults(loop, "departure", LAST, actor="olga", reason="the station really was down")
    build(loop, "again")
    kept = loop.warehouse.rows("SELECT DISTINCT closed_by, closed_because FROM monitoring.faults")

    assert faults(loop) == []
    assert kept == [{"closed_by": "olga", "closed_because": "the station really was down"}]
    assert stages.score(loop, MODEL, NIGHT, Try("now"))["rows"] > 0
    with pytest.raises(NotReady, match="no fault of 2013-02-08 is open"):
        stages.close_faults(loop, "departure", LAST, actor="olga", reason="once more")


def with_other_bins(platform: Platform) -> None:
    """Make the bins of temp_last anew, as they are of four weeks: the same rows have another sketch."""
    kept = platform.warehouse.one(sketches.EDGES, feature_set="departure", version=1)
    assert kept
    columns = (
        replace(c, edges=(*c.edges[:3], *c.edges[4:])) if c.name in ("temp_last", "temp_same_hour") else c
        for c in kept.edges.columns
    )
    edges = replace(kept.edges, columns=tuple(columns))
    platform.warehouse.run(sketches.KEEP_EDGES, replace(kept, edges=edges, edges_sha256=edges_sha256(edges)))


@pytest.mark.parametrize("is_closed", [True, False])
def test_the_same_rows_by_other_bins_are_the_same_fault(loop: Platform, is_closed: bool) -> None:
    spoiled(loop)
    if is_closed:
        stages.close_faults(loop, "departure", LAST, actor="olga", reason="the station really was down")
    asked = "SELECT * FROM monitoring.faults ORDER BY column_name, measure"
    told = "SELECT * FROM catalog.events WHERE what IN ('fault', 'fault closed') ORDER BY event"
    before = loop.warehouse.rows(asked), loop.warehouse.rows(told)
    with_other_bins(loop)
    build(loop, "again")

    assert (loop.warehouse.rows(asked), loop.warehouse.rows(told)) == before


def test_a_correction_that_is_taken_back_opens_it_again(loop: Platform) -> None:
    spoiled(loop)
    loop.warehouse.execute(
        "CREATE TABLE public.bad AS SELECT * FROM raw.weather WHERE batch_date = %s", (LAST,)
    )
    found = faults(loop)
    for rows, expected in (("good", []), ("bad", found)):
        loop.warehouse.execute("DELETE FROM raw.weather WHERE batch_date = %s", (LAST,))
        loop.warehouse.execute(f"INSERT INTO raw.weather SELECT * FROM public.{rows}")
        build(loop, rows)
        assert faults(loop) == expected


def test_a_correction_closes_it(loop: Platform) -> None:
    spoiled(loop)
    loop.warehouse.execute("DELETE FROM raw.weather WHERE batch_date = %s", (LAST,))
    loop.warehouse.execute("INSERT INTO raw.weather SELECT * FROM public.good")
    build(loop, "mended")

    assert faults(loop) == []
    assert loop.warehouse.rows("SELECT DISTINCT closed_by FROM monitoring.faults") == [
        {"closed_by": "nightshift"}
    ]
