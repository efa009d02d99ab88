"""One file of events that holds what is known beforehand and what came of it: drafted in two halves, without a leak."""

import os
import subprocess
import sys
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from nightshift import featurise
from nightshift.collect import connection_of, open_source
from nightshift.drafts import look
from nightshift.drafts import new as drafts
from nightshift.drafts.model import Ask
from nightshift.drafts.new import Outcome
from nightshift.errors import RequestError
from nightshift.specs import load_project
from nightshift.validate import validate_batches

FIRST, NIGHTS, A_NIGHT = date(2016, 1, 2), 60, 20
BOOKINGS = {
    "kind": "files",
    "folder": "data",
    "path": "bookings.csv",
    "date_column": "arrival_date",
    "format": "csv",
    "offset_days": -1,
}
COMPANIONS = ["reservation_status", "reservation_status_date"]


def bookings() -> pd.DataFrame:
    """Return bookings in which a long lead time tells something, and the status all, of what came of them."""
    random = np.random.default_rng(0)
    rows = NIGHTS * A_NIGHT
    arrival = pd.Series([FIRST + timedelta(n // A_NIGHT) for n in range(rows)])
    lead, nights = random.integers(1, 200, rows), random.integers(1, 8, rows)
    canceled = random.random(rows) < 0.1 + lead / 400
    status = np.where(canceled, random.choice(["Canceled", "No-Show"], rows, p=[0.9, 0.1]), "Check-Out")
    days = {"Canceled": -random.integers(1, 30, rows), "No-Show": 0 * nights, "Check-Out": nights}
    moved = np.select([status == name for name in days], list(days.values()))
    return pd.DataFrame(
        {
            "Booking_ID": [f"INN{n:05}" for n in range(rows)],
            "arrival_date": arrival,
            "lead_time": lead,
            "segment": random.choice(["Online", "Groups", "Direct"], rows),
            "is_canceled": np.where(canceled, "Yes", "No"),
            "reservation_status": status,
            "reservation_status_date": [
                day + timedelta(int(n)) for day, n in zip(arrival, moved, strict=True)
            ],
        }
    )


@pytest.fixture
def include(tmp_path: Path) -> Path:
    folder = tmp_path / "include"
    for part in ("sources", "features", "models"):
        (folder / part).mkdir(parents=True)
    last = FIRST + timedelta(NIGHTS - 1)
    (folder / "project.yaml").write_text(
        f"timezone: Europe/Lisbon\nfirst_night: {FIRST}\nlast_night: {last}\n"
    )
    (tmp_path / "data").mkdir()
    bookings().to_csv(tmp_path / "data/bookings.csv", index=False)
    return folder


def draft_halves(include: Path, **outcome: object) -> None:
    drafts.new_source("hotel", BOOKINGS, None, outcome=Outcome(("is_canceled",), **outcome), include=include)


def collected(include: Path) -> dict[str, pd.DataFrame]:
    """Return every night of both halves as the warehouse gives them."""
    project, found = load_project(include).require_sound(), {}
    for name, spec in project.sources.items():
        where = connection_of(spec, look.find_connection, include.parent)
        with open_source(spec, where, project.calendar.zone) as reader:
            days = [FIRST + timedelta(n + (name == "hotel_outcome")) for n in range(NIGHTS)]
            batches = {day: reader.read(day, project.calendar.window(day)) for day in days[:-1]}
        rows = validate_batches(spec, batches).require_passed().accepted
        cutoffs = rows["batch_date"].map(lambda night: project.calendar.cutoff(night.date()))
        found[name] = rows.assign(known_at=pd.to_datetime(cutoffs, utc=True))
    return found


def test_the_outcome_and_what_gives_it_away_are_a_source_of_their_own(include: Path) -> None:
    paths, found = drafts.new_source(
        "hotel", BOOKINGS, None, outcome=Outcome(("is_canceled",)), include=include
    )
    project = load_project(include).require_sound()
    before, after = project.source("hotel"), project.source("hotel_outcome")
    assert list(found.outcome) == ["is_canceled", *COMPANIONS]
    assert list(before.columns) == ["Booking_ID", "arrival_date", "lead_time", "segment"]
    assert set(after.columns) == {"Booking_ID", "arrival_date", "is_canceled", *COMPANIONS}
    assert (before.key, after.key) == (["Booking_ID"], ["Booking_ID"])
    assert (before.connector.offset_days, after.connector.offset_days) == (0, -1)
    assert {before.other_columns, after.other_columns} == {"ignore"}
    for path in paths:
        assert "reservation_status: says is_canceled by itself" in path.read_text()


def test_a_column_that_says_the_outcome_suspiciously_well_is_kept_and_asked_about(include: Path) -> None:
    table, random = bookings(), np.random.default_rng(1)
    gone = table["is_canceled"] == "Yes"
    table["refund"] = np.where(
        gone, random.normal(3.1, 1, len(table)), random.normal(0, 1, len(table))
    ).round(3)
    table.to_csv(include.parent / "data/bookings.csv", index=False)
    (path, _), found = drafts.new_source(
        "hotel", BOOKINGS, None, outcome=Outcome(("is_canceled",)), include=include
    )
    assert list(found.telling) == ["refund"]
    assert "refund" in load_project(include).source("hotel").columns
    said = " ".join(path.read_text().replace("#", " ").split())
    assert (
        "If not, name it in --outcome too: refund: says is_canceled by itself suspiciously well (0.9" in said
    )


def test_an_outcome_that_comes_late_is_collected_late(include: Path) -> None:
    draft_halves(include, after=7)
    assert load_project(include).require_sound().source("hotel_outcome").connector.offset_days == -7


def test_the_commands_that_follow_name_no_night_before_the_first_outcome(include: Path) -> None:
    command = (
        "new source hotel --folder data --path bookings.csv --date-column arrival_date --outcome is_canceled"
    )
    done = subprocess.run(
        [sys.executable, "-m", "nightshift.cli", *command.split(), "--outcome-after", "7"],
        env=os.environ | {"NIGHTSHIFT_INCLUDE": str(include)},
        capture_output=True,
        text=True,
        check=True,
    )
    last = FIRST + timedelta(NIGHTS - 1)
    assert f"collect_hotel --from {FIRST} --to {last}" in done.stdout
    assert f"collect_hotel_outcome --from {FIRST + timedelta(7)} --to {last}" in done.stdout


def test_the_drafts_alone_end_in_an_honest_model(include: Path) -> None:
    draft_halves(include)
    drafts.new_features("stay", ["hotel", "hotel_outcome"], [], include=include)
    drafts.new_model("cancel", Ask("stay", "is_canceled"), "hotel_outcome", include=include)
    project = load_project(include).require_sound()
    spec, model, rows = project.feature_set("stay"), project.model("cancel"), collected(include)
    assert (model.target.equals, model.target.matures_after_days) == ("Yes", 1)
    assert not {"is_canceled", *COMPANIONS} & spec.columns.keys()
    night = FIRST + timedelta(40)
    seen = featurise.visible(rows, spec, project.calendar, night)
    built = featurise.compute(spec, featurise.load_build(spec), seen, night)
    table = bookings()
    assert set(built["Booking_ID"]) == set(table[table["arrival_date"] == night]["Booking_ID"])
    # The share of the past is of bookings whose outcome was known when the night began, and of no later one.
    past = table[(table["arrival_date"] < night) & (table["arrival_date"] >= night - timedelta(28))]
    groups = (past["is_canceled"] == "Yes").groupby(past["segment"]).mean()
    expected = table.set_index("Booking_ID").loc[built["Booking_ID"], "segment"].map(groups)
    assert built["is_canceled_yes_mean_by_segment_28d"].tolist() == pytest.approx(expected.tolist())


def test_labels_dated_by_the_day_they_came_are_awaited_as_long_as_they_took(include: Path) -> None:
    orders = bookings()[["Booking_ID", "arrival_date", "lead_time"]]
    came = [day + timedelta(1 + n % 3) for n, day in enumerate(orders["arrival_date"])]
    closed = orders[["Booking_ID"]].assign(closed_on=came, outcome=["late", "fine"] * (len(orders) // 2))
    orders.to_csv(include.parent / "data/orders.csv", index=False)
    closed.sort_values("closed_on").to_csv(include.parent / "data/closed.csv", index=False)
    for name, day, offset in (("orders", "arrival_date", 0), ("closed", "closed_on", -1)):
        connector = {**BOOKINGS, "path": f"{name}.csv", "date_column": day, "offset_days": offset}
        drafts.new_source(name, connector, None, include=include)
    drafts.new_features("parcel", ["orders", "closed"], [], include=include)
    drafts.new_model("fate", Ask("parcel", "outcome"), "closed", include=include)
    # Closed up to three days later, which the night after that collects.
    assert load_project(include).require_sound().model("fate").truth.matures_after_days == 4


def test_a_target_in_the_row_that_announces_it_is_refused_with_the_commands_that_mend_it(
    include: Path,
) -> None:
    drafts.new_source("hotel", BOOKINGS, None, include=include)
    drafts.new_features("stay", ["hotel"], [], include=include)
    with pytest.raises(RequestError, match="told what it is to predict") as refused:
        drafts.new_model("cancel", Ask("stay", "is_canceled"), "hotel", include=include)
    words = str(refused.value)
    assert "reservation_status: says is_canceled by itself" in words
    assert (
        "new source hotel --folder data --path bookings.csv --date-column arrival_date "
        "--outcome is_canceled,reservation_status" in words
    )
    assert not (include / "models/cancel.yaml").exists()


MODEL = """owner: me
description: d
task: classification
features: stay
target: {{source: {source}, column: is_canceled, equals: "Yes"}}
estimator: {{class: sklearn.linear_model.LogisticRegression}}
gates: [{{gate: minimum_score, metric: roc_auc, value: 0.5}}, {{gate: beats_champion, metric: roc_auc}}]
"""


@pytest.mark.parametrize("source", ["hotel", "hotel_outcome"])
def test_a_model_written_by_hand_whose_features_know_its_target_does_not_load(
    include: Path, source: str
) -> None:
    drafts.new_source("hotel", BOOKINGS, None, include=include)
    drafts.new_features("stay", ["hotel"], [], include=include)
    # Under another name: what the name says is told by another check.
    module = include / "features/stay.py"
    module.write_text(module.read_text().replace('"is_canceled":', '"asked":'))
    whole = include / "sources/hotel.yaml"
    whole.write_text(whole.read_text().replace("offset_days: -1", "offset_days: 0"))
    (include / "sources/hotel_outcome.yaml").write_text(
        whole.read_text().replace("offset_days: 0", "offset_days: -1")
    )
    (include / "models/cancel.yaml").write_text(MODEL.format(source=source))
    says = {
        "hotel": "so it is known before the night that is to predict it",
        "hotel_outcome": "source 'hotel' of feature set 'stay' reads 'is_canceled' of the same file 1 days before",
    }
    assert says[source] in load_project(include).problems[include / "models/cancel.yaml"]


def test_an_outcome_that_is_not_there_is_told_and_nothing_is_written(include: Path) -> None:
    with pytest.raises(RequestError, match="there is no column 'is_cancelled'; did you mean 'is_canceled'"):
        drafts.new_source("hotel", BOOKINGS, None, outcome=Outcome(("is_cancelled",)), include=include)
    with pytest.raises(RequestError, match="there is no column 'batch_date'"):
        drafts.new_source("hotel", BOOKINGS, None, outcome=Outcome(("batch_date",)), include=include)
    with pytest.raises(RequestError, match="each with a query of its own"):
        drafts.new_source(
            "hotel", {"kind": "sql", "connection": "x", "query": "SELECT 1"}, None,
            outcome=Outcome(("a",)), include=include,
        )  # fmt: skip
    assert not list((include / "sources").iterdir())
