"""Explorations of a real month: the same question gives the same files, and the row that says who looked."""

import io
import json
import os
import subprocess
import sys
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest

from nightshift import stages
from nightshift.calendar import DateRange
from nightshift.errors import NotReady, RequestError
from nightshift.objects import sha256
from nightshift.platform.inputs import read_labels
from nightshift.stages import Platform, Question, Try

pytestmark = pytest.mark.integration

MODEL = "late_arrival"
WEEK, BEFORE = (
    DateRange(date(2013, 2, 1), date(2013, 2, 7)),
    DateRange(date(2013, 1, 25), date(2013, 1, 31)),
)
COMPARED = Question(WEEK, BEFORE, 2000)


def features(platform: Platform, question: Question, run_id: str, *, target: str | None = MODEL) -> dict:
    asked = Try(run_id)
    return stages.explore_features(
        platform, "departure", question, asked, target=target, actor="ann", reason="before the review"
    )


def source(platform: Platform, name: str, question: Question, run_id: str) -> dict:
    return stages.explore_source(platform, name, question, Try(run_id), actor="ann", reason="an odd week")


def kept(platform: Platform, facts: dict) -> dict[str, bytes]:
    return {kind: platform.objects.get(facts[kind]) for kind in ("snapshot", "report", "notebook")}


def test_the_same_question_gives_the_same_files_and_each_run_its_row(still: Platform) -> None:
    first, again = features(still, COMPARED, "first"), features(still, COMPARED, "again")
    assert first == again
    for kind, content in kept(still, first).items():
        assert first[kind].startswith(f"explorations/features_departure/{sha256(content)}."), kind
    rows = still.warehouse.rows(
        "SELECT run_id, subject, first_night, last_night, compared_first, compared_last, target, row_count, "
        "snapshot_key, report_key, notebook_key, reason, actor FROM catalog.explorations "
        "WHERE subject = 'features_departure' AND run_id IN ('first', 'again') ORDER BY exploration"
    )
    assert [row.pop("run_id") for row in rows] == ["first", "again"]
    assert rows[0] == rows[1]
    assert rows[0] == {
        "subject": "features_departure",
        "first_night": WEEK.first,
        "last_night": WEEK.last,
        "compared_first": BEFORE.first,
        "compared_last": BEFORE.last,
        "target": MODEL,
        "row_count": first["rows"],
        "snapshot_key": first["snapshot"],
        "report_key": first["report"],
        "notebook_key": first["notebook"],
        "reason": "before the review",
        "actor": "ann",
    }


def test_an_older_try_that_ends_last_changes_nothing(still: Platform) -> None:
    small = replace(COMPARED, sample=100)
    for question, number in ((COMPARED, 2), (small, 1)):
        facts = stages.explore_features(
            still, "departure", question, Try("tries", number), target=None, actor="ann", reason="twice"
        )
    row = still.warehouse.row("SELECT * FROM catalog.explorations WHERE run_id = 'tries'") or {}
    assert row["try_number"] == 2
    assert row["snapshot_key"] != facts["snapshot"]


def test_a_snapshot_holds_the_ranges_rows_and_the_labels_known_at_its_last_cutoff(still: Platform) -> None:
    facts = features(still, Question(WEEK, None, 100_000), "all of them")
    rows = pq.read_table(io.BytesIO(still.objects.get(facts["snapshot"]))).to_pandas()
    assert len(rows) == facts["rows"] == facts["sampled"] > 5000
    assert (rows["batch_date"].min(), rows["batch_date"].max()) == (WEEK.first, WEEK.last)
    labels = read_labels(still, still.project.model(MODEL), WEEK.first, WEEK.last)
    joined = rows.dropna(subset=["label"]).set_index("flight_id")["label"]
    assert joined.sort_index().equals(
        labels[labels["flight_id"].isin(rows["flight_id"])].set_index("flight_id")["label"].sort_index()
    )
    # Arrivals of a day are reported over the days that follow: nothing of the last day was known at its beginning.
    assert rows.loc[rows["batch_date"] == WEEK.last, "label"].isna().all()
    assert rows.loc[rows["batch_date"] == WEEK.first, "label"].notna().mean() > 0.9


def test_a_report_of_a_source_shows_what_was_set_aside(loop: Platform) -> None:
    before = source(loop, "weather", Question(WEEK, None, 1000), "before")
    loop.warehouse.execute(
        "UPDATE catalog.batches SET collected = collected + 7 - rejected, rejected = 7 "
        "WHERE source = 'weather' AND batch_date = %s",
        (WEEK.first,),
    )
    facts = source(loop, "weather", Question(WEEK, None, 1000), "after")
    aside = loop.warehouse.row(
        "SELECT sum(rejected) AS n FROM catalog.batches WHERE source = 'weather' AND batch_date BETWEEN %s AND %s",
        (WEEK.first, WEEK.last),
    )
    page = loop.objects.get(facts["report"]).decode()
    assert facts["snapshot"] == before["snapshot"]
    assert f"{(aside or {})['n']} rows were set aside" in page
    assert page != loop.objects.get(before["report"]).decode()


@pytest.mark.parametrize("name", ["flights", "arrivals", "weather", "aircraft"])
def test_every_source_can_be_explored_and_no_identifier_is_shown(still: Platform, name: str) -> None:
    facts = source(still, name, Question(WEEK, BEFORE, 3000), f"look at {name}")
    page = still.objects.get(facts["report"]).decode()
    rows = pq.read_table(io.BytesIO(still.objects.get(facts["snapshot"]))).to_pandas()
    assert facts["sampled"] == len(rows) == min(3000, facts["rows"])
    assert len(page.encode()) <= 2_000_000
    for column in {"flight_id", "tailnum"} & set(rows.columns):
        assert not [value for value in rows[column].dropna().unique() if f">{value}<" in page]


@pytest.mark.parametrize(
    ("change", "kind", "says"),
    [
        ({"nights": DateRange(date(2013, 6, 1), date(2013, 6, 2))}, NotReady, "has no rows in 2013-06-01"),
        ({"compared": DateRange(date(2013, 6, 1), date(2013, 6, 2))}, NotReady, "run features_departure"),
        ({"target": "late_arival"}, RequestError, "on feature set 'departure'; did you mean 'late_arrival'"),
    ],
)
def test_what_cannot_be_explored_is_refused_and_not_recorded(
    still: Platform, change: dict, kind: type, says: str
) -> None:
    target = change.pop("target", MODEL)
    with pytest.raises(kind, match=says):
        features(still, replace(COMPARED, **change), "refused", target=target)
    assert not still.warehouse.rows("SELECT 1 FROM catalog.explorations WHERE run_id = 'refused'")


@pytest.mark.slow
def test_the_notebook_opens_exactly_its_snapshot_and_computes_from_it(
    still: Platform, tmp_path: Path
) -> None:
    facts = features(still, COMPARED, "notebook")
    cells = json.loads(still.objects.get(facts["notebook"]))["cells"]
    code = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    asks = (
        "import json; print('FOUND' + json.dumps([len(rows), list(rows.columns), float(rows['temp_last'].mean()), "
        "int(rows_by_night.sum()), float(missing.get('tailnum', 0)), with_label.index[0], len(plt.get_fignums())]))"
    )
    (tmp_path / "cells.py").write_text("\n".join([*code, asks]))
    done = run(tmp_path, still.objects.root)
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout.rpartition("FOUND")[2])
    rows = pq.read_table(io.BytesIO(still.objects.get(facts["snapshot"]))).to_pandas()
    assert found[:4] == [2000, list(rows.columns), pytest.approx(rows["temp_last"].mean()), 2000]
    assert found[5] in still.project.feature_set("departure").columns
    assert found[6] >= 2

    where = Path(still.objects.root) / facts["snapshot"]
    elsewhere = tmp_path / "objects" / facts["snapshot"]
    elsewhere.parent.mkdir(parents=True)
    elsewhere.write_bytes(where.read_bytes()[:-1] + b"x")
    done = run(tmp_path, str(tmp_path / "objects"))
    assert done.returncode != 0
    assert f"expected sha256 {sha256(where.read_bytes())}" in done.stderr


def run(folder: Path, objects: str) -> subprocess.CompletedProcess:
    """Run the cells as a fresh kernel would: nothing of ours imported, no window."""
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "MPLBACKEND": "Agg",
        "NIGHTSHIFT_OBJECTS": objects,
    }
    command = [sys.executable, "-W", "error::FutureWarning", str(folder / "cells.py")]
    return subprocess.run(
        command, env=environment, cwd=folder, capture_output=True, text=True, timeout=240, check=False
    )


def test_nights_without_rows_are_named_not_left_out(still: Platform) -> None:
    longer = Question(DateRange(date(2013, 2, 7), date(2013, 2, 7) + timedelta(days=5)), None, 500)
    facts = source(still, "flights", longer, "gaps")
    page = still.objects.get(facts["report"]).decode()
    assert "Nights without rows: 4 of 6, the first is 2013-02-09." in page
    assert pd.read_parquet(io.BytesIO(still.objects.get(facts["snapshot"])))["batch_date"].nunique() == 2


def test_a_set_with_a_column_label_of_its_own_has_no_target_joined(still: Platform) -> None:
    spec = still.project.feature_set("departure")
    changed = spec.model_copy(update={"columns": {**spec.columns, "label": "float"}})
    project = still.project.model_copy(update={"feature_sets": {"departure": changed}})
    with pytest.raises(RequestError, match="a column 'label' of its own; leave target empty"):
        features(replace(still, project=project), COMPARED, "own label")
