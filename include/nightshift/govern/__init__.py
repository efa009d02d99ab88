"""Governance: the fair gate, the signature, the ledger. No code path promotes without a decision that passed."""

from nightshift.govern.evaluation import Evaluation, Part, evaluate
from nightshift.govern.gates import Candidate, Evidence, GateResult, Trial, judge
from nightshift.govern.ledger import Ledger, Promotion

__all__ = [
    "Candidate",
    "Evaluation",
    "Evidence",
    "GateResult",
    "Ledger",
    "Part",
    "Promotion",
    "Trial",
    "evaluate",
    "judge",
]
