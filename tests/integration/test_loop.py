"""The loop on real nights, PostgreSQL and MLflow: collect, build, train, judge, promote, score, watch, retrain."""

import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import mlflow.sklearn
import pandas as pd
import pytest
import sqlalchemy

from integration.champions import interrupted
from integration.conftest import FIRST, SCORED, History, redelivered
from nightshift import artifacts, registry, stages
from nightshift.calendar import DateRange
from nightshift.errors import (
    ArtifactRefused,
    BatchRejected,
    EmptyBatch,
    LedgerMismatch,
    NightshiftError,
    NotReady,
    SourceError,
    SpecError,
    UnfairHoldout,
    Unreachable,
    WarehouseRefused,
)
from nightshift.govern import Ledger
from nightshift.platform import fitted
from nightshift.platform.frozen import read_snapshot
from nightshift.records import versions
from nightshift.records.catalog import EVENTS
from nightshift.records.monitoring import NIGHTS
from nightshift.registry import Registry
from nightshift.specs import Model, Source
from nightshift.stages import Platform, Try
from nightshift.types import content_sha256
from nightshift.warehouse import Json, feature_table, prediction_table, raw_table

pytestmark = pytest.mark.integration

MODEL = "late_arrival"
CHAMPION_AS_OF = date(2013, 1, 28)
LAST_SCORED = date(2013, 2, 5)
NIGHT = date(2013, 2, 6)  # collected and built, not scored
ONE = DateRange(NIGHT, NIGHT)
DAY = timedelta(days=1)
DECIDED = "decided"


def with_model(platform: Platform, change: Callable[[dict], object], name: str = MODEL) -> Platform:
    """Return the platform with its model's spec changed, or a second model made of it."""
    content = platform.project.model(MODEL).model_dump(by_alias=True)
    change(content)
    models = {**platform.project.models, name: Model.model_validate({**content, "name": name})}
    return replace(platform, project=platform.project.model_copy(update={"models": models}))


def good(platform: Platform) -> Platform:
    """Return the platform with a spec that beats the champion of the history."""
    return with_model(platform, lambda m: m["estimator"]["params"].update(max_iter=60, learning_rate=0.05))


def bad(platform: Platform) -> Platform:
    """Return the platform with a spec that learns next to nothing, and a lower bar for it."""
    return with_model(
        platform,
        lambda m: (
            m["estimator"]["params"].update(max_iter=1, learning_rate=5.0),
            m["gates"][0].update(value=0.1),
        ),
    )


def judged(platform: Platform, as_of: date, run_id: str, name: str = MODEL) -> dict[str, Any]:
    """Train up to the decision."""
    asked = Try(run_id)
    frozen = stages.snapshot(platform, name, as_of, asked)
    stages.fit(platform, name, frozen["snapshot_id"], asked, reason="a test")
    return stages.evaluate(platform, name, as_of, asked, reason="a test")


def promoted(platform: Platform, as_of: date, run_id: str) -> dict[str, Any]:
    return stages.promote(platform, MODEL, as_of, Try(run_id), actor="tester")


@pytest.fixture(scope="module")
def _decided(history: History, tmp_path_factory: pytest.TempPathFactory) -> Iterator[History]:
    with history.continued(
        tmp_path_factory.mktemp("decided"), lambda month: judged(good(month), NIGHT, DECIDED)
    ) as decided:
        yield decided


@pytest.fixture
def decided(_decided: History, tmp_path: Path) -> Iterator[Platform]:
    """Return the month with a training DECIDED as of NIGHT: its challenger is better, and not promoted."""
    with _decided.copied(tmp_path) as platform:
        yield platform


def table_hash(platform: Platform, table: Any, nights: DateRange) -> str:
    frame = platform.warehouse.read(table, nights.first, nights.last)
    return content_sha256(frame.drop(columns="run_id", errors="ignore"))


def state(platform: Platform) -> dict[str, Any]:
    """Return what a refused or failed task must leave as it was: raw, features, predictions, ledger, alias."""
    project, everything = platform.project, DateRange(date(2013, 2, 1), date(2013, 2, 9))
    model, features = project.model(MODEL), project.feature_set("departure")
    tables = [
        *(raw_table(project.source(source)) for source in project.sources_of(MODEL)),
        feature_table(features),
        prediction_table(model, features),
    ]
    return {
        **{table.qualified: table_hash(platform, table, everything) for table in tables},
        "ledger": Ledger(platform.warehouse, MODEL).head(),
        "alias": platform.registry.champion(MODEL),
    }


def all_rows(platform: Platform, table: str) -> int:
    found = platform.warehouse.row(f"SELECT count(*) AS n FROM {table}")
    return found["n"] if found else 0


# Train -> gates -> ledger -> alias


def test_the_first_champion_is_in_ledger_registry_and_files_alike(still: Platform) -> None:
    head = Ledger(still.warehouse, MODEL).head()
    assert head is not None
    assert still.registry.champion(MODEL) == head.version
    assert head.effective_from == CHAMPION_AS_OF
    version = (
        still.warehouse.row("SELECT * FROM governance.versions WHERE version = %s", (head.version,)) or {}
    )
    content = still.registry.model_bytes(version["mlflow_run_id"], head.artifact_sha256)
    assert artifacts.seal(content) == head.artifact_sha256
    facts, rows = read_snapshot(still, version["snapshot_id"])
    assert len(rows) == facts.row_count
    assert (
        version["train_last"] < facts.holdout_first <= rows["batch_date"].max().date() == facts.holdout_last
    )
    assert all(len(version[f"{name}_sha256"]) == 64 for name in ("spec", "lock", "artifact"))
    assert version["code_commit"] != "unknown"
    decision = still.warehouse.row("SELECT * FROM governance.decisions") or {}
    assert [gate["words"] for gate in decision["gates"]][1] == "no champion to beat"


def test_a_better_challenger_takes_over_from_the_first_night_that_is_not_done(loop: Platform) -> None:
    before = state(loop)
    champion = before["alias"]
    decided = judged(good(loop), LAST_SCORED - DAY, "takes over")
    assert (decided["passed"], decided["champion"]) == (True, champion)
    assert state(loop) == before, "a decision alone changes nothing"
    done = promoted(loop, LAST_SCORED - DAY, "takes over")
    challenger = done["version"]
    # the as-of night and the one after it are scored: both keep the champion they were scored by
    assert done == {"version": challenger, "outcome": "promoted", "effective_from": str(LAST_SCORED + DAY)}
    assert loop.registry.champion(MODEL) == challenger != champion
    assert stages.conclude(loop, Try("takes over")) == {"outcome": "promoted"}
    stages.score(loop, MODEL, DateRange(LAST_SCORED, NIGHT), Try("after"))
    versions = loop.warehouse.rows(
        "SELECT batch_date, model_version FROM catalog.prediction_batches WHERE batch_date >= %s ORDER BY 1",
        (LAST_SCORED,),
    )
    assert [row["model_version"] for row in versions] == [champion, challenger]


def test_a_promotion_repeated_later_says_and_does_the_same(decided: Platform) -> None:
    first = promoted(decided, NIGHT, DECIDED)
    assert first["effective_from"] == str(NIGHT)
    stages.score(decided, MODEL, ONE, Try("after"))
    assert promoted(decided, NIGHT, DECIDED) == first
    assert all_rows(decided, "governance.promotions") == 2
    assert judged(good(decided), NIGHT, DECIDED)["version"] == first["version"]
    assert all_rows(decided, "governance.versions") == 2


def test_a_worse_challenger_is_rejected_and_the_champion_stays(loop: Platform) -> None:
    before = state(loop)
    decided = judged(bad(loop), NIGHT, "worse")
    assert decided["passed"] is False
    assert any(gate.startswith("beats_champion: log_loss") for gate in decided["gates"])
    assert promoted(loop, NIGHT, "worse") == {"version": decided["version"], "outcome": "rejected"}
    assert stages.conclude(loop, Try("worse")) == {"outcome": "rejected"}
    assert state(loop) == before


def test_a_holdout_that_the_champion_has_seen_is_refused(loop: Platform) -> None:
    before = state(loop)
    # the champion was trained up to 19 January; this holdout would start that day
    with pytest.raises(
        UnfairHoldout, match=r"trained on days up to 2013-01-19; the holdout starts on 2013-01-19"
    ):
        judged(good(loop), CHAMPION_AS_OF - DAY, "unfair")
    with pytest.raises(NotReady, match="training 'unfair' has no decision"):
        promoted(loop, CHAMPION_AS_OF - DAY, "unfair")
    with pytest.raises(NotReady, match="training 'unfair' failed"):
        stages.conclude(loop, Try("unfair"))
    assert state(loop) == before


def test_a_challenger_that_beat_another_champion_is_not_promoted(decided: Platform) -> None:
    judged(with_model(good(decided), lambda m: m["gates"][1].update(value=0.0)), NIGHT - DAY, "second")
    promoted(decided, NIGHT - DAY, "second")
    before = state(decided)
    with pytest.raises(NotReady, match=f"training '{DECIDED}' was judged against version"):
        promoted(decided, NIGHT, DECIDED)
    assert state(decided) == before


def test_a_training_with_too_few_rows_says_which_nights_to_build(still: Platform) -> None:
    with pytest.raises(
        NotReady, match=r"0 labelled rows in 2013-02-18\.\.2013-03-03 .*run features_departure"
    ):
        stages.snapshot(still, MODEL, date(2013, 3, 12), Try("too early"))


def test_the_same_rows_split_otherwise_are_another_snapshot(loop: Platform) -> None:
    def split(window: int, holdout: int) -> Callable[[dict], object]:
        return lambda m: m["train"].update(window_days=window, holdout_days=holdout)

    both = with_model(with_model(loop, split(10, 6), "ten"), split(12, 4), "twelve")
    found = {name: stages.snapshot(both, name, NIGHT, Try(name))["snapshot_id"] for name in ("ten", "twelve")}
    firsts = {name: read_snapshot(both, snapshot)[0].holdout_first for name, snapshot in found.items()}
    assert firsts == {"ten": date(2013, 1, 30), "twelve": date(2013, 2, 1)}


def test_a_snapshot_taken_twice_is_the_same_snapshot(loop: Platform) -> None:
    first, second = (stages.snapshot(loop, MODEL, NIGHT, Try(run)) for run in ("one", "two"))
    assert first == second


def test_a_snapshot_keeps_no_more_rows_to_fit_on_than_the_spec_says_and_all_of_the_holdout(
    loop: Platform,
) -> None:
    whole = stages.snapshot(loop, MODEL, NIGHT, Try("whole"))
    few = with_model(loop, lambda m: m["train"].update(window_days="all", max_rows=700))
    one, two = (stages.snapshot(few, MODEL, NIGHT, Try(run)) for run in ("one", "two"))
    assert one == two
    assert (one["rows"] - one["holdout_rows"], one["holdout_rows"]) == (700, whole["holdout_rows"])
    frozen, rows = read_snapshot(few, one["snapshot_id"])
    assert frozen.train_first == FIRST
    assert rows["batch_date"].min() < pd.Timestamp(FIRST + 9 * DAY), "from the first nights on"


def test_a_snapshot_that_was_changed_is_refused(loop: Platform) -> None:
    frozen = stages.snapshot(loop, MODEL, NIGHT, Try("one"))
    facts = loop.warehouse.row(
        "SELECT object_key FROM governance.snapshots WHERE snapshot_id = %s", (frozen["snapshot_id"],)
    )
    assert facts
    loop.objects.put(facts["object_key"], loop.objects.get(facts["object_key"])[:-1] + b"!")
    with pytest.raises(ArtifactRefused, match=r"snapshot .* has sha256"):
        stages.fit(loop, MODEL, frozen["snapshot_id"], Try("one"), reason="a test")


def test_a_snapshot_that_retention_took_away_is_named_and_an_older_one_is_compared_with(
    loop: Platform,
) -> None:
    night = CHAMPION_AS_OF - 8 * DAY  # which the champion's snapshot holds too

    def compared() -> str:
        return stages.check_features(loop, "departure", night)[-1].attack

    before = compared()
    frozen = stages.snapshot(loop, MODEL, NIGHT, Try("one"))["snapshot_id"]
    assert compared() == f"snapshot {frozen[:12]}" != before
    loop.objects.remove(f"snapshots/{MODEL}/{frozen}.parquet")
    with pytest.raises(NotReady, match=f"the file of snapshot {frozen[:12]} is gone"):
        stages.fit(loop, MODEL, frozen, Try("one"), reason="a test")
    assert compared() == before


# Crashes on the way: a retry finds what is done, and finishes it


class Crash(Exception):
    """The process ended here."""


def crashing_once(monkeypatch: pytest.MonkeyPatch, method: str, *, after: bool) -> None:
    """Let one call of a method of the registry crash, before or after it did its work."""
    real = getattr(Registry, method)

    def crashing(*arguments: Any, **options: Any) -> None:
        monkeypatch.setattr(Registry, method, real)
        if after:
            real(*arguments, **options)
        raise Crash(method)

    monkeypatch.setattr(Registry, method, crashing)


@pytest.mark.parametrize(
    ("method", "after"),
    [("log_model", True), ("register", False), ("register", True)],
)
def test_a_fit_retried_after_a_crash_yields_exactly_one_version(
    loop: Platform, monkeypatch: pytest.MonkeyPatch, method: str, after: bool
) -> None:
    run = f"crash {method} {after}"
    frozen = stages.snapshot(loop, MODEL, NIGHT, Try(run))
    crashing_once(monkeypatch, method, after=after)
    with pytest.raises(Crash):
        stages.fit(loop, MODEL, frozen["snapshot_id"], Try(run), reason="a test")
    assert loop.warehouse.row("SELECT 1 FROM governance.versions WHERE training_id = %s", (run,)) is None
    made = stages.fit(loop, MODEL, frozen["snapshot_id"], Try(run, 2), reason="a test")
    assert stages.fit(loop, MODEL, frozen["snapshot_id"], Try(run, 3), reason="a test") == made
    rows = loop.warehouse.rows("SELECT * FROM governance.versions WHERE training_id = %s", (run,))
    assert [row["version"] for row in rows] == [made["version"]]
    client = loop.registry._client
    found = client.search_model_versions(f"name = '{MODEL}' and run_id = '{made['mlflow_run_id']}'")
    assert [int(version.version) for version in found] == [made["version"]]
    experiment = client.get_experiment_by_name(MODEL).experiment_id
    assert len(client.search_runs([experiment], f"tags.`{registry.TRAINING_ID}` = '{run}'")) == 1
    recorded = rows[0]["artifact_sha256"]
    assert artifacts.seal(loop.registry.model_bytes(made["mlflow_run_id"], recorded)) == recorded


def test_a_try_that_ends_after_its_retry_replaces_no_file_of_what_that_registered(
    loop: Platform, tmp_path: Path
) -> None:
    loop = with_model(loop, lambda m: m["train"].update(refit=True))
    frozen = stages.snapshot(loop, MODEL, NIGHT, Try("twice"))["snapshot_id"]

    def retry() -> None:
        stages.fit(loop, MODEL, frozen, Try("twice", 2), reason="a test")

    late = replace(loop, registry=interrupted(loop.registry.uri, "log_model", retry, after=False))
    with pytest.raises(NightshiftError):
        stages.fit(late, MODEL, frozen, Try("twice"), reason="a test")
    (version,) = loop.warehouse.all(versions.OF_TRAINING, training_id="twice")
    assert version.refit
    for file in (fitted.serving(loop, version), fitted.judged(loop, version)):
        fitted.opened(loop, file, version)
    loop.registry._client.download_artifacts(version.mlflow_run_id, "model", str(tmp_path))
    assert mlflow.sklearn.load_model(str(tmp_path / "model")), "MLflow's own way to it is open too"


def test_a_version_whose_file_has_the_earlier_name_serves(loop: Platform) -> None:
    head = Ledger(loop.warehouse, MODEL).head()
    assert head
    (version,) = loop.warehouse.all(versions.VERSION, model=MODEL, version=head.version)
    earlier = loop.registry.run_of(MODEL, "earlier", tags={})
    content = fitted.serving(loop, version).content
    loop.registry.log_file(earlier, "model/model.skops", content)
    assert fitted.serving(loop, replace(version, mlflow_run_id=earlier)).content == content


def test_what_a_judgement_logs_is_logged_by_its_retry_too(
    loop: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    frozen = stages.snapshot(loop, MODEL, NIGHT, Try("logs"))["snapshot_id"]
    made = stages.fit(loop, MODEL, frozen, Try("logs"), reason="a test")
    crashing_once(monkeypatch, "log", after=False)
    with pytest.raises(Crash):
        stages.evaluate(loop, MODEL, NIGHT, Try("logs"), reason="a test")
    assert "evaluation.json" not in loop.registry.files(made["mlflow_run_id"])
    stages.evaluate(loop, MODEL, NIGHT, Try("logs", 2), reason="a test")
    assert "evaluation.json" in loop.registry.files(made["mlflow_run_id"])
    tags = loop.registry._client.get_run(made["mlflow_run_id"]).data.tags
    assert tags["nightshift.gates"] in {"passed", "failed"}
    loop.registry._client.delete_run(made["mlflow_run_id"])
    again = stages.evaluate(loop, MODEL, NIGHT, Try("logs", 3), reason="a test")
    assert again["gates"], "a decision stands without its run"
    loop.registry._client.restore_run(made["mlflow_run_id"])


def test_a_crash_between_ledger_and_alias_stops_scoring_until_promote_is_repeated(
    decided: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    crashing_once(monkeypatch, "promote", after=False)
    with pytest.raises(Crash):
        promoted(decided, NIGHT, DECIDED)
    before = state(decided)
    with pytest.raises(LedgerMismatch, match="the ledger says version"):
        stages.score(decided, MODEL, ONE, Try("between"))
    assert state(decided) == before
    with pytest.raises(NotReady, match="training 'elsewhere'"):
        promoted(decided, NIGHT, "elsewhere")
    assert promoted(decided, NIGHT, DECIDED)["outcome"] == "promoted"
    assert stages.score(decided, MODEL, ONE, Try("afterwards"))["version"] == decided.registry.champion(MODEL)


def test_a_range_of_nights_asks_for_the_file_of_each_version_once(loop: Platform) -> None:
    asked: list[str] = []

    def model_bytes(self: Registry, run_id: str, sha256: str) -> bytes:
        asked.append(run_id)
        return Registry.model_bytes(self, run_id, sha256)

    counting = type("Counting", (Registry,), {"model_bytes": model_bytes})(loop.registry.uri)
    nights = DateRange(CHAMPION_AS_OF, NIGHT)
    assert stages.score(replace(loop, registry=counting), MODEL, nights, Try("range"))["rows"] > 0
    assert len(asked) == 1


# Scoring refuses


def test_a_model_that_nobody_trained_has_no_champion(still: Platform) -> None:
    newcomer = with_model(still, lambda _: None, "newcomer")
    with pytest.raises(NotReady, match="model 'newcomer' has no champion yet; trigger train_newcomer"):
        stages.score(newcomer, "newcomer", ONE, Try("night"))


def test_a_night_before_the_first_champion_is_not_scored(still: Platform) -> None:
    with pytest.raises(
        NotReady, match=r"no champion on 2013-01-27; trigger train_late_arrival as of 2013-01-27"
    ):
        stages.score(still, MODEL, DateRange(CHAMPION_AS_OF - DAY, CHAMPION_AS_OF), Try("night"))


def test_a_night_without_features_is_named(still: Platform) -> None:
    before = state(still)
    with pytest.raises(NotReady, match="'departure' has no partition for 2013-02-09; run features_departure"):
        stages.score(still, MODEL, DateRange(NIGHT, date(2013, 2, 9)), Try("night"))
    assert state(still) == before


def test_an_alias_moved_by_hand_stops_scoring_and_changes_nothing(loop: Platform) -> None:
    champion = loop.registry.champion(MODEL)
    other = judged(bad(loop), NIGHT, "other")["version"]
    last = DateRange(LAST_SCORED, LAST_SCORED)
    client = loop.registry._client
    moves: list[Callable[[], object]] = [
        lambda: loop.registry.promote(MODEL, other),
        lambda: client.delete_registered_model_alias(MODEL, registry.ALIAS),
    ]
    for move in moves:
        move()
        before = state(loop)
        with pytest.raises(LedgerMismatch, match=f"the ledger says version {champion} .*Nothing was scored"):
            stages.score(loop, MODEL, last, Try("night"))
        assert state(loop) == before
    loop.registry.promote(MODEL, champion or 0)
    assert stages.score(loop, MODEL, last, Try("night"))["version"] == champion


def test_an_alias_without_any_ledger_is_not_believed(platform: Platform, loop: Platform) -> None:
    empty = replace(loop, warehouse=platform.warehouse)
    with pytest.raises(LedgerMismatch, match="the ledger is empty"):
        stages.score(empty, MODEL, ONE, Try("night"))


def test_a_model_file_changed_in_the_registry_is_refused(loop: Platform, tmp_path: Path) -> None:
    judged(good(loop), NIGHT, "tampered")
    promoted(loop, NIGHT, "tampered")
    row = loop.warehouse.row("SELECT * FROM governance.versions WHERE training_id = 'tampered'")
    assert row
    content = bytearray(loop.registry.model_bytes(row["mlflow_run_id"], row["artifact_sha256"]))
    content[len(content) // 2] ^= 1
    file = tmp_path / f"{row['artifact_sha256']}.skops"
    file.write_bytes(content)
    loop.registry._client.log_artifact(row["mlflow_run_id"], str(file), registry.MODEL_FOLDER)
    before = state(loop)
    with pytest.raises(ArtifactRefused, match="it is not what was stored"):
        stages.score(loop, MODEL, ONE, Try("night"))
    assert state(loop) == before


def test_a_registry_that_is_down_fails_scoring_and_changes_nothing(still: Platform) -> None:
    before = state(still)
    down = replace(still, registry=Registry("http://127.0.0.1:9"))
    with pytest.raises(Unreachable):
        stages.score(down, MODEL, ONE, Try("night"))
    assert state(still) == before


# The ledger cannot be talked round


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE governance.promotions SET version = 99",
        "UPDATE governance.promotions SET reason = 'none'",
        "DELETE FROM governance.promotions",
        "TRUNCATE governance.promotions",
        "TRUNCATE governance.decisions CASCADE",
    ],
)
def test_a_promotion_once_written_stays(still: Platform, statement: str) -> None:
    with pytest.raises(WarehouseRefused, match="append-only"):
        still.warehouse.execute(statement)
    assert all_rows(still, "governance.promotions") == 1


@pytest.mark.parametrize(
    ("training", "evidence"),
    [
        pytest.param("rejected", None, id="its gates did not pass"),
        pytest.param("nobody", "x", id="no such decision"),
        pytest.param("history", "x", id="the decision's evidence is other evidence"),
    ],
)
def test_no_promotion_without_a_decision_that_passed(
    loop: Platform, training: str, evidence: str | None
) -> None:
    champion = loop.registry.champion(MODEL)
    loop.warehouse.execute(
        "INSERT INTO governance.decisions SELECT 'rejected', model, challenger, champion, as_of, reason, snapshot_id, "
        "false, gates, challenger_metrics, champion_metrics, 'bad', decided_at FROM governance.decisions"
    )
    with pytest.raises(WarehouseRefused, match="no passed decision"):
        loop.warehouse.execute(
            "INSERT INTO governance.promotions (model, version, effective_from, artifact_sha256, training_id, "
            "evidence_sha256, actor, reason) VALUES (%s, %s, %s, '', %s, %s, 'me', 'because')",
            (MODEL, champion, NIGHT, training, evidence or "bad"),
        )
    assert all_rows(loop, "governance.promotions") == 1


# Retraining: guards


def alarm(platform: Platform, night: date, *, retrain: bool = True) -> None:
    platform.warehouse.execute(
        "INSERT INTO monitoring.verdicts (model, batch_date, model_version, status, breach, retrain, reason, drift, "
        "run_id) VALUES (%s, %s, 1, 'breached', true, %s, 'carriers drifted', %s, 'test')",
        (MODEL, night, retrain, Json({})),
    )


def evidence(platform: Platform, night: date, **of: float) -> None:
    """Insert verdicts of models, each with its evidence of a shift."""
    for model, value in of.items():
        said = {"name": "shift", "asks": value >= 365, "value": value, "limit": 365.0, "words": "moved"}
        platform.warehouse.execute(
            "INSERT INTO monitoring.verdicts (model, batch_date, model_version, status, breach, retrain, reason, "
            "drift, reasons, run_id) VALUES (%s, %s, 1, 'ok', %s, %s, 'moved', %s, %s, 'test')",
            (
                model,
                night,
                value >= 365,
                value >= 365,
                Json({}),
                Json({"said": [said], "harm": None, "format": 1}),
            ),
        )


def decide(platform: Platform, night: date, *, is_backfill: bool = False) -> dict[str, Any]:
    return stages.decide_retraining(platform, MODEL, night, Try("night", is_backfill=is_backfill))


def conclude(platform: Platform, training: str) -> None:
    with pytest.raises(NotReady, match="failed"):
        stages.conclude(platform, Try(training))


def test_a_request_is_answered_once_and_kept_with_its_reason(loop: Platform) -> None:
    for n in range(4):
        alarm(loop, NIGHT + n * DAY)
    first = decide(loop, NIGHT)
    assert first == {"start": True, "reason": "carriers drifted", "training_id": f"retrain__{MODEL}__{NIGHT}"}
    assert decide(loop, NIGHT) == first
    waiting = decide(loop, NIGHT + DAY)
    assert (waiting["start"], waiting["training_id"]) == (False, None)
    assert f"training 'retrain__{MODEL}__{NIGHT}' has not ended" in waiting["reason"]
    conclude(loop, first["training_id"])
    assert decide(loop, NIGHT + DAY) == waiting, "a night answered before gets the same answer"
    assert "7 days after a training that was not promoted (failed)" in decide(loop, NIGHT + 2 * DAY)["reason"]
    assert "a backfill never retrains" in decide(loop, NIGHT + 3 * DAY, is_backfill=True)["reason"]
    rows = loop.warehouse.rows(
        "SELECT status, guard, outcome FROM monitoring.retrain_requests ORDER BY batch_date"
    )
    assert [tuple(row.values()) for row in rows] == [
        ("started", None, "failed"),
        ("suppressed", "one_at_a_time", None),
        ("suppressed", "retry", None),
        ("suppressed", "backfill", None),
    ]


def test_beside_other_models_one_alone_needs_more_and_the_answer_stays(loop: Platform) -> None:
    evidence(loop, NIGHT, **{MODEL: 500.0, "other": 3.0, "third": 3.0})
    alone = decide(loop, NIGHT)
    loop.warehouse.execute(
        "UPDATE monitoring.verdicts SET reasons = replace(reasons::text, '3.0', '900.0')::jsonb"
    )
    evidence(loop, NIGHT + DAY, **{MODEL: 600.0, "other": 700.0, "third": 3.0})
    together = decide(loop, NIGHT + DAY)

    assert alone["start"] is False
    assert alone["reason"].startswith("shift: of 3 models watched, one alone needs 1,095")
    assert decide(loop, NIGHT) == alone, "a night answered before gets the same answer"
    assert together["start"] is True
    assert together["reason"] == "moved; shift: 2 of 3 models watched ask together"
    rows = loop.warehouse.rows("SELECT status, guard FROM monitoring.retrain_requests ORDER BY batch_date")
    assert [tuple(row.values()) for row in rows] == [("suppressed", "several_models"), ("started", None)]


def test_a_calm_night_asks_for_nothing_and_a_night_without_a_verdict_is_no_calm_night(loop: Platform) -> None:
    alarm(loop, NIGHT, retrain=False)
    assert decide(loop, NIGHT)["start"] is False
    assert all_rows(loop, "monitoring.retrain_requests") == 0
    with pytest.raises(NotReady, match=f"no verdict for {NIGHT + DAY}; run monitor_{MODEL}"):
        decide(loop, NIGHT + DAY)


@pytest.mark.parametrize(
    ("ends", "nights"),
    [
        # three that lost in a row: the breaker
        pytest.param(True, [0, 7, 14], id="each training fails"),
        # four in thirty days: the budget
        pytest.param(False, [0, 7, 14, 21], id="no training ever ends"),
    ],
)
def test_thirty_alarms_start_one_training_a_week_and_not_for_ever(
    loop: Platform, ends: bool, nights: list[int]
) -> None:
    started = []
    for n in range(30):
        alarm(loop, NIGHT + n * DAY)
        answer = decide(loop, NIGHT + n * DAY)
        if answer["start"]:
            started.append(n)
            if ends:
                conclude(loop, answer["training_id"])
    assert started == nights
    assert all_rows(loop, "monitoring.retrain_requests") == 30


def test_a_night_that_is_decided_four_times_at_once_starts_one_training(loop: Platform) -> None:
    alarm(loop, NIGHT)
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: decide(loop, NIGHT), range(4)))
    assert answers == answers[:1] * 4
    assert answers[0]["start"]
    assert all_rows(loop, "monitoring.retrain_requests") == 1


@pytest.mark.parametrize(
    ("ends", "guard"),
    [pytest.param(False, "one_at_a_time", id="runs"), pytest.param(True, "retry", id="has ended")],
)
def test_a_night_that_is_decided_late_starts_nothing_beside_or_after_a_later_ones_training(
    loop: Platform, ends: bool, guard: str
) -> None:
    alarm(loop, NIGHT + DAY)
    later = decide(loop, NIGHT + DAY)
    assert later["start"]
    if ends:
        conclude(loop, later["training_id"])
    alarm(loop, NIGHT)
    late = decide(loop, NIGHT)
    assert (late["start"], late["guard"]) == (False, guard)
    if not ends:
        conclude(loop, later["training_id"])
    assert decide(loop, NIGHT) == late, "a night answered before gets the same answer"


def test_a_night_that_is_decided_late_starts_nothing_against_a_champion_of_a_later_night(
    decided: Platform,
) -> None:
    """A training by hand: no request says that it was started."""
    assert promoted(decided, NIGHT, DECIDED)["outcome"] == "promoted"
    alarm(decided, NIGHT - DAY)
    late = decide(decided, NIGHT - DAY)
    assert (late["start"], late["guard"]) == (False, "cooldown")
    assert late["reason"].startswith(f"cooldown of 7 days after {NIGHT}")


def test_nights_that_are_decided_at_once_start_one_training(loop: Platform) -> None:
    nights = [NIGHT + n * DAY for n in range(4)]
    for night in nights:
        alarm(loop, night)
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda night: decide(loop, night), reversed(nights)))
    assert sum(answer["start"] for answer in answers) == 1


# A batch that fails leaves everything as it was, and says what and where


def weather(platform: Platform, folder: Path, change: Callable[[pd.DataFrame], pd.DataFrame]) -> Platform:
    """Return the platform with the night's weather file changed."""
    ours = platform.connection("weather_files")
    name = f"{NIGHT - DAY}.csv"
    frame = pd.read_csv(Path(ours.extra["path"]) / name, dtype=str)
    (folder / "weather").mkdir()
    change(frame).to_csv(folder / "weather" / name, index=False)
    changed = replace(ours, extra={"path": str(folder / "weather")})
    return replace(platform, connection=lambda n: changed if n == "weather_files" else platform.connection(n))


def collect(platform: Platform, source: str, run: str = "broken night") -> dict[str, Any]:
    stages.collect(platform, source, ONE, Try(run))
    return stages.validate(platform, source, ONE, Try(run))


def dropped(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.drop(columns="humid")


def renamed(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.rename(columns={"humid": "humidity"})


def added(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(snow="0")


def retyped(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(humid="wet")


def emptied(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.head(0)


def all_null(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(humid="")


def infinite(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(humid="inf")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (dropped, "column 'humid' is missing"),
        (renamed, "'humid' is missing; 'humidity', undeclared"),
        (added, "column 'snow' is not declared"),
        (retyped, "humid"),
        (emptied, "no rows|empty|without"),
        (all_null, "humid"),
        (infinite, "humid"),
    ],
)
def test_a_file_that_broke_its_contract_fails_its_night_and_names_the_column(
    still: Platform, tmp_path: Path, change: Callable[[pd.DataFrame], pd.DataFrame], says: str
) -> None:
    before = state(still)
    with pytest.raises(BatchRejected, match=says) as rejected:
        collect(weather(still, tmp_path, change), "weather")
    assert str(NIGHT) in str(rejected.value)
    assert "weather" in str(rejected.value)
    assert isinstance(rejected.value, EmptyBatch) is (change is emptied)
    assert state(still) == before
    row = still.warehouse.row(
        "SELECT * FROM catalog.batches WHERE source = 'weather' AND batch_date = %s", (NIGHT,)
    )
    assert row
    assert (row["status"], row["run_id"]) == ("failed", "broken night")
    assert row["collected"] == row["accepted"] + row["rejected"]
    assert row["reasons"]


def test_columns_in_another_order_are_the_same_batch(still: Platform, tmp_path: Path) -> None:
    before = state(still)
    collect(weather(still, tmp_path, lambda frame: frame[frame.columns[::-1]]), "weather")
    assert state(still) == before


def test_a_few_bad_rows_are_set_aside_with_rule_and_value_and_the_night_goes_on(
    still: Platform, tmp_path: Path
) -> None:
    def one_bad_row(frame: pd.DataFrame) -> pd.DataFrame:
        frame.loc[3, "temp"] = "400"
        return frame

    found = collect(weather(still, tmp_path, one_bad_row), "weather")
    assert found["quarantined"] == 1
    rows = still.warehouse.rows(
        "SELECT * FROM quarantine.rows WHERE source = 'weather' AND batch_date = %s", (NIGHT,)
    )
    assert [(row["column_name"], row["row_number"]) for row in rows] == [("temp", 4)]
    assert "400" in rows[0]["value"]
    landed = (
        still.warehouse.row(
            "SELECT row_count FROM catalog.landings WHERE source = 'weather' AND run_id = 'broken night'"
        )
        or {}
    )
    assert found["accepted"] + found["quarantined"] == landed["row_count"]
    collect(still, "weather", "mended")
    assert all_rows(still, "quarantine.rows WHERE source = 'weather' AND batch_date = '2013-02-06'") == 0


def test_a_renamed_column_upstream_fails_collect_and_is_named(still: Platform, ops) -> None:
    before = state(still)
    ops.run("ALTER TABLE ops.schedule RENAME COLUMN tailnum TO tail_number")
    with pytest.raises(SourceError, match=r"source 'flights', connection 'ops': .*2013-02-06.*tailnum"):
        collect(ops.serve(still), "flights")
    assert state(still) == before


def test_a_day_without_departures_is_an_empty_batch(still: Platform, ops) -> None:
    before = state(still)
    ops.run("DELETE FROM ops.schedule WHERE flight_date = %s", (NIGHT,))
    with pytest.raises(EmptyBatch, match=r"flights.*2013-02-06|2013-02-06.*flights"):
        collect(ops.serve(still), "flights")
    assert state(still) == before


def down(name: str) -> Callable[[Platform], Platform]:
    """Return a change after which a connection leads nowhere."""
    driver = "postgresql+psycopg2://nobody:hunter2@127.0.0.1:9/none"
    gone = {
        "ops": {"engine": lambda: sqlalchemy.create_engine(driver), "password": "hunter2"},
        "weather_files": {"extra": {"path": "/nonexistent"}},
        "aircraft_api": {"port": 9, "password": "hunter2"},
    }[name]

    def change(platform: Platform) -> Platform:
        ours = replace(platform.connection(name), **gone)
        return replace(platform, connection=lambda n: ours if n == name else platform.connection(n))

    return change


@pytest.mark.parametrize(
    ("source", "connection"), [("flights", "ops"), ("weather", "weather_files"), ("aircraft", "aircraft_api")]
)
def test_a_source_that_is_down_is_named_without_its_password(
    still: Platform, source: str, connection: str
) -> None:
    before = state(still)
    once = still.project.source("aircraft").model_dump()
    once["connector"]["retries"] = 0
    sources = {**still.project.sources, "aircraft": Source.model_validate(once)}
    still = replace(still, project=still.project.model_copy(update={"sources": sources}))
    with pytest.raises(SourceError, match=f"source '{source}', connection '{connection}'") as failed:
        collect(down(connection)(still), source)
    assert "hunter2" not in str(failed.value)
    assert state(still) == before


def test_a_missing_connection_fails_before_anything_is_landed(still: Platform) -> None:
    def missing(name: str) -> Any:
        raise SpecError(f"connection '{name}' is missing")

    before = all_rows(still, "catalog.landings")
    with pytest.raises(SpecError, match="connection 'ops' is missing"):
        collect(replace(still, connection=missing), "flights")
    assert all_rows(still, "catalog.landings") == before


def test_a_validate_without_its_collect_says_what_to_clear(still: Platform) -> None:
    with pytest.raises(
        NotReady, match="run another run has landed nothing for 2013-02-06; clear 'collect' too"
    ):
        stages.validate(still, "flights", ONE, Try("another run"))


def test_a_range_with_one_bad_night_publishes_the_others(loop: Platform, ops) -> None:
    served = ops.serve(loop)
    nights = DateRange(NIGHT, NIGHT + 2 * DAY)
    ops.run("DELETE FROM ops.schedule WHERE flight_date = %s", (NIGHT + DAY,))
    stages.collect(served, "flights", nights, Try("range"))
    with pytest.raises(NightshiftError, match=str(NIGHT + DAY)):
        stages.validate(served, "flights", nights, Try("range"))
    rows = loop.warehouse.rows(
        "SELECT status FROM catalog.batches WHERE source = 'flights' AND run_id = 'range' ORDER BY batch_date"
    )
    assert [row["status"] for row in rows] == ["published", "failed", "published"]


# R14: features of the past


WEEK = DateRange(date(2013, 1, 31), NIGHT)


def build(platform: Platform, nights: DateRange) -> None:
    stages.build_features(platform, "departure", nights, Try(f"build {nights}"))


def forward(platform: Platform) -> None:
    for night in WEEK.dates:
        build(platform, DateRange(night, night))


def reverse(platform: Platform) -> None:
    for night in reversed(WEEK.dates):
        build(platform, DateRange(night, night))


def parallel(platform: Platform) -> None:
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(lambda night: build(platform, DateRange(night, night)), WEEK.dates))


def as_a_range(platform: Platform) -> None:
    build(platform, WEEK)


@pytest.mark.parametrize("order", [forward, reverse, parallel, as_a_range])
def test_a_week_of_features_is_the_same_in_whatever_order_it_is_built(
    loop: Platform, order: Callable[[Platform], None]
) -> None:
    table = feature_table(loop.project.feature_set("departure"))
    before = table_hash(loop, table, WEEK)
    recorded = (
        "SELECT batch_date, content_sha256 FROM catalog.feature_batches WHERE batch_date >= %s ORDER BY 1"
    )
    hashes = loop.warehouse.rows(recorded, (WEEK.first,))
    loop.warehouse.execute("DELETE FROM features.departure_v1 WHERE batch_date >= %s", (WEEK.first,))
    order(loop)
    after = table_hash(loop, table, WEEK)
    print(f"R14: {WEEK}, {order.__name__}: {after}, as built at first: {before}")
    assert after == before
    assert loop.warehouse.rows(recorded, (WEEK.first,)) == hashes


@pytest.mark.parametrize(
    ("known_at", "is_seen"), [("2013-05-01 00:00+00", False), ("2013-02-05 23:00+00", True)]
)
def test_a_correction_known_later_does_not_change_the_past(
    loop: Platform, known_at: str, is_seen: bool
) -> None:
    table = feature_table(loop.project.feature_set("departure"))
    before = table_hash(loop, table, ONE)
    corrected = loop.warehouse.execute(
        "INSERT INTO raw.arrivals SELECT %s, flight_id, flight_date, carrier, flight, origin, dest, dep_delay, 170, "
        "%s, %s FROM raw.arrivals WHERE flight_date = '2013-02-05' ON CONFLICT (batch_date, flight_id) DO UPDATE "
        "SET arr_delay = 170, known_at = excluded.known_at, reported_at = excluded.reported_at",
        (NIGHT - DAY, known_at, known_at),
    )
    assert corrected > 100
    build(loop, ONE)
    assert (table_hash(loop, table, ONE) != before) is is_seen


def test_a_night_without_a_source_is_not_built_half(loop: Platform) -> None:
    loop.warehouse.execute("DELETE FROM raw.weather WHERE batch_date = %s", (NIGHT,))
    before = state(loop)
    with pytest.raises(
        NotReady, match=f"source 'weather' has no batch for 1 of 1 nights, first {NIGHT}; run collect_"
    ):
        build(loop, ONE)
    assert state(loop) == before


# Watching: labels mature, arrive late, are corrected


def measured(platform: Platform) -> dict[date, dict[str, Any]]:
    rows = platform.warehouse.rows("SELECT * FROM monitoring.performance ORDER BY batch_date")
    return {row["batch_date"]: row for row in rows}


def measure(platform: Platform, night: date) -> dict[str, Any]:
    return stages.measure_performance(platform, MODEL, night, Try("night"))


def test_a_night_is_measured_only_when_its_labels_have_matured(loop: Platform) -> None:
    assert measure(loop, CHAMPION_AS_OF)["nights_measured"] == 0
    assert measured(loop) == {}, "pending is not zero"
    measure(loop, CHAMPION_AS_OF + 4 * DAY)
    first = measured(loop)
    assert list(first) == [CHAMPION_AS_OF + n * DAY for n in range(3)]
    assert all(row["labelled"] > 500 and 0 < row["metrics"]["log_loss"] < 2 for row in first.values())
    measure(loop, CHAMPION_AS_OF + 4 * DAY)
    assert measured(loop) == first


def test_a_night_restated_keeps_what_was_known_of_it_before(loop: Platform) -> None:
    def known(night: date) -> list[dict[str, Any]]:
        return loop.warehouse.rows(
            "SELECT known_on, labelled, metrics FROM monitoring.performance_history WHERE batch_date = %s "
            "ORDER BY known_on",
            (night,),
        )

    first, later = CHAMPION_AS_OF + 4 * DAY, CHAMPION_AS_OF + 6 * DAY
    measure(loop, first)
    before = known(CHAMPION_AS_OF)
    measure(loop, later - DAY)
    assert known(CHAMPION_AS_OF) == before, "a night that knows nothing else adds nothing"
    corrected = redelivered(
        loop,
        "UPDATE raw.arrivals SET arr_delay = 170, known_at = %s WHERE flight_date = %s",
        (datetime.combine(later - DAY, time(12), UTC), CHAMPION_AS_OF),
    )
    assert corrected > 100
    measure(loop, later)
    assert known(CHAMPION_AS_OF)[0] == before[0], "what was known stays"
    assert [row["known_on"] for row in known(CHAMPION_AS_OF)] == [first, later]
    assert (
        measured(loop)[CHAMPION_AS_OF]["metrics"]
        == known(CHAMPION_AS_OF)[1]["metrics"]
        != before[0]["metrics"]
    )


def test_what_happened_is_told_by_whoever_made_it_happen(loop: Platform) -> None:
    def told(kind: str, name: str) -> list[tuple[str, date | None]]:
        events = loop.warehouse.all(EVENTS, kind=kind, name=name, most=1000)
        return [(event.what, event.batch_date) for event in reversed(events)]

    assert ("published", NIGHT) in told("source", "weather")
    assert ("built", NIGHT) in told("features", "departure_v1")
    model = told("model", MODEL)
    assert model.index(("passed its gates", CHAMPION_AS_OF)) < model.index(("promoted", CHAMPION_AS_OF))
    assert model[-1] == ("scored", SCORED.last)
    with pytest.raises(WarehouseRefused, match="append-only"):
        loop.warehouse.execute("DELETE FROM catalog.events")
    before = len(model)
    stages.decide_verdict(loop, MODEL, SCORED.last, Try("night"))
    assert told("model", MODEL)[before][0].startswith("judged ")
    night = loop.warehouse.all(NIGHTS, model=MODEL, first=SCORED.last, last=SCORED.last)
    assert [(row.model_version, row.status is None, row.arm) for row in night] == [
        (loop.registry.champion(MODEL), False, "champion")
    ]


def test_late_and_corrected_labels_change_their_own_nights_and_no_others(loop: Platform) -> None:
    measure(loop, NIGHT)
    before = measured(loop)
    corrected = date(2013, 2, 2)
    # The corrections reach the warehouse with the next night, and once more with the one after it.
    for night in (NIGHT + DAY, NIGHT + 2 * DAY):
        redelivered(
            loop,
            "INSERT INTO raw.arrivals SELECT %s, flight_id, flight_date, carrier, flight, origin, dest, dep_delay, "
            "500, '2013-02-06 20:00+00', '2013-02-06 20:00+00' FROM raw.arrivals WHERE flight_date = %s "
            "AND batch_date < %s ON CONFLICT DO NOTHING",
            (night, corrected, NIGHT),
        )
    measure(loop, NIGHT)
    assert measured(loop) == before, "the night of the 6th cannot know what was reported on the 6th"
    measure(loop, NIGHT + DAY)
    after = measured(loop)
    changed = {night for night in before if after[night]["metrics"] != before[night]["metrics"]}
    assert changed == {corrected}
    assert after[corrected]["scored"] == before[corrected]["scored"]
    measure(loop, NIGHT + 2 * DAY)
    assert measured(loop)[corrected]["labelled"] == after[corrected]["labelled"], (
        "delivered twice, counted twice"
    )
    measure(loop, NIGHT)
    assert measured(loop)[corrected]["metrics"] == after[corrected]["metrics"], (
        "a replay of an older night unlearned a correction"
    )


def test_a_verdict_given_twice_is_one_verdict(loop: Platform) -> None:
    first = stages.decide_verdict(loop, MODEL, LAST_SCORED, Try("night"))
    assert stages.decide_verdict(loop, MODEL, LAST_SCORED, Try("again")) == first
    assert all_rows(loop, "monitoring.verdicts") == 1
    found = stages.verdict_of(loop, MODEL, LAST_SCORED)
    assert found
    assert found.status == first["status"]
    with pytest.raises(NotReady, match=f"no predictions for {NIGHT}; run score_{MODEL}"):
        stages.decide_verdict(loop, MODEL, NIGHT, Try("night"))
    assert stages.verdict_of(loop, MODEL, NIGHT) is None


def test_versions_are_compared_without_writing_anything(still: Platform) -> None:
    before = state(still)
    champion = still.registry.champion(MODEL)
    (found,) = stages.compare(
        still, MODEL, [champion or 0], DateRange(date(2013, 2, 1), date(2013, 2, 2)), as_of=NIGHT
    )
    assert (found["version"], found["labels"] > 1000) == (champion, True)
    assert 0 < found["metrics"]["log_loss"] < 2
    assert state(still) == before


def test_the_store_of_a_copy_is_its_own(loop: Platform, history: Any) -> None:
    assert loop.objects.root != str(history.objects)
    shutil.rmtree(loop.objects.root)
    assert history.objects.exists()
