"""Alerts: what is wrong now, who is told of it once, and again when it is over."""

from nightshift.alerts.conditions import CONDITIONS, sights, unknown
from nightshift.alerts.facts import NIGHTS, Disk, Facts, Seen, deadline, due_night
from nightshift.alerts.kinds import KINDS, Kind
from nightshift.alerts.levels import Before, Changes, Policy, Sight, anchor, compare
from nightshift.alerts.nights import upstream

__all__ = [
    "CONDITIONS",
    "KINDS",
    "NIGHTS",
    "Before",
    "Changes",
    "Disk",
    "Facts",
    "Kind",
    "Policy",
    "Seen",
    "Sight",
    "anchor",
    "compare",
    "deadline",
    "due_night",
    "sights",
    "unknown",
    "upstream",
]
