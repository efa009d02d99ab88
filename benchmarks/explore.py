"""An exploration of a million rows of 20 columns beside as many others, every row counted.

    python benchmarks/explore.py

Prints CPU-seconds (examination, page, snapshot and notebook; imports apart) and the page's size. The bars are 20
CPU-seconds and 2 MB. The exit code is 1 above one of them.
"""

import sys
from datetime import date
from time import process_time

import numpy as np
import pandas as pd

from nightshift.calendar import DateRange
from nightshift.explore import LABEL, Question, Subject, examine, notebook, render, sampled
from nightshift.landing import parquet

ROWS, SAMPLE, BAR, PAGE_BAR = 1_000_000, 50_000, 20.0, 2_000_000
NIGHTS, BEFORE = (
    DateRange(date(2013, 7, 1), date(2013, 9, 30)),
    DateRange(date(2013, 4, 1), date(2013, 6, 30)),
)
NUMBERS = [f"x{i}" for i in range(14)]
COLUMNS = {
    "id": "string",
    **dict.fromkeys(NUMBERS, "float"),
    "carrier": "string",
    "origin": "string",
    "flag": "boolean",
    "seen_at": "timestamp",
    LABEL: "float",
}


def frame(seed: int, nights: DateRange) -> pd.DataFrame:
    """Return ROWS rows in order of nights, a tenth of two columns missing."""
    random = np.random.default_rng(seed)
    dates = np.array(nights.dates, dtype=object)[np.arange(ROWS) * len(nights.dates) // ROWS]
    made = pd.DataFrame(
        {
            "batch_date": dates,
            "id": [f"{seed}-{i}" for i in range(ROWS)],
            **{name: random.normal(size=ROWS) for name in NUMBERS},
            "carrier": random.choice(list("abcdefghijklmnop"), ROWS),
            "origin": random.choice(["EWR", "JFK"], ROWS),
            "flag": random.random(ROWS) < 0.3,
            "seen_at": pd.to_datetime(pd.Series(dates)).dt.tz_localize("UTC"),
        }
    )
    made[LABEL] = (made["x1"] + random.normal(size=ROWS) > 0).astype("float64")
    made.loc[random.random(ROWS) < 0.1, ["x0", "carrier"]] = None
    return made


def main() -> int:
    """Run the benchmark; return 0 if it stays below both bars."""
    now, then = frame(0, NIGHTS), frame(1, BEFORE)
    subject = Subject("features_x", "Feature set x", "A benchmark.", COLUMNS, ("id",), "0" * 64, "x", True)
    start = process_time()
    found = examine(subject, Question(NIGHTS, BEFORE, SAMPLE), now, then)
    examined = process_time()
    content = parquet(sampled(now, subject.identity, SAMPLE))
    page, book = render(found, "0" * 64), notebook(found, "explorations/x", "0" * 64)
    ended = process_time()
    print(f"examined {len(now):,} + {len(then):,} x {len(COLUMNS)}: {examined - start:.2f} CPU-s")
    print(
        f"snapshot {len(content):,} bytes, page {len(page):,} bytes, notebook {len(book):,} bytes: "
        f"{ended - examined:.2f} CPU-s"
    )
    print(f"together {ended - start:.2f} CPU-s (bar {BAR:.0f})")
    return 0 if ended - start <= BAR and len(page) <= PAGE_BAR else 1


if __name__ == "__main__":
    sys.exit(main())
