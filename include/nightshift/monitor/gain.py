"""Will a training pay? What it is expected to have gained by now, by what a replay says of the champion's age.

The rule of Mahadevan and Mathioudakis (2023, "Cost-aware retraining for machine learning", arXiv 2310.04216): train
when the regret of not having trained, added up, exceeds what a training costs.
"""

from collections.abc import Sequence
from datetime import date, timedelta

from nightshift.records.replays import GainByAge

LONGEST = 3660


def expected(of: GainByAge, days: int) -> float:
    """Return what so many nights since the fit are expected to have cost; beyond the curve its last value counts."""
    known = of.gains[1 : days + 1]
    return sum(known) + max(0, days - len(known)) * _last(of.gains)


def passes_on(of: GainByAge, fitted_until: date, cost: float) -> date | None:
    """Return the first night on which the expected gain reaches the cost; None: within ten years it does not."""
    days = next((days for days in range(1, LONGEST) if expected(of, days) >= cost), None)
    return None if days is None else fitted_until + timedelta(days=days)


def _last(gains: Sequence[float]) -> float:
    return gains[-1] if gains else 0.0
