"""What happens to a good batch, to one with bad rows, and to one that must not go on."""

import json
from datetime import date, timedelta
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from weather_batches import BETWEEN, DAY, batch, source, with_values

from nightshift.errors import BatchRejected, EmptyBatch, SchemaMismatch
from nightshift.landing import parquet, rows_of
from nightshift.masks import masked
from nightshift.validate import validate, validate_batches
from nightshift.validate.findings import Breach, Findings
from nightshift.validate.judge import _reasons


def judged(frame, **changes):
    validation = validate(source(**changes), frame, [DAY])
    verdict = validation.verdicts[DAY]
    assert verdict.accepted + verdict.rejected == verdict.collected == len(frame)
    assert (len(validation.accepted), len(validation.rejected)) == (verdict.accepted, verdict.rejected)
    return validation, verdict


def test_a_good_batch_passes_typed_and_whole():
    validation, verdict = judged(batch())
    assert verdict.passed
    assert (verdict.collected, verdict.accepted, verdict.rejected, verdict.reasons) == (100, 100, 0, ())
    assert {name: str(dtype) for name, dtype in validation.accepted.dtypes.items()} == {
        "batch_date": "datetime64[s]",
        "station": "str",
        "hour": "Int64",
        "temp": "float64",
        "gust": "float64",
        "snow": "boolean",
        "day": "datetime64[s]",
        "seen_at": "datetime64[us, UTC]",
    }
    assert list(validation.rejected.columns) == [
        "batch_date", "row_number", "rule", "column_name", "value", "row", "violations",
    ]  # fmt: skip


@pytest.mark.parametrize(("letter", "most"), [("x", 2600), ("ä", 1300), ("😀", 650)])
def test_a_key_too_long_for_an_index_is_set_aside_and_the_night_goes_on(letter, most):
    frame = batch()
    frame.loc[3, "station"], frame.loc[7, "station"] = letter * most, letter * (most + 1)
    validation, verdict = judged(frame, expectations=[{BETWEEN: {"column": "temp", "min_value": 0}}])
    assert verdict.passed
    (row,) = validation.rejected.to_dict("records")
    assert (row["row_number"], row["rule"], row["column_name"]) == (8, "key_length", "station, hour")


def test_a_row_too_wide_for_a_page_is_set_aside_and_the_night_goes_on():
    wide = {f"s{n}": {"type": "string", "nullable": True, "may_be_empty": True} for n in range(400)}
    columns = {**source().model_dump()["columns"], **wide}
    frame = batch().assign(**dict.fromkeys(wide, "short"))
    frame.loc[5, list(wide)] = "a text of 23 characters"
    frame.loc[6, list(wide)] = "a text that is moved out of the row"
    validation, verdict = judged(frame, columns=columns)
    assert verdict.passed
    assert validation.rejected[["row_number", "rule"]].to_numpy().tolist() == [[6, "row_length"]]


# One bad value each: which rule it breaks.
BAD_VALUES = [
    ("temp", -40.0, BETWEEN, "-40"),
    ("temp", float("inf"), "finite", "inf"),
    ("temp", float("-inf"), "finite", "-inf"),
    ("temp", None, "not_null", None),
    ("temp", "mild", "type", "mild"),
    ("temp", "31.5", "type", "31.5"),
    ("temp", True, "type", "true"),
    ("hour", 3.5, "type", "3.5"),
    ("hour", 2**70, "type", str(2**70)),
    ("station", "BOS", "expect_column_values_to_be_in_set", "BOS"),
    ("station", 7, "type", "7"),
    ("station", "E\0R", "type", "E\\0R"),
    ("station", "\ud800", "type", "\\ud800"),
    ("station", {"a": [1]}, "type", "{'a': [1]}"),
    ("day", "08/02/2013", "type", "08/02/2013"),
    ("day", "2013/02-08", "type", "2013/02-08"),
    ("snow", "yes", "type", "yes"),
    ("snow", 2, "type", "2"),
    ("day", "2013-02-30", "type", "2013-02-30"),
    ("seen_at", date(2013, 2, 7), "type", "2013-02-07"),
    ("seen_at", "yesterday", "type", "yesterday"),
]


@pytest.mark.parametrize(("column", "value", "rule", "shown"), BAD_VALUES)
def test_one_percent_of_bad_rows_is_set_aside_with_its_reason(column, value, rule, shown):
    validation, verdict = judged(with_values(batch(), column, 1, value))
    assert verdict.passed
    assert verdict.rejected == 1
    row = validation.rejected.iloc[0]
    assert (row["rule"], row["column_name"], row["row_number"]) == (rule, column, 1)
    assert row["value"] == shown if shown is not None else pd.isna(row["value"])
    assert json.loads(row["violations"]) == [{"rule": rule, "column": column, "value": shown}]
    assert json.loads(row["row"])["gust"] == 20.0


def test_infinity_does_not_slip_through_a_range_without_a_maximum():
    validation, _ = judged(with_values(batch(), "temp", 2, np.inf))
    assert list(validation.rejected["rule"]) == ["finite", "finite"]
    assert np.isfinite(validation.accepted["temp"]).all()


@pytest.mark.parametrize(
    ("column", "value"), [(c, v) for c, v, _, _ in BAD_VALUES if v != "31.5"], ids=lambda v: repr(v)[:20]
)
def test_thirty_percent_of_bad_rows_fail_the_batch_and_name_the_column(column, value):
    _, verdict = judged(with_values(batch(), column, 30, value))
    assert not verdict.passed
    assert f"on {column}: 30 rows" in " ".join(verdict.reasons)
    assert "30 of 100 rows set aside, over the budget" in " ".join(verdict.reasons)


def test_of_millions_of_rows_the_counts_are_told_and_the_values_struck_out():
    wanted = [{"expect_table_row_count_to_be_between": {"min_value": 2_000_000}}]
    spec = source(expectations=wanted, budget={"share": 0.05, "rows": 1_000_000})
    _, verdict = judged(batch(1200), expectations=wanted)
    assert masked(verdict.reasons[0]).endswith("expected min_value=2,000,000, observed 1,200")
    bad = np.array([2_000_000])
    findings = Findings(spec, (DAY,), [tuple(spec.columns)])
    findings.by_place = {
        (0, 0): Breach("type", ("hour",), bad, of_date={0: ["2125551234"]}),
        (0, 1): Breach(BETWEEN, ("temp",), bad, of_date={0: ["-1.5"]}),
    }
    _, reasons = _reasons(findings, 0, 3_000_000, 2_000_000)
    told = masked("; ".join(reasons))
    for part in (
        "2,000,000 of 3,000,000 values do not read as integer, such as '[number]'",
        "column 'temp' has no value in any of 3,000,000 rows",
        "2,000,000 of 3,000,000 rows set aside, over the budget of 5.00% or 1,000,000 rows",
        f"{BETWEEN} on temp: 2,000,000 rows, such as '-1.5'",
    ):
        assert part in told
    assert told.count("[number]") == 2


@pytest.mark.parametrize(("bad", "passed"), [(5, True), (6, False)])
def test_the_budget_is_a_share_and_reaches_exactly_that_far(bad, passed):
    assert judged(with_values(batch(), "temp", bad, -1.0))[1].passed is passed


@pytest.mark.parametrize(("bad", "passed"), [(2, True), (3, False)])
def test_the_budget_is_a_number_of_rows_too(bad, passed):
    assert judged(with_values(batch(), "temp", bad, -1.0), budget={"share": 1, "rows": 2})[1].passed is passed


def test_an_empty_batch_fails():
    validation = validate(source(), batch().head(0), [DAY])
    assert validation.verdicts[DAY].reasons == ("no rows",)
    with pytest.raises(EmptyBatch, match="source 'weather': 2013-02-08: no rows"):
        validation.require_passed()


def test_a_date_without_rows_fails_beside_one_that_passes():
    other = DAY + timedelta(days=1)
    validation = validate(source(), batch(), [DAY, other])
    assert [verdict.passed for verdict in validation.verdicts.values()] == [True, False]
    assert len(validation.publishable) == 100


@pytest.mark.parametrize("column", ["station", "hour", "temp", "gust", "snow", "day", "seen_at"])
@pytest.mark.parametrize("nothing", [None, float("nan")])
def test_an_all_null_column_fails_the_batch(column, nothing):
    _, verdict = judged(with_values(batch(), column, 100, nothing))
    assert not verdict.passed
    assert f"column '{column}' has no value in any of 100 rows" in verdict.reasons


def test_a_column_that_may_be_empty_may_be():
    columns = source().model_dump()["columns"]
    columns["gust"]["may_be_empty"] = True
    assert judged(with_values(batch(), "gust", 100, None), columns=columns)[1].passed


def test_a_few_rows_may_lack_a_nullable_value():
    assert judged(with_values(batch(9), "gust", 9, None))[1].passed
    assert not judged(with_values(batch(10), "gust", 10, None))[1].passed


def other_type(frame):
    return frame.assign(temp=frame["temp"].astype(str))


# What fails, whatever the source forgives (None: nothing), and what is forgiven with `schema_changes: warn`.
CHANGES = [
    ("add", lambda f: f.assign(humidity=1.0), None, "column 'humidity' is not declared"),
    ("add one of ours", lambda f: f.assign(known_at="x"), None, "'known_at' has a name of ours; rename it"),
    ("drop", lambda f: f.drop(columns="temp"), "column 'temp' is missing", None),
    ("drop a nullable one", lambda f: f.drop(columns="gust"), None, "column 'gust' is missing"),
    (
        "rename",
        lambda f: f.rename(columns={"temp": "temp_f"}),
        "'temp' is missing; 'temp_f', undeclared, may be",
        None,
    ),
    (
        "rename a nullable one",
        lambda f: f.rename(columns={"gust": "gusts"}),
        None,
        "'gust' is missing; 'gusts', undeclared, may be",
    ),
    (
        "add and drop",
        lambda f: f.drop(columns="temp").assign(humidity=1.0),
        "column 'temp' is missing",
        None,
    ),
    ("retype", other_type, "column 'temp' is not float any more", None),
    ("add and retype", lambda f: other_type(f).assign(humidity=1.0), "is not float any more", "'humidity'"),
    (
        "repeat",
        lambda f: pd.concat([f, f[["temp"]]], axis=1),
        "column 'temp' is delivered more than once",
        None,
    ),
    ("reorder", lambda f: f[f.columns[::-1]], None, None),
]


@pytest.mark.parametrize("mode", ["fail", "warn"])
@pytest.mark.parametrize(
    ("change", "failing", "forgiven"), [c[1:] for c in CHANGES], ids=[c[0] for c in CHANGES]
)
def test_a_changed_schema_fails_by_name_or_is_told_where_the_source_forgives_it(
    change, failing, forgiven, mode
):
    validation, verdict = judged(change(batch()), schema_changes=mode)
    wrong = (forgiven if mode == "fail" else None) or failing
    assert verdict.passed is (wrong is None)
    assert (wrong or "") in " ".join(verdict.reasons)
    warned = forgiven if mode == "warn" else None
    assert bool(verdict.warnings) is bool(warned)
    assert (warned or "") in " ".join(verdict.warnings)
    assert list(validation.accepted.columns) == ["batch_date", *source().columns]
    if wrong:
        with pytest.raises(SchemaMismatch, match="2013-02-08"):
            validation.require_passed()
    else:
        assert verdict.accepted == 100
        assert validation.accepted["gust"].isna().all() == (forgiven is not None and "gust" in forgiven)


@pytest.mark.parametrize(
    ("change", "failing"),
    [
        (lambda f: f.assign(humidity=1.0, **{"Temperature (C)": 1.0}), None),
        (lambda f: pd.concat([f.assign(x=1), f.assign(x=2)[["x"]]], axis=1), None),
        (lambda f: pd.concat([f, f[["temp"]]], axis=1), "column 'temp' is delivered more than once"),
        (lambda f: f.rename(columns={"temp": "temp_f"}), "'temp_f', undeclared, may be its new name"),
        (lambda f: f.drop(columns="gust"), "column 'gust' is missing"),
    ],
)
def test_other_columns_that_are_ignored_are_no_word_worth_and_all_else_is(change, failing):
    _, verdict = judged(change(batch()), other_columns="ignore")
    assert verdict.passed is (failing is None)
    assert verdict.warnings == ()
    assert (failing or "") in " ".join(verdict.reasons)


def test_a_column_with_its_unit_in_brackets_is_not_one_that_is_there_twice():
    _, verdict = judged(batch().assign(**{"Temperature (C)": 1.0, "gust (7)": 2.0, "wind (2)": 3.0}))
    assert "column 'Temperature (C)' is not declared" in " ".join(verdict.reasons)
    assert "column 'wind (2)' is not declared" in " ".join(verdict.reasons)


def test_a_batch_whose_columns_fail_is_set_aside_whole():
    validation, verdict = judged(batch().drop(columns="temp"))
    assert verdict.rejected == 100
    assert set(validation.rejected["rule"]) == {"schema"}


def test_a_batch_rule_on_a_missing_column_that_is_forgiven_has_nothing_to_judge():
    rule = {"expect_column_mean_to_be_between": {"column": "gust", "min_value": 5}}
    changes = {"expectations": [*source().expectations, rule]}
    missing = batch().drop(columns="gust")
    assert judged(missing, **changes, schema_changes="warn")[1].passed
    assert not judged(with_values(batch(), "gust", 100, None), **changes, schema_changes="warn")[1].passed


RETYPES = [
    ("temp", lambda s: s.astype(str)),
    ("temp", lambda s: s > 32),
    ("hour", lambda s: s + 0.5),
    ("hour", lambda s: s.astype(str)),
    ("station", lambda s: s.str.len()),
    ("snow", lambda s: s.map({True: "y", False: "n"})),
    ("day", lambda s: pd.to_datetime(s) + pd.Timedelta(hours=7)),
    ("seen_at", lambda s: s.dt.date),
    ("seen_at", lambda s: s.astype("int64")),
]


@pytest.mark.parametrize(("column", "change"), RETYPES)
def test_a_retyped_column_fails_the_batch_by_name(column, change):
    frame = batch()
    validation, verdict = judged(frame.assign(**{column: change(frame[column])}))
    assert not verdict.passed
    assert verdict.reasons[0].startswith(f"column '{column}' is not ")
    with pytest.raises(SchemaMismatch):
        validation.require_passed()


def test_reordered_columns_pass_and_come_back_in_the_order_of_the_spec():
    frame = batch()
    validation, verdict = judged(frame[list(reversed(frame.columns))])
    assert verdict.passed
    assert list(validation.accepted.columns) == ["batch_date", *source().columns]


@pytest.mark.parametrize(
    ("column", "change"),
    [
        ("hour", lambda s: s.astype(float)),
        ("hour", lambda s: s.map(Decimal)),
        ("temp", lambda s: s.astype(int)),
        ("temp", lambda s: s.map(lambda v: Decimal(str(v)))),
        ("snow", lambda s: s.astype(int)),
        ("day", lambda s: s.map(str)),
        ("day", pd.to_datetime),
        ("seen_at", lambda s: s.map(lambda v: v.isoformat())),
        ("seen_at", lambda s: s.dt.tz_convert("America/New_York")),
        ("station", lambda s: s.astype("category")),
    ],
)
def test_another_spelling_of_the_same_values_passes(column, change):
    frame = batch()
    validation, verdict = judged(frame.assign(**{column: change(frame[column])}))
    assert verdict.passed, verdict.reasons
    expected = judged(frame)[0].accepted
    pd.testing.assert_frame_equal(validation.accepted, expected)


def test_csv_text_is_read_as_the_declared_types():
    typed = batch()
    texts = {
        "gust": typed["gust"].map(lambda v: "" if pd.isna(v) else str(v)),
        "snow": typed["snow"].map(str),
    }
    text = typed.drop(columns="batch_date").astype(str).assign(**texts, batch_date=typed["batch_date"])
    files = {"kind": "files", "connection": "c", "path": "{date}.csv", "format": "csv"}
    validation, verdict = judged(text, connector=files)
    assert verdict.passed, verdict.reasons
    pd.testing.assert_frame_equal(validation.accepted, judged(typed)[0].accepted)


def test_identical_repeats_keep_the_first():
    frame = pd.concat([batch(), batch().head(2)], ignore_index=True)
    validation, verdict = judged(frame)
    assert verdict.passed
    assert list(validation.rejected["rule"]) == ["repeated", "repeated"]
    assert list(validation.rejected["row_number"]) == [101, 102]
    assert list(validation.rejected["column_name"]) == ["station, hour"] * 2


def test_rows_that_contradict_each_other_are_all_set_aside():
    twin = batch().head(1).assign(temp=99.0)
    validation, _ = judged(pd.concat([batch(), twin, twin], ignore_index=True))
    assert list(validation.rejected["rule"]) == ["unique_key"] * 3
    assert list(validation.rejected["row_number"]) == [1, 101, 102]


def test_a_row_that_is_set_aside_claims_no_key():
    frame = pd.concat([batch(), batch().head(1).assign(temp=-99.0)], ignore_index=True)
    validation, _ = judged(frame)
    assert list(validation.rejected["rule"]) == [BETWEEN]


def test_the_same_key_on_two_dates_is_two_rows():
    other = DAY + timedelta(days=1)
    frames = {day: batch(day=day).drop(columns="batch_date") for day in (DAY, other)}
    assert validate_batches(source(), frames).passed


def test_every_violation_of_a_row_is_listed():
    frame = with_values(with_values(batch(), "temp", 1, -5.0), "station", 1, "BOS")
    row = judged(frame)[0].rejected.iloc[0]
    assert [(v["rule"], v["column"], v["value"]) for v in json.loads(row["violations"])] == [
        (BETWEEN, "temp", "-5"),
        ("expect_column_values_to_be_in_set", "station", "BOS"),
    ]


def test_values_are_cut_at_200_characters_and_rows_are_kept_whole():
    row = judged(with_values(batch(), "station", 1, "x" * 1000))[0].rejected.iloc[0]
    assert len(row["value"]) == 200
    assert json.loads(row["row"])["station"] == "x" * 1000


def test_dates_keep_their_own_columns():
    other = DAY + timedelta(days=1)
    frames = {
        DAY: batch().drop(columns="batch_date"),
        other: batch(day=other).drop(columns=["batch_date", "gust"]).assign(wind=1.0),
    }
    validation = validate_batches(source(), frames)
    assert validation.verdicts[DAY].passed
    assert "column 'gust' is missing" in validation.verdicts[other].reasons
    assert len(validation.publishable) == 100


def test_integers_of_one_night_survive_floats_of_another():
    large = 2**53 + 1
    other = DAY + timedelta(days=1)
    first = with_values(batch(), "hour", 1, large).drop(columns="batch_date").infer_objects()
    second = batch(day=other).drop(columns="batch_date")
    second["hour"] = second["hour"].astype(float)
    validation = validate_batches(source(), {DAY: first, other: second})
    assert validation.passed
    assert validation.accepted["hour"].iloc[0] == large


def test_rows_of_an_unasked_date_are_refused():
    with pytest.raises(ValueError, match="not asked for"):
        validate(source(), batch(day=date(2013, 1, 1)), [DAY])


BATCH_RULES = [
    ({"expect_table_row_count_to_be_between": {"min_value": 200}}, "observed 100"),
    (
        {"expect_column_mean_to_be_between": {"column": "temp", "max_value": 10}},
        "on column 'temp': expected max_value=10",
    ),
    (
        {"expect_column_max_to_be_between": {"column": "day", "max_value": "2013-01-01"}},
        "observed 2013-02-08",
    ),
    ({"expect_column_distinct_values_to_contain_set": {"column": "station", "value_set": ["BOS"]}}, "BOS"),
    (
        {"expect_column_proportion_of_non_null_values_to_be_between": {"column": "gust", "min_value": 0.9}},
        "0.5",
    ),
]


@pytest.mark.parametrize(("rule", "message"), BATCH_RULES)
def test_a_batch_rule_fails_the_batch_and_sets_no_row_aside(rule, message):
    validation, verdict = judged(batch(), expectations=[rule])
    assert not verdict.passed
    assert message in " ".join(verdict.reasons)
    assert verdict.rejected == 0
    with pytest.raises(BatchRejected):
        validation.require_passed()


def test_a_batch_rule_judges_accepted_rows_of_each_date_alone():
    other = DAY + timedelta(days=1)
    rules = [
        *source().expectations,
        {"expect_column_mean_to_be_between": {"column": "temp", "max_value": 40}},
    ]
    good = with_values(batch(), "temp", 2, 1e9)  # set aside below: temp at most 100
    rules[0] = {BETWEEN: {"column": "temp", "max_value": 100}}
    warm = batch(day=other).assign(temp=50.0)
    frame = pd.concat([good, warm], ignore_index=True)
    validation = validate(source(expectations=rules), frame, [DAY, other])
    assert [verdict.passed for verdict in validation.verdicts.values()] == [True, False]


def test_a_batch_rule_without_anything_to_judge_fails():
    rule = {"expect_column_distinct_values_to_be_in_set": {"column": "gust", "value_set": [20.0]}}
    few = with_values(batch(5), "gust", 5, None)
    _, verdict = judged(few, expectations=[rule])
    assert "has no accepted value to judge" in verdict.reasons[0]


def test_uniqueness_is_judged_within_a_date():
    other = DAY + timedelta(days=1)
    rules = [{"expect_column_values_to_be_unique": {"column": "hour"}}]
    frame = pd.concat([batch(), batch(day=other)], ignore_index=True)
    assert validate(source(expectations=rules), frame, [DAY, other]).passed
    twice = with_values(batch(), "hour", 2, 7).sort_values("temp", ignore_index=True)
    validation = validate(source(expectations=rules), pd.concat([twice, batch(day=other)]), [DAY, other])
    assert len(validation.rejected) == 3
    assert {json.loads(row)["hour"] for row in validation.rejected["row"]} == {7}


def test_pairs_with_a_missing_side_have_not_met_their_rule():
    rule = {"expect_column_pair_values_a_to_be_greater_than_b": {"column_A": "temp", "column_B": "gust"}}
    _, verdict = judged(batch(), expectations=[rule], budget={"share": 1})
    assert verdict.rejected == 50
    lenient = {
        **rule["expect_column_pair_values_a_to_be_greater_than_b"],
        "ignore_row_if": "either_value_is_missing",
    }
    _, verdict = judged(batch(), expectations=[{next(iter(rule)): lenient}])
    assert verdict.rejected == 0


def test_the_report_is_json_and_small_whatever_comes():
    names = [f"c{n:03}" for n in range(300)]
    columns = {name: {"type": "float", "nullable": name != "c000"} for name in names}
    rules = [{BETWEEN: {"column": name, "min_value": 10**6}} for name in names]
    spec = source(columns=columns, key=["c000"], expectations=rules)
    frame = pd.DataFrame({name: [f"<{'x' * 5000}>"] * 20 for name in names}).assign(batch_date=DAY)
    validation = validate(spec, frame, [DAY])
    assert len(json.dumps(validation.report, allow_nan=False)) <= 100_000
    assert sum(len(reason) for reason in validation.verdicts[DAY].reasons) < 100_000


@pytest.mark.parametrize(
    ("column", "spelled", "kept"),
    [
        ("day", "2013/02/08", pd.Timestamp("2013-02-08")),
        ("seen_at", "2013/02/08 05:30", pd.Timestamp("2013-02-08 05:30", tz="UTC")),
    ],
)
def test_a_date_may_be_spelled_with_slashes_year_first(column, spelled, kept):
    validation, verdict = judged(with_values(batch(), column, 1, spelled))
    assert verdict.rejected == 0
    assert validation.accepted[column].iloc[0] == kept


@pytest.mark.parametrize("year", [20983, 43003588])
def test_an_instant_of_no_year_that_there_is_sets_its_row_aside(year: int) -> None:
    """Nanoseconds in a column of milliseconds, as a wrong Parquet writer leaves them."""
    spec = source(
        columns={"k": {"type": "integer"}, "at": {"type": "timestamp"}},
        key=["k"],
        expectations=[{BETWEEN: {"column": "k", "min_value": 0}}],
        budget={"share": 1, "rows": 10},
    )
    at = np.array(["2013-01-01", f"{year}-02-26"], dtype="datetime64[ms]")
    found = validate_batches(spec, {DAY: rows_of(parquet(pd.DataFrame({"k": [1, 2], "at": at})))})
    assert (found.verdicts[DAY].accepted, found.verdicts[DAY].rejected) == (1, 1)
    (row,) = found.rejected.to_dict("records")
    assert row["column_name"] == "at"
    assert str(year) in row["value"]


def test_a_row_is_set_aside_with_the_columns_of_its_own_night() -> None:
    spec = source(
        connector={"kind": "files", "folder": "x", "path": "{date}.csv"},
        columns={"k": {"type": "integer"}, "v": {"type": "float", "nullable": True, "may_be_empty": True}},
        key=["k"],
        expectations=[{BETWEEN: {"column": "k", "min_value": 0}}],
        budget={"share": 1, "rows": 10},
        schema_changes="warn",
    )
    first, second = DAY, DAY + timedelta(days=1)
    short = pd.DataFrame({"k": ["x", "1", "y"]}, dtype="str")
    more = pd.DataFrame({"k": ["z", "2"], "v": ["1", "2"], "more": ["a", "b"]}, dtype="str")
    found = validate_batches(spec, {second: more, first: short}).rejected
    assert found["row"].to_list() == ['{"k": "x"}', '{"k": "y"}', '{"k": "z", "v": "1", "more": "a"}']
