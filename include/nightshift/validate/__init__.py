"""Validate: what was delivered against what its source declares.

Every row is either accepted or set aside with its reasons; accepted + rejected = collected, for each batch
date. A batch fails as a whole when it is empty, when its columns are not the declared ones, when a column
has lost its values, when a batch-level expectation fails, when more rows are set aside than its budget, when
it is unusually large or small, or when its events are old.
Pure functions: nothing is read or written.
"""

from nightshift.validate.documents import data_docs
from nightshift.validate.fixes import FIXES
from nightshift.validate.judge import check_expectations, validate, validate_batches
from nightshift.validate.known import Known
from nightshift.validate.quarantine import breaking
from nightshift.validate.verdict import BatchVerdict, Validation

__all__ = [
    "FIXES",
    "BatchVerdict",
    "Known",
    "Validation",
    "breaking",
    "check_expectations",
    "data_docs",
    "validate",
    "validate_batches",
]
