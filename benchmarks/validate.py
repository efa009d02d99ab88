"""What validation costs: 1 million rows, good and half bad, against plain pandas masks of the same rules.

    python benchmarks/validate.py [rows]

CPU seconds of this process, after imports. The ratio is what to compare between machines.
"""

import json
import sys
import time
from collections.abc import Callable
from datetime import date

import numpy as np
import pandas as pd

from nightshift.specs import Source
from nightshift.validate import data_docs, validate

DAY = date(2013, 2, 1)
BOUNDS = {
    "delay": (-120, 2880),
    "distance": (1, 6000),
    "temp": (-30, 120),
    "wind": (0, 150),
    "seats": (1, 900),
}
ORIGINS = ["EWR", "JFK", "LGA"]


def source() -> Source:
    """Return a source of twelve columns and twelve expectations."""
    floats = {
        name: {"type": "float", "nullable": True} for name in ("delay", "distance", "temp", "wind", "humid")
    }
    texts = {name: {"type": "string"} for name in ("id", "origin", "dest", "carrier")}
    columns = {
        **texts,
        **floats,
        "seats": {"type": "integer"},
        "day": {"type": "date"},
        "at": {"type": "timestamp"},
    }
    bounds = [
        {"expect_column_values_to_be_between": {"column": name, "min_value": low, "max_value": high}}
        for name, (low, high) in BOUNDS.items()
    ]
    others = [
        {"expect_column_values_to_be_in_set": {"column": "origin", "value_set": ORIGINS}},
        {"expect_column_value_lengths_to_equal": {"column": "dest", "value": 3}},
        {"expect_column_values_to_match_regex": {"column": "carrier", "regex": "^[A-Z0-9]{2}$"}},
        {"expect_column_values_to_be_between": {"column": "humid", "min_value": 0, "max_value": 100}},
        {"expect_column_values_to_be_between": {"column": "at", "min_value": "2013-01-01T00:00:00Z"}},
        {"expect_column_mean_to_be_between": {"column": "delay", "min_value": -60, "max_value": 2880}},
        {"expect_table_row_count_to_be_between": {"min_value": 1}},
    ]
    return Source.model_validate(
        {
            "name": "flights",
            "owner": "benchmarks",
            "description": "made up",
            "connector": {"kind": "sql", "connection": "ops", "query": "SELECT 1"},
            "columns": columns,
            "key": ["id"],
            "expectations": [*bounds, *others],
            "budget": {"share": 1.0, "rows": 10**9},
        }
    )


def rows(count: int, bad: float) -> pd.DataFrame:
    """Return ``count`` rows, a share with a bad delay, a quarter of those with a bad origin as well."""
    random = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "id": pd.Series(np.arange(count)).astype("str"),
            "origin": pd.Series(random.choice(ORIGINS, count), dtype="str"),
            "dest": pd.Series(random.choice(["ATL", "ORD", "SFO"], count), dtype="str"),
            "carrier": pd.Series(random.choice(["UA", "9E", "DL"], count), dtype="str"),
            "delay": random.normal(10, 30, count).clip(-100, 1000),
            "distance": random.uniform(100, 3000, count),
            "temp": random.uniform(0, 90, count),
            "wind": random.uniform(0, 40, count),
            "humid": random.uniform(20, 90, count),
            "seats": random.integers(2, 400, count),
            "day": pd.Timestamp(DAY),
            "at": pd.Timestamp(DAY, tz="UTC") + pd.to_timedelta(random.integers(0, 86_400, count), unit="s"),
        }
    )
    wrong = random.random(count) < bad
    frame.loc[wrong, "delay"] = 99_999.0
    frame.loc[wrong & (random.random(count) < 0.25), "origin"] = "XXX"
    return frame


def masks(frame: pd.DataFrame) -> pd.Series:
    """Return which rows are good, by pandas alone: the least that any validation has to compute."""
    good = frame["origin"].isin(ORIGINS) & (frame["dest"].str.len() == 3) & frame["humid"].between(0, 100)
    good &= frame["carrier"].str.fullmatch(r"[A-Z0-9]{2}") & (
        frame["at"] >= pd.Timestamp("2013-01-01", tz="UTC")
    )
    for name, (low, high) in BOUNDS.items():
        good &= frame[name].between(low, high)
    return good & ~frame["id"].duplicated(keep=False)


def seconds(work: Callable[[], object]) -> float:
    """Return the CPU seconds of one call."""
    start = time.process_time()
    work()
    return time.process_time() - start


def main(count: int) -> None:
    """Print one line a case."""
    spec = source()
    validate(spec, rows(100, 0).assign(batch_date=DAY), [DAY])  # imports and compiles
    for name, bad in (("good", 0.0), ("half bad", 0.5)):
        delivered = rows(count, bad)
        plain = min(seconds(lambda frame=delivered: masks(frame)) for _ in range(3))
        frame = delivered.assign(batch_date=pd.Timestamp(DAY))
        # The rows set aside are made when they are asked for.
        spent = seconds(lambda frame=frame: validate(spec, frame, [DAY]).rejected)
        found = validate(spec, frame, [DAY])
        report = len(json.dumps(found.report))
        page = len(data_docs(spec, found, [DAY]).encode())
        print(
            f"{count} rows {name}: {spent:.2f} CPU-s, {spent / plain:.1f} x plain masks ({plain:.2f} s); "
            f"{found.verdicts[DAY].rejected} set aside; report {report} bytes, page {page} bytes"
        )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000)
