"""A night's sketch of a million rows of 20 columns, every row counted, against reading the same frame.

    python benchmarks/sketches.py

Prints CPU-seconds and their ratio to reading the frame from Parquet and to pandas' ``describe()`` of it. The bar is
1 CPU-second. The exit code is 1 above it.
"""

import io
import json
import sys
from dataclasses import asdict
from time import process_time

import pandas as pd
from drift import frame

from nightshift.monitor.sketches import edges_of, sketch

ROWS, FIRST_ROWS, NIGHTS, BAR = 1_000_000, 45_000, 45, 1.0


def main() -> int:
    """Run the benchmark; return 0 if the sketch stays below the bar."""
    edges, now, kept = edges_of(frame(0, FIRST_ROWS), NIGHTS), frame(1, ROWS), io.BytesIO()
    now.to_parquet(kept)
    start = process_time()
    made = sketch(now, edges)
    sketched = process_time()
    pd.read_parquet(kept)
    read = process_time()
    now.describe()
    described = process_time()
    spent = sketched - start
    print(f"sketch of {made.rows:,} x {now.shape[1]}: {spent:.2f} CPU-s (bar {BAR})")
    print(f"stored: {len(json.dumps(asdict(made))):,} bytes")
    print(
        f"reading the frame from Parquet: {read - sketched:.2f} CPU-s, ratio {spent / (read - sketched):.2f}"
    )
    print(f"pandas describe() of it: {described - read:.2f} CPU-s, ratio {spent / (described - read):.2f}")
    return 0 if spent <= BAR else 1


if __name__ == "__main__":
    sys.exit(main())
