"""Replay: what would have come of retraining, by any policy, over nights whose outcomes are known. Pure."""

from nightshift.replay.bank import Bank, Candidate, Nights, as_of_dates, bank, candidate, labelled
from nightshift.replay.compare import ORACLE, Compared, Outcome, compare
from nightshift.replay.page import report, told, verdict
from nightshift.replay.policies import Policy, Served, always, every, never, oracle

__all__ = [
    "ORACLE",
    "Bank",
    "Candidate",
    "Compared",
    "Nights",
    "Outcome",
    "Policy",
    "Served",
    "always",
    "as_of_dates",
    "bank",
    "candidate",
    "compare",
    "every",
    "labelled",
    "never",
    "oracle",
    "report",
    "told",
    "verdict",
]
