"""P7: the drift decision over a million rows of 20 columns against a stored profile, every row counted.

    python benchmarks/drift.py

Prints CPU-seconds (the profile read from JSON, the decision; imports apart) and their ratio to pandas'
``describe()`` of the same frame. The bar is 3 CPU-seconds. The exit code is 1 above it.
"""

import sys
from time import process_time

import numpy as np
import pandas as pd

from nightshift.monitor.drift import decide
from nightshift.monitor.profile import build_profile, counted
from nightshift.records.profile import Profile
from nightshift.specs.model import Drift

ROWS, TRAINING_ROWS, NIGHTS, BAR = 1_000_000, 45_000, 45, 3.0


def frame(seed: int, n: int) -> pd.DataFrame:
    """Return ``n`` rows of 17 numeric, two string and one boolean column, a tenth of two columns missing."""
    random = np.random.default_rng(seed)
    numbers = {f"x{i}": random.normal(size=n) for i in range(17)}
    words = {
        "carrier": random.choice(list("abcdefghijklmnop"), n),
        "origin": random.choice(["EWR", "JFK"], n),
    }
    made = pd.DataFrame({**numbers, **words, "flag": random.random(n) < 0.3})
    made.loc[random.random(n) < 0.1, ["x0", "carrier"]] = None
    return made


def main() -> int:
    """Run the benchmark; return 0 if the decision stays below the bar."""
    past, now = frame(0, TRAINING_ROWS), frame(1, ROWS)
    random = np.random.default_rng(2)
    nights = pd.Series(
        pd.Timestamp("2013-01-01") + pd.to_timedelta(np.arange(TRAINING_ROWS) % NIGHTS, unit="D")
    )
    start = process_time()
    stored = build_profile(
        past, random.random(len(past)), nights, dict.fromkeys(past, 1.0), Drift()
    ).to_json()
    built = process_time()
    profile = Profile.from_json(stored)
    result = decide(profile, counted(profile, now, random.random(len(now))), Drift())
    decided = process_time()
    now.describe()
    described = process_time()
    spent, describing = decided - built, described - decided
    print(f"profile of {len(past):,} x {past.shape[1]}: {built - start:.2f} CPU-s, {len(stored):,} bytes")
    print(f"decision on {result.rows:,} x {now.shape[1]}: {spent:.2f} CPU-s (bar {BAR}), {result.status}")
    print(f"pandas describe() of the same frame: {describing:.2f} CPU-s, ratio {spent / describing:.2f}")
    return 0 if spent <= BAR else 1


if __name__ == "__main__":
    sys.exit(main())
