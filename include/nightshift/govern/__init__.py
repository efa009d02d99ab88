"""Governance: the fair gate and the ledger. No code path promotes without a decision that passed."""

from nightshift.govern.gates import Evidence, GateResult, judge
from nightshift.govern.ledger import Ledger, Misfit, Promotion
from nightshift.govern.rollback import Rollback, rollback_of, write_rollback

__all__ = [
    "Evidence",
    "GateResult",
    "Ledger",
    "Misfit",
    "Promotion",
    "Rollback",
    "judge",
    "rollback_of",
    "write_rollback",
]
