"""Great Expectations: its expectations by their own names, over frames in memory.

The only module that imports it, which takes seconds: so it is imported only where a rule is judged. Its
metrics engine is called directly, without a data context: no gx/ folder, no analytics, and for a row rule
only the metric that says which rows fail. Collecting failing values and indexes, as its COMPLETE results do,
costs ten times as much.

Great Expectations passes silently when there is nothing to judge. So a rule that says nothing is refused
here, and nightshift.validate looks for empty batches and columns before it asks.
"""

import json
import logging
import os
import warnings
from collections.abc import Sequence
from datetime import UTC, date, datetime, time
from functools import lru_cache
from numbers import Integral
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd

from nightshift.errors import SpecError, did_you_mean
from nightshift.freeform import Arguments
from nightshift.specs import Source
from nightshift.types import EARLIEST, LATEST
from nightshift.validate.rules import Outcome, Rule

os.environ["GX_ANALYTICS_ENABLED"] = "false"
# Its import reports hundreds of registered functions, one a line.
logging.getLogger("great_expectations").setLevel(logging.CRITICAL)
with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # deprecations that are its own to mend
    shown_by = warnings.showwarning
    from great_expectations.execution_engine import PandasExecutionEngine
    from great_expectations.expectations.expectation import (
        ColumnMapExpectation,
        ColumnPairMapExpectation,
        MulticolumnMapExpectation,
    )
    from great_expectations.expectations.registry import (
        get_expectation_impl,
        list_registered_expectation_implementations,
    )
    from great_expectations.validator.metric_configuration import MetricConfiguration
    from great_expectations.validator.metrics_calculator import MetricsCalculator

    if warnings.showwarning is not shown_by:
        # Its import sends every warning of the process to a logger; here they stay warnings.
        logging.captureWarnings(False)

ROW_KINDS = (ColumnMapExpectation, ColumnPairMapExpectation, MulticolumnMapExpectation)
RUN = {"result_format": {"result_format": "BASIC"}, "catch_exceptions": False}
COUNTS_NULLS = {"expect_column_values_to_not_be_null", "expect_column_values_to_be_null"}
# An expectation that has some of these and is given none of them says nothing, and would always pass.
DECISIVE = {
    "min_value", "max_value", "value_set", "value", "regex", "regex_list", "threshold", "sum_total",
    "quantile_ranges", "strftime_format", "json_schema", "value_pairs_set", "partition_object",
}  # fmt: skip
BOUNDS = {"min_value", "max_value"}
KL = "expect_column_kl_divergence_to_be_less_than"
MATCH = ("expect_column_values_to_match_regex", "expect_column_values_to_match_regex_list")
# Have nothing in common but what a pattern finds in any text.
ANY_TEXT = ("", " ", "\n", "0", "x", "~")
REFUSED = {
    "expect_column_values_to_be_increasing": "the rows of a batch have no order",
    "expect_column_values_to_be_decreasing": "the rows of a batch have no order",
    "expect_column_values_to_be_of_type": "declare the type under 'columns'",
    "expect_column_values_to_be_in_type_list": "declare the type under 'columns'",
    "expect_column_type_to_be": "declare the type under 'columns'",
    "expect_column_to_exist": "declare the column under 'columns'",
    "expect_table_columns_to_match_set": "declare the columns under 'columns'",
    "expect_table_columns_to_match_ordered_list": "declare the columns under 'columns'",
    "expect_table_column_count_to_equal": "declare the columns under 'columns'",
    "expect_table_column_count_to_be_between": "declare the columns under 'columns'",
    "expect_query_results_to_match_comparison": "a batch is judged in memory, not by SQL",
    "expect_table_row_count_to_equal_other_table": "a batch is judged in memory, not by SQL",
    "unexpected_rows_expectation": "a batch is judged in memory, not by SQL",
}
REFUSED_ARGUMENTS = {
    "mostly": "how many rows may fail is the source's 'budget'",
    "row_condition": "conditions are code; derive a column in the source's query instead",
    "condition_parser": "conditions are code; derive a column in the source's query instead",
}
NOT_ARGUMENTS = {
    "id", "meta", "result_format", "catch_exceptions", "rendered_content", "severity", "windows", "batch_id",
    "library_metadata", *REFUSED_ARGUMENTS,
}  # fmt: skip


def compiled(source: Source) -> tuple[Rule, ...]:
    """Return the source's expectations, checked and tried on a frame of its types.

    Raises:
        SpecError: no expectation at all, an unknown name or argument, an argument of the wrong type.
    """
    types = {name: column.type for name, column in source.columns.items()}
    zones = {name: source.zone_of(name).key for name in types}
    return _compiled(source.name, json.dumps([source.expectations, types, zones], default=_spelled))


def _spelled(value: object) -> object:
    if isinstance(value, datetime | date):
        return value.isoformat()
    raise SpecError(f"expectations: {value!r} is not a value of YAML's")


@lru_cache(maxsize=256)
def _compiled(name: str, declared: str) -> tuple[Rule, ...]:
    items, types, zones = json.loads(declared)
    if not items:
        raise SpecError(f"source '{name}', key 'expectations': empty; declare what must hold of a batch")
    rules, problems = [], []
    for number, item in enumerate(items):
        ((expectation, arguments),) = item.items()
        try:
            rules.append(_rule(expectation, arguments, types, zones))
        except SpecError as error:
            problems.append(f"source '{name}', key 'expectations.{number}', {expectation}: {error}")
    if problems:
        raise SpecError("\n".join(problems))
    return tuple(rules)


def _rule(name: str, arguments: Arguments, types: dict[str, str], zones: dict[str, str]) -> Rule:
    if name in REFUSED:
        raise SpecError(f"not used here: {REFUSED[name]}")
    known = set(list_registered_expectation_implementations()) - set(REFUSED)
    if name not in known:
        raise SpecError(f"unknown expectation{did_you_mean(name, known)}")
    kind = get_expectation_impl(name)
    _check_arguments(arguments, set(kind.__fields__) - NOT_ARGUMENTS)
    columns = _columns(arguments, types)
    try:
        kinds = {(types[column], zones[column]) for column in columns}
        expectation = kind(**_converted(arguments, kinds, name))
    except Exception as error:  # pydantic's, for a missing or ill-typed argument, or the expectation's own
        raise SpecError(" ".join(str(error).split())) from error
    rule = Rule(name, arguments, columns, expectation, judges_rows=isinstance(expectation, ROW_KINDS))
    _try_out(rule, types)
    if nothing := _vacuous(rule):
        raise SpecError(f"says nothing: {nothing}")
    return rule


def _vacuous(rule: Rule) -> str | None:
    """Return why a rule would accept whatever comes, None if it does not."""
    if rule.name == KL and not {"partition_object", "threshold"} <= set(rule.arguments):
        return "without both partition_object and threshold every distribution passes"
    ranges = rule.arguments.get("quantile_ranges", {}).get("value_ranges")
    if ranges is not None and not any(bound is not None for pair in ranges for bound in pair):
        return "no range of quantile_ranges has a bound"
    texts = pd.DataFrame({name: pd.Series(ANY_TEXT, dtype="str") for name in rule.columns})
    if rule.name in MATCH and not len(failing_rows(rule, texts)):
        return (
            "what it looks for is found in any text; anchor it by ^ and $, or ask for one character at least"
        )
    return None


def _check_arguments(arguments: Arguments, known: set[str]) -> None:
    for key, value in arguments.items():
        if key in REFUSED_ARGUMENTS:
            raise SpecError(f"argument '{key}' is not used here: {REFUSED_ARGUMENTS[key]}")
        if key not in known:
            raise SpecError(f"unknown argument '{key}'{did_you_mean(key, known)}")
        if value in ([], {}, None, ""):
            raise SpecError(f"argument '{key}' is empty")
    decisive = DECISIVE & known
    if decisive and not decisive & set(arguments):
        raise SpecError(f"says nothing; give one of: {', '.join(sorted(decisive))}")


def _columns(arguments: Arguments, types: dict[str, str]) -> tuple[str, ...]:
    one = [arguments[key] for key in ("column", "column_A", "column_B") if key in arguments]
    columns = [*one, *arguments.get("column_list", [])]
    for column in columns:
        if column not in types:
            raise SpecError(f"unknown column '{column}'{did_you_mean(str(column), types)}")
    return tuple(columns)


def _converted(arguments: Arguments, kinds: set[tuple[str, str]], name: str) -> Arguments:
    """Return the arguments with bounds and sets as the columns' type has them, by the columns' clock."""
    if len(kinds) != 1 or "length" in name or "count" in name or "proportion" in name:
        return arguments
    (kind,) = kinds
    converted = dict(arguments)
    for key in BOUNDS & set(arguments):
        converted[key] = _value(arguments[key], *kind, key)
    if "value_set" in arguments:
        converted["value_set"] = [_value(value, *kind, "value_set") for value in arguments["value_set"]]
    return converted


def _value(value: Any, kind: str, zone: str, key: str) -> Any:
    try:
        if kind == "date":
            return datetime.combine(date.fromisoformat(value), time())
        if kind == "timestamp":
            return _instant(datetime.fromisoformat(value), ZoneInfo(zone))
    except (TypeError, ValueError) as error:
        raise SpecError(f"argument '{key}': {value!r} is not an ISO {kind}") from error
    expected = {"string": str, "boolean": bool, "integer": int, "float": int | float}[kind]
    # A YAML `NO` is False, and False is an int to Python.
    if not isinstance(value, expected) or (isinstance(value, bool) and kind != "boolean"):
        raise SpecError(f"argument '{key}': {value!r} is not of the column's type, {kind} (quote it?)")
    return value


def _instant(bound: datetime, zone: ZoneInfo) -> datetime:
    """Return a bound as the column's values are read: without an offset, by their clock."""
    early, late = (bound if bound.tzinfo else bound.replace(tzinfo=zone, fold=fold) for fold in (0, 1))
    if early.utcoffset() != late.utcoffset():
        raise SpecError(
            f"'{bound}' is an hour that {zone} shows twice or never; write its offset, as in +00:00"
        )
    try:
        return early.astimezone(UTC)
    except OverflowError:  # the first or last hours of all years: no value lies beyond
        return (EARLIEST if bound.year == 1 else LATEST).to_pydatetime()


SAMPLES: dict[str, tuple[Any, str]] = {
    "string": (["1", "2", "2"], "str"),
    "integer": ([1, 2, 2], "Int64"),
    "float": ([1.0, 2.0, 2.0], "float64"),
    "boolean": ([True, False, False], "boolean"),
    "date": (pd.to_datetime(["2000-01-01", "2000-01-02", "2000-01-02"]), "datetime64[s]"),
    "timestamp": (
        pd.to_datetime(["2000-01-01", "2000-01-02", "2000-01-02"], utc=True),
        "datetime64[us, UTC]",
    ),
}


def _try_out(rule: Rule, types: dict[str, str]) -> None:
    """Judge three made-up rows: what the types make impossible shows now, not at night."""
    names = rule.columns or tuple(types)[:1]  # a rule on the number of rows needs any column
    samples = {name: SAMPLES[types[name]] for name in names}
    frame = pd.DataFrame({name: pd.Series(values, dtype=dtype) for name, (values, dtype) in samples.items()})
    if rule.judges_rows:
        failing_rows(rule, frame)
    else:
        batch_outcomes([rule], frame)


def failing_rows(rule: Rule, frame: pd.DataFrame) -> np.ndarray:
    """Return the positions of the rows that ``rule`` does not accept, ascending.

    Raises:
        SpecError: it cannot be judged on columns of these types.
    """
    judged = frame[list(rule.columns)].reset_index(drop=True)
    if len(rule.columns) == 1 and rule.name not in COUNTS_NULLS:
        judged = _without_nulls(judged, rule.columns[0])
    if not len(judged):
        return np.empty(0, dtype=np.int64)
    engine = PandasExecutionEngine(batch_data_dict={"batch": judged})
    try:
        condition = _condition(rule, engine)
        resolved, _ = MetricsCalculator(engine).compute_metrics([condition], RUN)
    except Exception as error:  # an expectation's code may fail in any way
        raise SpecError(_unjudged(rule, judged, error)) from error
    failing = resolved[condition.id][0]
    # A comparison with a null is neither: the row has not met the rule.
    failing = failing.fillna(True).astype(bool)
    return np.sort(failing.index[failing.to_numpy()].to_numpy(dtype=np.int64))


def _without_nulls(frame: pd.DataFrame, column: str) -> pd.DataFrame:
    """Return the rows with a value, integers and booleans as plain ones: ten times as fast to compare."""
    values = frame[column]
    if values.hasnans:
        values = values[values.notna()]
    if isinstance(values.dtype, pd.Int64Dtype):
        values = values.astype("int64")
    elif isinstance(values.dtype, pd.BooleanDtype):
        values = values.astype("bool")
    return values.to_frame()


def _condition(rule: Rule, engine: PandasExecutionEngine) -> MetricConfiguration:
    """Return the metric that says row by row what the expectation does not accept."""
    needed = rule.expectation.get_validation_dependencies(
        engine, {"result_format": {"result_format": "BOOLEAN_ONLY"}}
    )
    counted = needed.metric_configurations[f"{rule.expectation.map_metric}.unexpected_count"]
    # Its model makes floats of bounds: from 2**53 on those of their neighbours.
    whole = {key: value for key, value in rule.arguments.items() if key in BOUNDS and type(value) is int}
    return MetricConfiguration(
        f"{rule.expectation.map_metric}.condition",
        counted.metric_domain_kwargs,
        {**counted.metric_value_kwargs, **whole},
    )


def batch_outcomes(rules: Sequence[Rule], frame: pd.DataFrame) -> list[Outcome]:
    """Return what each batch rule finds in one batch.

    Raises:
        SpecError: one cannot be judged on columns of these types.
    """
    try:
        return _outcomes(rules, frame.apply(_plain))
    except Exception:  # noqa: BLE001 which rule it was, Great Expectations does not say
        return [_alone(rule, frame) for rule in rules]


def _outcomes(rules: Sequence[Rule], frame: pd.DataFrame) -> list[Outcome]:
    engine = PandasExecutionEngine(batch_data_dict={"batch": frame})
    needed = [rule.expectation.get_validation_dependencies(engine, RUN) for rule in rules]
    metrics = [metric for one in needed for metric in one.get_metric_configurations()]
    resolved, _ = MetricsCalculator(engine).compute_metrics(metrics, RUN)
    return [_outcome(rule, resolved, engine) for rule in rules]


def _alone(rule: Rule, frame: pd.DataFrame) -> Outcome:
    """Return what one rule finds, with nullable numbers as floats if it knows no others."""
    try:
        return _outcomes([rule], frame.apply(_plain))[0]
    except Exception:  # noqa: BLE001 tried once more below
        floats = {name: frame[name].astype("float64") for name in rule.columns if _is_nullable(frame[name])}
        try:
            return _outcomes([rule], frame.assign(**floats))[0]
        except Exception as error:
            raise SpecError(_unjudged(rule, frame, error)) from error


def _is_nullable(values: pd.Series) -> bool:
    return isinstance(values.dtype, pd.Int64Dtype | pd.BooleanDtype)


def _plain(values: pd.Series) -> pd.Series:
    """Return integers and booleans without a null as NumPy's: not every metric knows pandas' own."""
    if not _is_nullable(values) or values.hasnans:
        return values
    return values.astype("int64" if isinstance(values.dtype, pd.Int64Dtype) else "bool")


def _unjudged(rule: Rule, frame: pd.DataFrame, error: Exception) -> str:
    said = (str(error).strip().splitlines() or ["no word"])[0][:300]
    on = ", ".join(f"'{name}' ({frame[name].dtype})" for name in rule.columns) or "the rows"
    what = f"{type(error).__name__}: {said}"
    return f"{rule.name} on {on} cannot be judged: {what}; mend it, or take it out of 'expectations'"


def _outcome(rule: Rule, resolved: dict[Any, Any], engine: PandasExecutionEngine) -> Outcome:
    found = rule.expectation.metrics_validate(
        resolved, runtime_configuration=dict(RUN), execution_engine=engine
    )
    unexpected = {k: v for k, v in found.result.items() if k.startswith("partial_")}
    observed = found.result.get("observed_value")
    shown = unexpected if observed is None and unexpected else observed
    # A count is ours, told so that no mask takes it for somebody's number; any other may be a value of a row.
    is_count = "count" in rule.name and isinstance(shown, Integral)
    return Outcome(bool(found.success), f"{shown:,}" if is_count else str(shown)[:200])
