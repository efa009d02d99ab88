"""What a rule is and what it finds, without the library that judges it: its import takes seconds."""

from dataclasses import dataclass
from typing import Any

from nightshift.freeform import Arguments

# Judged within each batch date: their answer for a row depends on the rows beside it.
WITHIN_DATE = {
    "expect_column_values_to_be_unique",
    "expect_compound_columns_to_be_unique",
    "expect_column_value_z_scores_to_be_less_than",
    "expect_column_values_to_not_be_outliers",
}


@dataclass(frozen=True)
class Rule:
    """One expectation of a source. A row rule says which rows fail; a batch rule fails a whole batch."""

    name: str
    arguments: Arguments
    columns: tuple[str, ...]
    expectation: Any
    judges_rows: bool  # whether it names the rows that fail

    @property
    def within_date(self) -> bool:
        """Whether a row's answer depends on the other rows of its batch."""
        return self.name in WITHIN_DATE


@dataclass(frozen=True)
class Outcome:
    """What a batch rule found."""

    passed: bool
    observed: str
