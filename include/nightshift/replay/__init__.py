"""Replay: what would have come of retraining, by any policy, over nights whose outcomes are known. Pure."""

from nightshift.replay.bank import (
    Bank,
    Candidate,
    Learned,
    Nights,
    as_of_dates,
    bank,
    candidate,
    labelled,
    learned,
    require_nights,
)
from nightshift.replay.compare import ORACLE, Compared, Outcome, compare
from nightshift.replay.declared import Watched, declared
from nightshift.replay.gain import gain_by_age
from nightshift.replay.page import report, told, verdict
from nightshift.replay.policies import (
    DECLARED,
    NEVER,
    Policy,
    Served,
    always,
    calendars,
    every,
    never,
    oracle,
)

__all__ = [
    "DECLARED",
    "NEVER",
    "ORACLE",
    "Bank",
    "Candidate",
    "Compared",
    "Learned",
    "Nights",
    "Outcome",
    "Policy",
    "Served",
    "Watched",
    "always",
    "as_of_dates",
    "bank",
    "calendars",
    "candidate",
    "compare",
    "declared",
    "every",
    "gain_by_age",
    "labelled",
    "learned",
    "never",
    "oracle",
    "report",
    "require_nights",
    "told",
    "verdict",
]
