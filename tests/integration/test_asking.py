"""The champion asked by hand: its predictions for given entities, beside the nightly ones, never among them."""

from datetime import date
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

from integration.champions import MODEL
from integration.conftest import SCORED
from nightshift import stages
from nightshift.cli.app import app
from nightshift.errors import NotReady, RequestError
from nightshift.specs.derived import relations
from nightshift.specs.tables import NAME_BYTES
from nightshift.stages import Platform, Try, Wanted

pytestmark = pytest.mark.integration

NIGHT = SCORED.last


def nightly(platform: Platform) -> list[dict]:
    return platform.warehouse.rows(
        f"SELECT * FROM predictions.{MODEL} WHERE batch_date = %s ORDER BY flight_id", (NIGHT,)
    )


def test_given_entities_get_what_the_night_said_of_them_and_the_others_are_named(loop: Platform) -> None:
    before = nightly(loop)
    first, second, third = [row["flight_id"] for row in before[:3]]
    wanted = Wanted([(third,), ("'; DROP TABLE raw.flights; --",), (first,)])
    facts, words = stages.score_entities(loop, MODEL, NIGHT, Try("by hand"), wanted)
    assert (facts["rows"], facts["missing"], facts["table"]) == (2, 1, f"adhoc.{MODEL}")
    assert words == "2 of 3 keys found; without a row: '; DROP TABLE raw.flights; --"
    stages.score_entities(loop, MODEL, NIGHT, Try("another"), Wanted([(second,)]))
    stages.score_entities(loop, MODEL, NIGHT, Try("by hand", 2), wanted)
    kept = loop.warehouse.rows(f"SELECT * FROM adhoc.{MODEL} ORDER BY run_id DESC, flight_id")
    assert [(row["run_id"], row["flight_id"]) for row in kept] == [
        ("by hand", first),
        ("by hand", third),
        ("another", second),
    ]
    said = {row["flight_id"]: row["prediction"] for row in before}
    assert all(row["prediction"] == said[row["flight_id"]] for row in kept)
    assert nightly(loop) == before
    batches = "SELECT count(*) AS n FROM catalog.prediction_batches WHERE model = %s"
    assert loop.warehouse.row(batches, (MODEL,)) == {"n": len(SCORED.dates)}


def test_whatever_is_named_after_specs_bears_a_name_that_they_are_checked_for(loop: Platform) -> None:
    wanted = Wanted([(nightly(loop)[0]["flight_id"],)])
    stages.score_entities(loop, MODEL, NIGHT, Try("named"), wanted)
    stages.measure_performance(loop, MODEL, NIGHT, Try("named"))
    schemas = ["raw", "features", "predictions", "labels", "adhoc"]
    there = loop.warehouse.rows(
        "SELECT n.nspname AS schema, c.relname AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
        "WHERE n.nspname = ANY(%s) AND c.relkind IN ('r', 'i', 'v')",
        (schemas,),
    )
    project = loop.project
    specs = [*project.sources.values(), *project.feature_sets.values(), *project.models.values()]
    known = {relation for spec in specs for relation in relations(spec)}
    assert {row["schema"] for row in there} == {*schemas}
    assert {(row["schema"], row["name"]) for row in there} <= known
    longest = "x" * 40  # of a spec's name
    renamed = [spec.model_copy(update={"name": longest}) for spec in specs]
    assert all(len(name) <= NAME_BYTES for spec in renamed for _, name in relations(spec))


def test_values_of_columns_choose_rows_and_the_newest_night_is_meant_if_none_is_named(
    still: Platform,
) -> None:
    answered = stages.ask_champion(still, MODEL, NIGHT, Try("x"), Wanted(where=["origin=JFK", "origin=LGA"]))
    rows = still.warehouse.row(
        "SELECT count(*) AS n FROM features.departure_v1 WHERE batch_date = %s AND origin IN ('JFK', 'LGA')",
        (NIGHT,),
    )
    assert rows == {"n": len(answered.rows)}
    assert len(answered.rows) > 0
    newest = stages.ask_champion(still, MODEL, None, Try("x"), Wanted(where=["origin=JFK"]))
    assert newest.night == date(2013, 2, 8)


@pytest.mark.parametrize(
    ("wanted", "error", "says"),
    [
        (Wanted([("nowhere",)]), NotReady, "nothing to score; 0 of 1 keys found; without a row: nowhere"),
        (Wanted([("a", "b")]), RequestError, "'a/b' has 2 values; the entity of departure is flight_id"),
        (Wanted(where=["orig=JFK"]), RequestError, r"unknown column 'orig'; did you mean 'origin'\?"),
        (Wanted(where=["origin=JFK' OR '1'='1"]), NotReady, "nothing to score"),
    ],
)
def test_what_is_not_there_is_said(
    still: Platform, wanted: Wanted, error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says):
        stages.ask_champion(still, MODEL, NIGHT, Try("x"), wanted)


def test_a_night_without_features_says_which_to_build(still: Platform) -> None:
    with pytest.raises(NotReady, match="run features_departure"):
        stages.ask_champion(still, MODEL, date(2013, 2, 20), Try("x"), Wanted([("a",)]))


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_the_command_reads_and_writes_files(
    still: Platform, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, suffix: str
) -> None:
    monkeypatch.setenv("NIGHTSHIFT_WAREHOUSE_URL", still.warehouse.url)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", still.registry.uri)
    monkeypatch.setenv("NIGHTSHIFT_OBJECTS", still.objects.root)
    flights = [row["flight_id"] for row in nightly(still)[:2]]
    keys = pd.DataFrame({"who": ["me", "you", "x"], "flight_id": [*flights, "nowhere"]})
    file, output = tmp_path / f"keys{suffix}", tmp_path / f"said{suffix}"
    keys.to_csv(file, index=False) if suffix == ".csv" else keys.to_parquet(file)
    words = ["score", MODEL, "--keys", str(file), "--night", str(NIGHT), "--output", str(output)]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    assert "2 of 3 keys found; without a row: nowhere" in done.output
    read = pd.read_csv(output, float_precision="round_trip") if suffix == ".csv" else pd.read_parquet(output)
    expected = [row["prediction"] for row in nightly(still)[:2]]
    assert read.sort_values("flight_id")["prediction"].tolist() == expected
