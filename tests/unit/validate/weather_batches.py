"""A small source and batches of it, good unless a test makes them bad."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pandas as pd

from nightshift.specs import Source

DAY = date(2013, 2, 8)
BETWEEN = "expect_column_values_to_be_between"


def source(**changes: Any) -> Source:
    """Return a source read by SQL (typed values), with ``changes`` to its keys."""
    spec: dict[str, Any] = {
        "name": "weather",
        "owner": "tests",
        "description": "hourly observations",
        "connector": {"kind": "sql", "connection": "ops", "query": "SELECT 1"},
        "columns": {
            "station": {"type": "string"},
            "hour": {"type": "integer"},
            "temp": {"type": "float"},
            "gust": {"type": "float", "nullable": True},
            "snow": {"type": "boolean"},
            "day": {"type": "date"},
            "seen_at": {"type": "timestamp"},
        },
        "key": ["station", "hour"],
        "expectations": [
            {BETWEEN: {"column": "temp", "min_value": 0}},
            {"expect_column_values_to_be_in_set": {"column": "station", "value_set": ["EWR", "JFK", "LGA"]}},
        ],
        "budget": {"share": 0.05, "rows": 100},
    }
    return Source.model_validate({**spec, **changes})


def batch(rows: int = 100, day: date = DAY) -> pd.DataFrame:
    """Return a good batch as SQL delivers it, with its batch_date."""
    numbers = range(rows)
    return pd.DataFrame(
        {
            "batch_date": [day] * rows,
            "station": [("EWR", "JFK", "LGA")[n % 3] for n in numbers],
            "hour": list(numbers),
            "temp": [30.0 + n % 7 for n in numbers],
            "gust": [None if n % 2 else 20.0 for n in numbers],
            "snow": [n % 5 == 0 for n in numbers],
            "day": [day] * rows,
            "seen_at": [datetime(2013, 2, 7, tzinfo=UTC) + timedelta(minutes=n) for n in numbers],
        }
    )


def with_values(frame: pd.DataFrame, column: str, rows: int, value: Any) -> pd.DataFrame:
    """Return the frame with ``value`` in the first ``rows`` rows of ``column``."""
    values = frame[column].astype(object)
    values.iloc[:rows] = [value] * rows
    return frame.assign(**{column: values})
