"""What judging costs: 1,000 resamples of 100,000 rows by days, for two models, overall and by slices.

    python benchmarks/evaluation.py

CPU-seconds of this process. The rows are a year's worth of noise: 100,000 flights of 90 days, with three airports and
sixteen carriers as slices. Every metric but average precision is resampled for both models; that one by itself, since
it needs a pass over the rows a resample. The bar is 5 CPU-seconds for 1,000 resamples of 100,000 rows; the exit code is
1 above it.
"""

import sys
import time
from datetime import date, timedelta

import numpy as np
import pandas as pd

from nightshift import bootstrap
from nightshift.govern import evaluate

ROWS, DAYS, BAR = 100_000, 90, 5.0


def holdout() -> tuple[pd.DataFrame, np.ndarray, np.ndarray]:
    """Return rows with labels, and the scores of a better and a worse model."""
    rng = np.random.default_rng(0)
    day = np.sort(rng.integers(0, DAYS, ROWS))
    chance = rng.beta(2, 5, ROWS)
    rows = pd.DataFrame(
        {
            "batch_date": [date(2013, 1, 1) + timedelta(days=int(n)) for n in day],
            "origin": rng.choice(["EWR", "JFK", "LGA"], ROWS),
            "carrier": rng.choice([f"C{n}" for n in range(16)], ROWS),
            "label": (rng.random(ROWS) < chance).astype("float64"),
        }
    )
    return rows, chance, np.clip(chance + rng.normal(0, 0.1, ROWS), 0.01, 0.99)


def main() -> None:
    """Measure, hold against the bar."""
    rows, better, worse = holdout()
    began = time.process_time()
    found = evaluate("classification", rows, better, worse)
    overall = time.process_time() - began
    began = time.process_time()
    evaluate("classification", rows, better, worse, slices=["origin", "carrier"])
    sliced = time.process_time() - began
    _, day = np.unique(rows["batch_date"].to_numpy(), return_inverse=True)
    began = time.process_time()
    weights, label = bootstrap.draws(DAYS), rows["label"].to_numpy()
    bootstrap.replicates("average_precision", label, better, day, weights)
    dear = time.process_time() - began
    print(
        f"{ROWS:,} rows, {DAYS} days, two models, roc_auc, log_loss and brier: {overall:.2f} CPU-s (bar {BAR:g})"
    )
    print(f"with {len(rows['origin'].unique()) + len(rows['carrier'].unique())} slices: {sliced:.2f} CPU-s")
    print(f"average precision alone, one model: {dear:.2f} CPU-s (bar {BAR:g})")
    print(f"the better model wins on log loss in {found.overall.share('log_loss', 0.0):.1%} of resamples")
    sys.exit(0 if max(overall, dear) <= BAR else f"above {BAR:g} CPU-seconds")


if __name__ == "__main__":
    main()
