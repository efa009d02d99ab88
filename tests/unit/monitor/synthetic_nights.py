"""Synthetic nights: undrifted rows of mixed columns, and weather that a whole night shares."""

import numpy as np
import pandas as pd

from nightshift.monitor.drift import DriftResult, decide
from nightshift.monitor.profile import build_profile, counted
from nightshift.specs.model import Drift

ATTACK = "</script><script>alert(1)</script>"
IMAGE = "<img src=x onerror=alert(1)>"
QUOTED = "\" onmouseover='alert(1)"
COLUMNS = ["x0", "x1", "x2", "x3", "zero_inflated", "weekday", "gappy", "flag", "carrier", "origin"]


def rows(seed: int, n: int) -> pd.DataFrame:
    """Return ``n`` independent rows of ten columns of every kind."""
    random = np.random.default_rng(seed)
    zipf = 1 / np.arange(1, 17)
    return pd.DataFrame(
        {
            **{f"x{i}": random.normal(size=n) for i in range(4)},
            "zero_inflated": np.where(random.random(n) < 0.8, 0.0, random.exponential(size=n)),
            "weekday": random.integers(0, 7, n).astype(float),
            "gappy": np.where(random.random(n) < 0.3, np.nan, random.lognormal(size=n)),
            "flag": random.random(n) < 0.3,
            "carrier": random.choice(list("abcdefghijklmnop"), n, p=zipf / zipf.sum()),
            "origin": random.choice(["EWR", "JFK", "LGA"], n),
        }
    )


def dates(n: int, nights: int) -> pd.Series:
    """Return ``n`` batch dates spread evenly over ``nights``, in order."""
    return pd.Series(pd.Timestamp("2013-01-01") + pd.to_timedelta(np.arange(n) * nights // n, unit="D"))


def weather(seed: int, nights: int, rows_a_night: int, columns: int) -> pd.DataFrame:
    """Return columns whose rows of one night are alike: the night's own level, a little noise, no drift."""
    random = np.random.default_rng(seed)
    level = np.repeat(random.normal(size=(nights, columns)), rows_a_night, axis=0)
    values = level + random.normal(scale=0.3, size=level.shape)
    return pd.DataFrame(values, columns=[f"weather_{i}" for i in range(columns)])


def equal(frame: pd.DataFrame) -> dict[str, float]:
    """Return the same importance for every column."""
    return dict.fromkeys(map(str, frame.columns), 1.0)


def hostile(seed: int, n: int) -> pd.DataFrame:
    """Return rows whose names and values attack the page, or name people."""
    random = np.random.default_rng(seed)
    return rows(seed, n).assign(
        **{
            ATTACK: random.normal(size=n),
            QUOTED: random.choice(["a", "b"], n),
            "ann@canary.example": random.normal(size=n),
            "comment": random.choice([ATTACK, IMAGE, QUOTED, "fine & well"], n),
            "contact": random.choice(["bob@canary.example", "Eve <eve@canary.example>", "none"], n),
            "person": [f"passenger-{seed}-{i}" for i in range(n)],
            "gone": np.nan,
        }
    )


def decided(reference: pd.DataFrame, current: pd.DataFrame) -> DriftResult:
    """Return the decision on ``current`` against a profile of ``reference``."""
    predictions = np.random.default_rng(0).random
    nights = dates(len(reference), 30)
    profile = build_profile(reference, predictions(len(reference)), nights, equal(reference), Drift())
    return decide(profile, counted(profile, current, predictions(len(current))), Drift())
