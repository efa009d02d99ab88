"""Synthetic nights with every type of column, and the question asked of them."""

from datetime import date

import numpy as np
import pandas as pd

from nightshift.calendar import DateRange
from nightshift.explore import Exploration, Question, Subject, examine

NIGHTS = DateRange(date(2013, 2, 1), date(2013, 2, 28))
BEFORE = DateRange(date(2013, 1, 1), date(2013, 1, 28))
ATTACK = "</script><script>alert(1)</script>"
IMAGE = "<img src=x onerror=alert(1)>"
QUOTED = "\" onmouseover='alert(1)"
COLUMNS = {
    "flight_id": "string",
    "carrier": "string",
    "seats": "integer",
    "temp": "float",
    "on_time": "boolean",
    "flown_on": "date",
    "seen_at": "timestamp",
    "gone": "float",
}


def rows(seed: int, n: int, nights: DateRange = NIGHTS) -> pd.DataFrame:
    """Return ``n`` rows in order of nights, every tenth temperature and carrier missing."""
    random = np.random.default_rng(seed)
    dates = np.array(nights.dates, dtype="datetime64[s]")[np.arange(n) * len(nights.dates) // n]
    made = pd.DataFrame(
        {
            "batch_date": dates,
            "flight_id": [f"2013-{seed}-{i}" for i in range(n)],
            "carrier": random.choice(["AA", "DL", "UA"], n, p=[0.5, 0.3, 0.2]),
            "seats": random.integers(100, 300, n),
            "temp": random.normal(40, 10, n),
            "on_time": pd.Series(random.random(n) < 0.7, dtype="object"),
            "flown_on": dates,
            "seen_at": pd.to_datetime(pd.Series(dates)).dt.tz_localize("UTC") + pd.Timedelta(hours=5),
            "gone": np.nan,
        }
    )
    made.loc[np.arange(n) % 10 == 0, ["temp", "carrier"]] = None
    return made


def subject(**change: object) -> Subject:
    """Return the feature set that these rows are of."""
    facts: dict = {
        "key": "features_departure",
        "title": "Feature set departure, version 1",
        "description": "What the planner knows.",
        "columns": COLUMNS,
        "identity": ("flight_id",),
        "spec_sha256": "5" * 64,
    }
    return Subject(**{**facts, **change})


def question(compared: DateRange | None = None, sample: int = 1000) -> Question:
    """Return what is asked of these nights."""
    return Question(NIGHTS, compared, sample)


def compared(now: pd.DataFrame, then: pd.DataFrame, **change: object) -> Exploration:
    """Return the exploration of two ranges."""
    return examine(subject(**change), question(BEFORE), now, then)


def hostile(seed: int, n: int) -> pd.DataFrame:
    """Return rows whose names and values attack the page, or name people."""
    random = np.random.default_rng(seed)
    contacts = ["bob@canary.example", "Eve <eve@canary.example>", "212-555-0123"]
    return rows(seed, n).assign(
        **{
            ATTACK: random.normal(size=n),
            QUOTED: random.choice(["a", "b"], n),
            "ann@canary.example": random.normal(size=n),
            "comment": random.choice([ATTACK, IMAGE, QUOTED, "fine & well"], n),
            "contact": random.choice(contacts, n),
            "person": [f"passenger-{seed}-{i}" for i in range(n)],
            "friend": random.choice([f"passenger-{i}" for i in range(n)], n),
        }
    )
