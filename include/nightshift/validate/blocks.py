"""Rows judged a block at a time: what each says by itself, then what those of a night say together.

Of a night of several blocks this is held of all its rows: a number for each key, and the columns that a batch rule, or
a rule that judges a row by those beside it, asks for.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import partial

import numpy as np
import pandas as pd

from nightshift.specs import Source
from nightshift.validate.batches import Batches, Group
from nightshift.validate.findings import Findings
from nightshift.validate.fixes import with_fixes
from nightshift.validate.keys import hashes, of_key, of_keys
from nightshift.validate.known import Known
from nightshift.validate.quarantine import rejected_rows
from nightshift.validate.rules import Outcome, Rule
from nightshift.validate.violations import (
    KEYED,
    SCHEMA,
    Violation,
    of_discarded,
    of_expectations,
    of_night,
    of_room,
    typed_columns,
    within_night,
)

# Keeps rows until they are asked for, which may be several times.
Keep = Callable[[pd.DataFrame], Callable[[], pd.DataFrame]]


def held(frame: pd.DataFrame) -> Callable[[], pd.DataFrame]:
    """Keep rows in memory."""
    return lambda: frame


@dataclass(frozen=True)
class Terms:
    """What rows are judged by, and how the good ones of several blocks are kept."""

    source: Source
    rules: Sequence[Rule]
    known: Known
    keep: Keep = held


@dataclass
class Block:
    """A block, judged. ``where``: which rows it has, without a column.

    ``good``: the rows that break no rule by themselves, of which ``passed`` is the mask. ``out``: the mask over these
    of those that go for their key.
    """

    where: Batches
    violations: list[Violation]
    passed: np.ndarray
    good: Callable[[], pd.DataFrame]
    out: np.ndarray | None = None

    def accepted(self) -> pd.DataFrame:
        """Return ``batch_date`` and the declared columns of the rows that may go on."""
        rows = self.good()
        return rows if self.out is None else rows[~self.out].reset_index(drop=True)

    def days(self) -> np.ndarray:
        """Return of each of these rows the index of its date."""
        days = self.where.day[self.passed]
        return days if self.out is None else days[~self.out]

    def refuse(self, key: tuple[str, ...], repeated: np.ndarray, different: np.ndarray) -> list[Violation]:
        """Take good rows out for their key, by masks over them; return the violations."""
        masks, places = {"repeated": repeated, "unique_key": different}, np.flatnonzero(self.passed)
        found = [
            Violation(rule, key, places[mask], (KEYED, place))
            for place, (rule, mask) in enumerate(masks.items())
            if mask.any()
        ]
        if found:
            self.out = repeated | different
            self.violations += found
        return found


@dataclass(frozen=True)
class Part:
    """Rows that were judged together: some small nights, or a large one.

    ``delivered`` yields its blocks anew, as they came; ``mended`` returns one as it was judged.
    """

    source: Source
    delivered: Callable[[], Iterator[Batches]]
    mended: Callable[[Batches], Batches]
    blocks: Sequence[Block]

    @property
    def dates(self) -> set[date]:
        """The dates that it has rows of."""
        return {block.where.dates[n] for block in self.blocks for n in np.unique(block.where.day)}

    def accepted(self) -> Iterator[pd.DataFrame]:
        """Yield the rows that may go on, a block at a time; see Validation."""
        return (block.accepted() for block in self.blocks)

    def rejected(self) -> Iterator[pd.DataFrame]:
        """Yield the rows that are set aside, a block at a time; see Validation. Made anew each time."""
        if any(block.violations for block in self.blocks):
            names = list(self.source.columns)
            for block, delivered in zip(self.blocks, self.delivered(), strict=True):
                if block.violations:
                    yield rejected_rows(self.mended(delivered), block.violations, names, delivered)

    def numbers(self, rule: str | None, column: str | None) -> Iterator[tuple[date, np.ndarray]]:
        """Yield, by date, the numbers of the rows that break a rule on a column, alone or with others; None: any."""
        for block in self.blocks:
            broken = [
                violation.rows
                for violation in block.violations
                if rule in (None, violation.rule) and (column is None or column in violation.columns)
            ]
            rows = np.unique(np.concatenate(broken)) if broken else np.empty(0, dtype=np.int64)
            days, numbers = block.where.day[rows], block.where.row_numbers()[rows]
            for number in np.unique(days):
                yield block.where.dates[number], numbers[days == number]


def judged(terms: Terms, group: Group, findings: Findings) -> Part:
    """Return a group's rows, judged; what is found goes to ``findings``."""
    key = tuple(terms.source.key)
    mend = partial(with_fixes, terms.source, mended=terms.known.mended)
    mended = partial(_mended, mend, group)
    within = within_night(terms.source, terms.rules, mended) if group.several else {}
    blocks, numbers, masks = [], [], []
    for batches in mended():
        block, good = _block(terms, batches, within, findings)
        blocks.append(block)
        if group.several:
            numbers.append(hashes(good[list(key)]))
        else:
            masks.append(of_key(("batch_date", *key), good))
    if group.several:
        masks = of_keys(key, [block.good for block in blocks], numbers)
    refused = [block.refuse(key, *of_block) for block, of_block in zip(blocks, masks, strict=True)]
    if any(refused):
        for found, batches in zip(refused, mended(), strict=True):
            findings.count(batches, found)
    _ask(terms, blocks, findings)
    return Part(terms.source, group.blocks, mend, blocks)


def _mended(mend: Callable[[Batches], Batches], group: Group) -> Iterator[Batches]:
    return map(mend, group.blocks())


def _block(
    terms: Terms, batches: Batches, within: Mapping[int, np.ndarray], findings: Findings
) -> tuple[Block, pd.DataFrame]:
    """Return a block, judged but for its keys, and its good rows."""
    source, known = terms.source, terms.known
    rows = np.flatnonzero(~np.isin(batches.day, list(findings.schema)))
    misfits = [
        Violation("schema", (wrong[0].column,), np.flatnonzero(batches.day == number), (SCHEMA, number))
        for number, wrong in findings.schema.items()
    ]
    typed, found = typed_columns(source, batches, rows)
    findings.count_values(batches, rows, typed)
    found += of_room(source, typed, rows)
    found += of_night(source, typed, batches, rows, known.home) if known.home else ()
    found += of_expectations(terms.rules, typed, batches, rows, within)
    found += of_discarded(source, batches, rows, among(rows, found), known.discarded)
    bad = among(rows, found)
    passed = np.zeros(len(batches.frame), dtype=bool)
    passed[rows[~bad]] = True
    nights = pd.Series(np.array(batches.dates, dtype="datetime64[s]")[batches.day[passed]], name="batch_date")
    good = pd.concat([nights, typed[~bad].reset_index(drop=True)], axis=1)
    violations = [violation for violation in [*misfits, *found] if len(violation.rows)]
    findings.count(batches, violations)
    where = replace(batches, frame=pd.DataFrame(index=pd.RangeIndex(len(passed))))
    return Block(where, violations, passed, terms.keep(good)), good


def among(rows: np.ndarray, violations: Sequence[Violation]) -> np.ndarray:
    """Return the mask of the positions ``rows`` that a violation names."""
    if not violations:
        return np.zeros(len(rows), dtype=bool)
    return np.isin(rows, np.concatenate([violation.rows for violation in violations]))


def _ask(terms: Terms, blocks: Sequence[Block], findings: Findings) -> None:
    """Ask what a whole batch is asked: how many rows may go on, how new they are, what its batch rules say."""
    rules = [rule for rule in terms.rules if not rule.judges_rows]
    event = terms.source.freshness.column if terms.source.freshness else None
    names = list(dict.fromkeys(column for rule in rules for column in rule.columns))
    looked_at = [*names, *([event] if event and event not in names else [])]
    asked: dict[int, list[pd.DataFrame]] = {}
    for block in blocks:
        days = block.days()
        findings.accepted += np.bincount(days, minlength=len(findings.dates))
        rows = block.accepted()[looked_at] if looked_at else None
        for number in map(int, np.unique(days)):
            frames = asked.setdefault(number, [])
            if rows is not None:
                of_day = rows[days == number]
                frames += [of_day[names]] if names else []
                if event:
                    findings.see(number, of_day[event], terms.known.cutoffs.get(findings.dates[number]))
    for number, frames in asked.items() if rules else ():
        # A rule may count rows, and name no column.
        counted = pd.DataFrame(index=pd.RangeIndex(findings.accepted[number]))
        batch = pd.concat(frames, ignore_index=True) if frames else counted
        findings.outcomes[number] = _outcomes(rules, batch)


def _outcomes(rules: Sequence[Rule], batch: pd.DataFrame) -> list[tuple[Rule, Outcome | None]]:
    """Return what each batch rule finds among a date's accepted rows; None where it has nothing to judge."""
    from nightshift.validate.expectations import batch_outcomes

    asked = [rule for rule in rules if all(batch[column].notna().any() for column in rule.columns)]
    outcomes = dict(zip(map(id, asked), batch_outcomes(asked, batch), strict=True)) if asked else {}
    return [(rule, outcomes.get(id(rule))) for rule in rules]
