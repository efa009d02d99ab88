"""Labels as they were known at a time: late ones wait, a correction replaces, a repetition counts once."""

from datetime import date
from typing import Any

import numpy as np
import pandas as pd
import pytest

from nightshift.errors import SpecError
from nightshift.specs import Model
from nightshift.train import labelled, labels, never_met, reports

ENTITY = ["flight_id"]


def model(above: float | None = 15) -> Model:
    task, metric = ("regression", "mae") if above is None else ("classification", "log_loss")
    return Model.model_validate(
        {
            "name": "late",
            "owner": "me",
            "description": "",
            "task": task,
            "features": "f",
            "target": {"source": "arrivals", "column": "arr_delay", "above": above},
            "estimator": {"class": "sklearn.linear_model.Ridge"},
            "gates": [
                {"gate": gate, "metric": metric, "value": 0.5} for gate in ("minimum_score", "beats_champion")
            ],
        }
    )


def at(text: str) -> pd.Timestamp:
    return pd.Timestamp(text, tz="UTC")


def arrivals(*rows: tuple[str, float | None, str]) -> pd.DataFrame:
    """Return arrivals as the warehouse gives them: (flight, minutes late, known at)."""
    flights, delays, known = zip(*rows, strict=True) if rows else ((), (), ())
    known_at = pd.to_datetime(pd.Series(known, dtype="str"), utc=True)
    return pd.DataFrame(
        {
            "batch_date": pd.Timestamp("2013-02-01"),
            "flight_id": flights,
            "arr_delay": np.array(delays, dtype=float),
            "known_at": known_at,
        }
    )


def known_by(when: str, *rows: tuple[str, float | None, str], above: float | None = 15) -> dict[str, float]:
    spec = model(above)
    found = labels(spec, reports(spec, arrivals(*rows), ENTITY), ENTITY, at(when))
    assert list(found.columns) == ["flight_id", "label"]
    return dict(zip(found["flight_id"], found["label"], strict=True))


@pytest.mark.parametrize(
    ("when", "expected"),
    [
        ("2013-02-01 00:00", {}),
        ("2013-02-02 00:00", {"a": 1.0}),
        ("2013-02-06 00:00", {"a": 1.0, "b": 0.0}),
        ("2013-02-11 00:00", {"a": 1.0, "b": 0.0, "c": 1.0}),
    ],
)
def test_a_label_is_used_only_once_it_has_arrived(when: str, expected: dict[str, float]) -> None:
    one, five, ten = (
        ("a", 60.0, "2013-02-01 20:00"),
        ("b", 0.0, "2013-02-05 20:00"),
        ("c", 16.0, "2013-02-10 20:00"),
    )
    assert known_by(when, ten, one, five) == expected


def test_a_label_known_at_the_very_cutoff_counts_and_one_a_moment_later_does_not() -> None:
    assert known_by("2013-02-02 05:00", ("a", 60.0, "2013-02-02 05:00")) == {"a": 1.0}
    assert known_by("2013-02-02 05:00", ("a", 60.0, "2013-02-02 05:00:00.000001")) == {}


CORRECTED = [("a", 60.0, "2013-02-01 20:00"), ("a", 10.0, "2013-02-03 20:00")]


@pytest.mark.parametrize("order", [1, -1])
@pytest.mark.parametrize(("when", "label"), [("2013-02-02", 1.0), ("2013-02-04", 0.0)])
def test_the_last_report_known_by_then_counts_in_whatever_order_they_come(
    when: str, label: float, order: int
) -> None:
    assert known_by(when, *CORRECTED[::order]) == {"a": label}


def test_a_label_delivered_twice_is_one_label() -> None:
    twice = [("a", 60.0, "2013-02-01 20:00")] * 2
    assert known_by("2013-02-02", *twice) == {"a": 1.0}


def test_of_two_reports_of_one_moment_the_later_delivered_counts() -> None:
    moment = "2013-02-01 20:00"
    assert known_by("2013-02-02", ("a", 60.0, moment), ("a", 0.0, moment)) == {"a": 0.0}


def test_a_flight_that_never_arrived_has_no_label() -> None:
    assert known_by("2013-02-02", ("a", None, "2013-02-01 20:00"), ("b", 3.0, "2013-02-01 20:00")) == {
        "b": 0.0
    }


def test_a_correction_to_nothing_takes_the_label_away() -> None:
    cancelled = ("a", None, "2013-02-03 20:00")
    assert known_by("2013-02-02", CORRECTED[0], cancelled) == {"a": 1.0}
    assert known_by("2013-02-04", CORRECTED[0], cancelled) == {}


@pytest.mark.parametrize(("minutes", "label"), [(15.0, 0.0), (15.1, 1.0), (-20.0, 0.0)])
def test_the_positive_class_lies_above_the_threshold(minutes: float, label: float) -> None:
    assert known_by("2013-02-02", ("a", minutes, "2013-02-01 20:00")) == {"a": label}


def test_a_regression_learns_the_value_itself() -> None:
    assert known_by("2013-02-02", ("a", -7.5, "2013-02-01 20:00"), above=None) == {"a": -7.5}


def test_no_reports_are_no_labels() -> None:
    assert known_by("2013-02-02") == {}


def test_feature_rows_keep_their_order_and_lose_those_without_a_label() -> None:
    features = pd.DataFrame({"flight_id": ["c", "a", "b"], "x": [3.0, 1.0, 2.0]})
    truth = pd.DataFrame({"flight_id": ["a", "c", "z"], "label": [0.0, 1.0, 1.0]})
    found = labelled(features, truth, ENTITY)
    assert found.to_dict("list") == {"flight_id": ["c", "a"], "x": [3.0, 1.0], "label": [1.0, 0.0]}


def test_an_entity_that_comes_again_on_another_night_is_told_with_both() -> None:
    nights = pd.to_datetime(["2013-02-01", "2013-02-01", "2013-02-03"])
    features = pd.DataFrame({"batch_date": nights, "flight_id": ["a", "b", "a"]})
    truth = pd.DataFrame({"flight_id": ["a"], "label": [1.0]})
    with pytest.raises(
        SpecError, match="flight_id 'a' has features on 2013-02-01 and on 2013-02-03, and one label"
    ):
        labelled(features, truth, ENTITY)


def test_a_label_twice_is_an_error_not_two_rows() -> None:
    features, truth = pd.DataFrame({"flight_id": ["a"]}), pd.DataFrame({"flight_id": ["a", "a"]})
    with pytest.raises(ValueError, match="one-to-one"):
        labelled(features, truth, ENTITY)


def test_labels_and_features_that_never_meet_are_told_as_each_is_spelled() -> None:
    features = pd.DataFrame({"flight_id": ["007", "008"]})
    truth = pd.DataFrame({"flight_id": ["7", "8"], "label": [1.0, 0.0]})
    said = str(never_met(model(), features, truth, ENTITY))
    assert "none of 2 labels" in said
    assert "labels are of flight_id '8', features of flight_id '008'" in said
    hidden = str(never_met(model(), features.assign(flight_id="ann@example.org"), truth, ENTITY))
    assert "features of flight_id (a text not shown)" in hidden


@pytest.mark.parametrize(
    ("day", "shop"),
    [
        ([date(2013, 2, 1), date(2013, 2, 2)], [7, 8]),
        (pd.to_datetime(["2013-02-01", "2013-02-02"]), ["7", "8"]),
    ],
)
def test_a_label_finds_its_entity_whether_the_source_keeps_dates_numbers_or_text(day: Any, shop: Any) -> None:
    on = {"batch_date": pd.Timestamp("2013-02-03"), "known_at": at("2013-02-03")}
    truth = pd.DataFrame({"day": day, "shop": shop, "arr_delay": [20.0, 10.0], **on})
    features = pd.DataFrame({"day": ["2013-02-02", "2013-02-01"], "shop": ["8", "7"]})
    known = labels(model(), reports(model(), truth, ["day", "shop"]), ["day", "shop"], at("2013-02-03"))
    assert labelled(features, known, ["day", "shop"])["label"].tolist() == [0.0, 1.0]


def test_an_integer_entity_joins_also_where_one_of_the_range_is_null() -> None:
    large = 2**60 + 1
    truth = pd.DataFrame(
        {
            "shop": pd.Series([large, None, 7], dtype="Int64"),
            "arr_delay": [20.0, 20.0, 0.0],
            "known_at": pd.to_datetime(pd.Series(["2013-02-01"] * 3), utc=True),
            "batch_date": pd.Timestamp("2013-02-01"),
        }
    )
    found = labels(model(), reports(model(), truth, ["shop"]), ["shop"], at("2013-02-02"))
    features = pd.DataFrame({"shop": [str(large), "7"], "size": [1.0, 2.0]})
    assert labelled(features, found, ["shop"])["label"].to_list() == [1.0, 0.0]


def test_reports_of_one_moment_in_two_batches_are_two_and_the_later_batch_counts() -> None:
    early, late = (
        arrivals(("a", minutes, "2013-02-01 20:00")).assign(batch_date=pd.Timestamp(day))
        for minutes, day in ((60.0, "2013-02-01"), (0.0, "2013-02-02"))
    )
    found = reports(model(), pd.concat([early, late]), ENTITY)
    assert list(found.columns) == ["batch_date", "flight_id", "known_at", "label", "no_class"]
    assert found["label"].to_list() == [1.0, 0.0]
    assert labels(model(), found, ENTITY, at("2013-02-03"))["label"].to_list() == [0.0]
