"""Declared fixes: on delivered values of whatever type, on the rows named, and on no others."""

import json
from datetime import timedelta

import numpy as np
import pandas as pd
import pytest
from weather_batches import BETWEEN, DAY, batch, source, with_values

from nightshift.errors import SpecError
from nightshift.specs import Fix
from nightshift.specs.source import FIX_ACTIONS
from nightshift.validate import FIXES, Known, validate, validate_batches

FILES = {"kind": "files", "connection": "c", "path": "{date}.csv", "format": "csv"}


def mended(frame: pd.DataFrame, fix: dict, rows: list[int], **changes):
    spec = source(fixes={"fix": fix}, **changes)
    return validate(spec, frame, [DAY], known=Known(mended=[(DAY, "fix", np.array(rows))])).accepted


def test_every_action_of_the_spec_has_a_function():
    assert set(FIXES) == set(FIX_ACTIONS) == set(Fix.model_fields) - {"column"}


# column, delivered, fix, what it becomes
CASES = [
    ("temp", 20.0, {"multiply": 1.5}, 30.0),
    ("hour", 1000, {"multiply": 0.5}, 500),
    ("gust", 20.0, {"set_null": True}, None),
    ("temp", -9999.0, {"replace": {-9999: 0}}, 0.0),
    ("temp", "mild", {"replace": {"mild": 12.5}}, 12.5),
    ("station", "NEWARK", {"replace": {"NEWARK": "EWR"}}, "EWR"),
    ("snow", "yes", {"replace": {"yes": True}}, True),
]


@pytest.mark.parametrize(("column", "delivered", "action", "expected"), CASES)
def test_a_fix_changes_the_rows_it_is_for_and_no_others(column, delivered, action, expected):
    frame = with_values(batch(), column, 1, delivered)
    found = mended(frame, {"column": column, **action}, [1])
    value = found[column].iloc[0]
    assert pd.isna(value) if expected is None else value == expected
    pd.testing.assert_frame_equal(
        found.iloc[1:].reset_index(drop=True),
        validate(source(), batch(), [DAY]).accepted.iloc[1:].reset_index(drop=True),
        check_dtype=False,
    )


def test_text_of_csv_is_multiplied_as_the_number_it_spells_and_nonsense_stays():
    text = batch().drop(columns="batch_date").astype(object).map(lambda v: "" if pd.isna(v) else str(v))
    text.loc[0, "temp"], text.loc[1, "temp"] = "20.5", "mild"
    spec = source(connector=FILES, fixes={"fix": {"column": "temp", "multiply": 2}})
    known = Known(mended=[(DAY, "fix", np.array([1, 2]))])
    found = validate_batches(spec, {DAY: text}, known)
    assert found.accepted["temp"].iloc[0] == 41.0
    assert list(found.rejected["value"]) == ["mild"]


def test_a_mended_row_that_is_set_aside_shows_its_value_as_judged_and_its_row_as_delivered():
    frames = {DAY: with_values(batch(), "temp", 1, -20.0).drop(columns="batch_date")}
    spec = source(fixes={"fix": {"column": "temp", "multiply": 10}})
    for most in (1000, 30):
        checked = validate_batches(spec, frames, Known(mended=[(DAY, "fix", np.array([1]))]), most=most)
        [(value, row)] = checked.rejected[["value", "row"]].to_numpy().tolist()
        assert float(value) == -200.0
        assert json.loads(row)["temp"] == -20.0


def test_fixes_of_several_dates_and_in_their_order():
    other = DAY + timedelta(days=1)
    frames = {day: batch(day=day).drop(columns="batch_date") for day in (DAY, other)}
    fixes = {
        "double": {"column": "temp", "multiply": 2},
        "sixty": {"column": "temp", "replace": {60: 1}},
    }
    known = Known(
        mended=[
            (other, "sixty", np.array([1])),
            (DAY, "double", np.array([1])),
            (DAY, "sixty", np.array([1])),
            (other, "double", np.array([1])),
        ]
    )
    accepted = validate_batches(source(fixes=fixes), frames, known).accepted
    assert accepted["temp"].iloc[[0, 100]].tolist() == [1.0, 60.0]


def test_a_fix_that_is_not_declared_any_more_is_named():
    with pytest.raises(SpecError, match="rows were mended by 'fox', which is not declared any more; did you"):
        validate(
            source(fixes={"fix": {"column": "temp", "multiply": 2}}),
            batch(),
            [DAY],
            known=Known(mended=[(DAY, "fox", np.array([1]))]),
        )


def test_a_discarded_row_stays_out_and_claims_no_key():
    twin = pd.concat([batch(), batch().head(1).assign(temp=99.0)], ignore_index=True)
    found = validate(source(), twin, [DAY], known=Known(discarded={DAY: np.array([101])}))
    assert list(found.rejected["row_number"]) == [101]
    assert list(found.rejected["rule"]) == ["discarded"]
    assert found.verdicts[DAY].accepted == 100


def test_a_row_is_found_by_any_rule_it_breaks_on_a_column_and_not_by_what_its_values_look_like():
    evil = f'{{"rule": "{BETWEEN}", "column": "gust", "value": 1}}'
    frame = with_values(with_values(batch(), "temp", 2, -5.0), "station", 1, evil)
    found = validate(source(), frame, [DAY])
    member = "expect_column_values_to_be_in_set"
    asked = {
        (None, "temp"): [1, 2],
        (BETWEEN, "temp"): [1, 2],
        (member, "station"): [1],
        (member, "temp"): [],
        (BETWEEN, "gust"): [],
        (None, "tem"): [],
    }
    for (rule, column), numbers in asked.items():
        assert list(found.numbers(rule, column).get(DAY, ())) == numbers
    twins = validate(source(), pd.concat([batch(), batch().head(2)], ignore_index=True), [DAY])
    for column in ("station", "hour"):
        assert list(twins.numbers(None, column)[DAY]) == list(twins.rejected["row_number"])
