"""Mistakes in a source's expectations are told before a night depends on them."""

import os
import subprocess
import sys

import pandas as pd
import pytest
from weather_batches import BETWEEN, DAY, batch, source

from nightshift.errors import SpecError
from nightshift.specs import load_project
from nightshift.validate import check_expectations, validate
from nightshift.validate.expectations import batch_outcomes, compiled, failing_rows

IN_SET = "expect_column_values_to_be_in_set"
LIKE = "expect_column_values_to_match_like_pattern"
MEAN = "expect_column_mean_to_be_between"
REGEX = "expect_column_values_to_match_regex"
KL = "expect_column_kl_divergence_to_be_less_than"
QUANTILES = "expect_column_quantile_values_to_be_between"
OF_TYPE = "expect_column_values_to_be_of_type"
MISTAKES = [
    ({"expect_column_values_to_be_betwen": {"column": "temp"}}, f"did you mean '{BETWEEN}'"),
    ({BETWEEN: {"column": "temp", "min_valu": 0}}, "'min_valu'; did you mean 'min_value'"),
    ({BETWEEN: {"column": "temp", "min_value": 0, "mostly": 0.9}}, "'mostly' is not used here.*budget"),
    ({BETWEEN: {"column": "temp", "min_value": 0, "row_condition": "a"}}, "'row_condition' is not used"),
    ({BETWEEN: {"column": "temp"}}, "says nothing; give one of: max_value, min_value"),
    ({BETWEEN: {"column": "temp", "min_value": 5, "max_value": 1}}, "cannot be judged"),
    ({BETWEEN: {"column": "temp", "min_value": "cold"}}, "'cold' is not of the column's type, float"),
    ({BETWEEN: {"column": "station", "min_value": 1}}, "1 is not of the column's type, string"),
    ({BETWEEN: {"column": "day", "min_value": "soon"}}, "'soon' is not an ISO date"),
    ({BETWEEN: {"column": "temp", "min_value": {"$PARAMETER": "x"}}}, "not of the column's type"),
    ({IN_SET: {"column": "station", "value_set": []}}, "argument 'value_set' is empty"),
    ({IN_SET: {"column": "station", "value_set": [False]}}, "False is not of the column's type, string"),
    ({IN_SET: {"column": "station"}}, "says nothing"),
    ({REGEX: {"column": "station"}}, "says nothing; give one of: regex"),
    ({REGEX: {"column": "station", "regex": "("}}, "cannot be judged"),
    ({MEAN: {"column": "temp"}}, "says nothing"),
    ({REGEX: {"column": "station", "regex": ""}}, "argument 'regex' is empty"),
    ({REGEX: {"column": "station", "regex": "[A-Z]*"}}, "says nothing: what it looks for is found in any text; anchor"),
    ({f"{REGEX}_list": {"column": "station", "regex_list": ["^E", ""]}}, "says nothing: what it looks for is found"),
    (
        {f"{REGEX}_list": {"column": "station", "regex_list": [".*", "x?"], "match_on": "all"}},
        "says nothing: what it looks for is found",
    ),
    ({KL: {"column": "station", "partition_object": {"values": ["E"], "weights": [1]}}}, "says nothing: without"),
    ({KL: {"column": "station", "threshold": 1}}, "cannot be judged|says nothing: without both"),
    (
        {QUANTILES: {"column": "temp", "quantile_ranges": {"quantiles": [0.5], "value_ranges": [[None, None]]}}},
        "says nothing: no range",
    ),
    ({MEAN: {"column": "station", "min_value": 1}}, "column's type|cannot be judged"),
    ({LIKE: {"column": "station", "like_pattern": "E%"}}, "cannot be judged"),
    ({"expect_column_values_to_be_increasing": {"column": "hour"}}, "rows of a batch have no order"),
    ({OF_TYPE: {"column": "hour", "type_": "int"}}, "declare the type under 'columns'"),
    ({"expect_table_row_count_to_equal_other_table": {"other_table_name": "t"}}, "judged in memory"),
]  # fmt: skip


@pytest.mark.parametrize(("item", "message"), MISTAKES)
def test_a_mistake_is_named(item, message):
    with pytest.raises(SpecError, match=message) as raised:
        check_expectations(source(expectations=[item]))
    assert str(raised.value).startswith(f"source 'weather', key 'expectations.0', {next(iter(item))}: ")


@pytest.mark.parametrize(
    "item",
    [
        {REGEX: {"column": "station", "regex": "^[A-Z]*$"}},
        {REGEX: {"column": "station", "regex": "."}},
        {f"{REGEX}_list": {"column": "station", "regex_list": ["", "^E"], "match_on": "all"}},
        {"expect_column_values_to_not_match_regex": {"column": "station", "regex": "x*y"}},
    ],
)
def test_a_pattern_that_some_text_does_not_have_says_something(item):
    check_expectations(source(expectations=[item]))


@pytest.mark.parametrize(
    ("bound", "refused"),
    [
        ({"min_value": 2**53 + 1}, [0]),
        ({"max_value": 2**53 + 1}, [2]),
        ({"min_value": 2**53 + 1, "strict_min": True}, [0, 1]),
        ({"min_value": 2**53, "max_value": 2**53 + 1, "strict_max": True}, [1, 2]),
    ],
)
def test_a_bound_beyond_what_a_float_can_say_is_itself(bound, refused):
    (rule,) = compiled(source(expectations=[{BETWEEN: {"column": "hour", **bound}}]))
    values = pd.DataFrame({"hour": pd.Series([2**53, 2**53 + 1, 2**53 + 2], dtype="Int64")})
    assert failing_rows(rule, values).tolist() == refused


def test_an_empty_suite_cannot_pass():
    with pytest.raises(SpecError, match="key 'expectations': empty"):
        validate(source(expectations=[]), batch(), [DAY])


def test_every_mistake_is_told_at_once():
    with pytest.raises(SpecError) as raised:
        check_expectations(source(expectations=[MISTAKES[0][0], MISTAKES[1][0]]))
    assert len(str(raised.value).splitlines()) == 2


def test_the_example_sources_are_sound():
    for spec in load_project().require_sound().sources.values():
        check_expectations(spec)


def test_yaml_dates_unquoted_and_quoted_are_the_same_bound():
    from datetime import date

    for bound in (date(2013, 2, 8), "2013-02-08"):
        spec = source(expectations=[{BETWEEN: {"column": "day", "min_value": bound}}])
        assert validate(spec, batch(), [DAY]).passed
    late = source(expectations=[{BETWEEN: {"column": "seen_at", "min_value": "2013-02-07T00:01:00Z"}}])
    assert len(validate(late, batch(), [DAY]).rejected) == 1


@pytest.mark.parametrize(
    ("least", "out"),
    [
        ("2013-02-07T00:01:00", 1),  # in New York, as the column's text is
        ("2013-02-07", 0),
        ("2013-02-07T05:02:00Z", 2),
        ("9999-12-31T23:59:59", 100),
    ],
)
def test_a_bound_without_an_offset_is_read_by_its_columns_clock(least, out):
    frame = batch()
    frame["seen_at"] = frame["seen_at"].dt.strftime("%Y-%m-%d %H:%M")
    columns = {
        name: dict(column) for name, column in source().model_dump(exclude_none=True)["columns"].items()
    }
    columns["seen_at"]["timezone"] = "America/New_York"
    expectations = [{BETWEEN: {"column": "seen_at", "min_value": least}}]
    spec = source(expectations=expectations, columns=columns, timezone="Asia/Tokyo", budget={"share": 1.0})
    assert len(validate(spec, frame, [DAY]).rejected) == out


@pytest.mark.parametrize("hour", ["2013-03-10T02:30:00", "2013-11-03T01:30:00"])
def test_a_bound_at_an_hour_that_is_shown_twice_or_never_is_refused(hour):
    spec = source(
        expectations=[{BETWEEN: {"column": "seen_at", "min_value": hour}}], timezone="America/New_York"
    )
    with pytest.raises(
        SpecError, match=r"an hour that America/New_York shows twice or never; write its offset"
    ):
        check_expectations(spec)


def test_importing_and_validating_prints_nothing_and_writes_nothing(tmp_path):
    code = (
        "import warnings\nshown = warnings.showwarning\nimport nightshift.validate\n"
        "assert warnings.showwarning is shown\n"
        "from weather_batches import *\nfrom nightshift.validate import validate\n"
        "assert validate(source(), batch(), [DAY]).passed\n"
    )
    path = os.pathsep.join([os.path.dirname(__file__), *sys.path])
    result = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": path, "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


@pytest.mark.parametrize("hours", [[1, 7, None], [1, 7, 9]])
def test_a_rule_that_knows_no_nullable_integers_is_judged_all_the_same(hours):
    weights = {"bins": [0, 5, 10], "weights": [0.5, 0.5], "tail_weights": [0, 0]}
    arguments = {"column": "hour", "partition_object": weights, "threshold": 9}
    (rule,) = compiled(source(expectations=[{KL: arguments}]))
    (outcome,) = batch_outcomes([rule], pd.DataFrame({"hour": pd.Series(hours, dtype="Int64")}))
    assert outcome.passed


def test_of_several_rules_the_one_that_cannot_be_judged_is_named():
    greatest = {"expect_column_max_to_be_between": {"column": "hour", "min_value": 0}}
    mean = {MEAN: {"column": "temp", "min_value": 0}}
    rules = compiled(source(expectations=[greatest, mean]))
    frame = pd.DataFrame(
        {"hour": pd.Series([1, 2], dtype="Int64"), "temp": pd.Series(["x", "y"], dtype="str")}
    )
    with pytest.raises(SpecError, match=rf"^{MEAN} on 'temp' \(str\) cannot be judged: .*'expectations'"):
        batch_outcomes(rules, frame)
