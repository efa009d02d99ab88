"""Governance: the fair gate, the signature, the ledger. No code path promotes without a decision that passed."""

from nightshift.govern.doubt import Doubt, too_good
from nightshift.govern.evaluation import Evaluation, Part, evaluate, unmeasured
from nightshift.govern.gates import Candidate, Evidence, GateResult, Trial, judge
from nightshift.govern.ledger import Ledger, Misfit, Promotion
from nightshift.govern.outcomes import Outcome, outcome_of, write_outcome
from nightshift.govern.rollback import Rollback, rollback_of, write_rollback

__all__ = [
    "Candidate",
    "Doubt",
    "Evaluation",
    "Evidence",
    "GateResult",
    "Ledger",
    "Misfit",
    "Outcome",
    "Part",
    "Promotion",
    "Rollback",
    "Trial",
    "evaluate",
    "judge",
    "outcome_of",
    "rollback_of",
    "too_good",
    "unmeasured",
    "write_outcome",
    "write_rollback",
]
