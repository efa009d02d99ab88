"""Governance: the fair gate, the signature, the ledger. No code path promotes without a decision that passed."""

from nightshift.govern.doubt import Doubt, too_good
from nightshift.govern.evaluation import Assessment, Part, evaluate, unmeasured
from nightshift.govern.gates import Candidate, Evidence, Trial, judge, require_later, require_unseen
from nightshift.govern.ledger import Ledger, Misfit, first_unscored, require_champions
from nightshift.govern.refit import Refit, compare_fits
from nightshift.govern.rollback import Rollback, write_rollback

__all__ = [
    "Assessment",
    "Candidate",
    "Doubt",
    "Evidence",
    "Ledger",
    "Misfit",
    "Part",
    "Refit",
    "Rollback",
    "Trial",
    "compare_fits",
    "evaluate",
    "first_unscored",
    "judge",
    "require_champions",
    "require_later",
    "require_unseen",
    "too_good",
    "unmeasured",
    "write_rollback",
]
