"""Validate: what was delivered against what its source declares.

Every row is either accepted or set aside with its reasons; accepted + rejected = collected, for each batch
date. A batch fails as a whole when it is empty, when its columns are not the declared ones, when a column
has lost its values, when a batch-level expectation fails, when more rows are set aside than its budget, when
it is unusually large or small, or when its events are old. A large batch is judged a block at a time, and comes to the
same. Pure functions: nothing is read or written, but for what its caller says how to keep.
"""

from nightshift.validate.blocks import Keep, Part, held
from nightshift.validate.documents import data_docs
from nightshift.validate.fixes import FIXES
from nightshift.validate.judge import check_expectations, validate, validate_batches
from nightshift.validate.known import Known
from nightshift.validate.verdict import BatchVerdict, Validation

__all__ = [
    "FIXES",
    "BatchVerdict",
    "Keep",
    "Known",
    "Part",
    "Validation",
    "check_expectations",
    "data_docs",
    "held",
    "validate",
    "validate_batches",
]
