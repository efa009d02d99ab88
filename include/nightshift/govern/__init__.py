"""Governance: the fair gate and the ledger. No code path promotes without a decision that passed."""

from nightshift.govern.gates import Evidence, GateResult, judge
from nightshift.govern.ledger import Ledger, Promotion

__all__ = ["Evidence", "GateResult", "Ledger", "Promotion", "judge"]
