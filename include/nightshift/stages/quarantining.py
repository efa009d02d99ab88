"""Work the quarantine: judge landed nights again, mend rows by a declared fix, or discard them with a reason.

What a night holds follows from three things: the file that was landed, the spec as it is, and the resolutions
in ``quarantine.resolutions``. A replay adds resolutions and replaces the night by what follows then, so doing
it again changes nothing.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import date

import numpy as np
import pandas as pd

from nightshift import validate as validating
from nightshift.calendar import DateRange
from nightshift.errors import NotReady, RequestError, did_you_mean
from nightshift.specs import REPLAY_ACTIONS, Source
from nightshift.stages.clock import require_same_clock
from nightshift.stages.collecting import (
    collect,
    file_batches,
    known_of,
    landed,
    put_docs,
    record_batches,
    validate,
)
from nightshift.stages.platform import Facts, Platform, Try
from nightshift.warehouse import raw_table

LONGEST_RULE = 200
BATCHES = (
    "SELECT DISTINCT ON (b.batch_date) b.batch_date, b.status, b.accepted, b.run_id, "
    "b.landed_sha256 AS sha256, l.object_key, l.row_count "
    "FROM catalog.batches b JOIN catalog.landings l "
    "ON (l.source, l.batch_date, l.sha256) = (b.source, b.batch_date, b.landed_sha256) "
    "WHERE b.source = %s AND b.batch_date BETWEEN %s AND %s ORDER BY b.batch_date"
)
MEND = (
    "INSERT INTO quarantine.resolutions "
    "(source, batch_date, landed_sha256, row_number, action, fix, reason, actor, run_id) "
    "SELECT $1::text, $2::date, $3::text, number::bigint, 'fix', $4::text, $5::text, $6::text, $7::text "
    "FROM json_array_elements_text($8::text::json) AS number"
)
DISCARD = (
    "INSERT INTO quarantine.resolutions "
    "(source, batch_date, landed_sha256, row_number, action, reason, actor, run_id) "
    "SELECT source, batch_date, landed_sha256, row_number, 'discard', $4::text, $5::text, $6::text "
    "FROM quarantine.open_rows WHERE source = $1 AND batch_date BETWEEN $2 AND $3 AND ($7::text = '' OR EXISTS "
    "(SELECT 1 FROM json_array_elements(violations) v WHERE v ->> 'rule' = $7::text))"
)
Rows = Mapping[date, np.ndarray]  # row numbers, from 1 as delivered, by date


@dataclass(frozen=True)
class Replay:
    """What is asked of a quarantine. ``action``: one of ACTIONS, or a declared fix; ``rule``: None for every rule."""

    action: str
    actor: str
    rule: str | None = None
    reason: str | None = None


def replay(platform: Platform, name: str, nights: DateRange, asked: Try, wanted: Replay) -> Facts:
    """Do what is wanted; return how many rows moved, and the ``dates`` that this run published anew.

    Raises:
        RequestError: no such action, a rule where none belongs, no reason for a discard.
        NotReady: a night was never collected.
        BatchRejected: a night still fails. The others were written.
        Superseded: another replay or collection has taken one of the nights.
    """
    require_same_clock(platform)
    source = platform.project.source(name)
    _check(source, wanted)
    return ACTIONS.get(wanted.action, _replayed)(platform, source, nights, asked, wanted)


def _check(source: Source, wanted: Replay) -> None:
    known = [*REPLAY_ACTIONS, *source.fixes]
    if not isinstance(wanted.action, str) or wanted.action not in known:
        given = str(wanted.action)[:60]
        raise RequestError(f"action: source '{source.name}' has no '{given}'{did_you_mean(given, known)}")
    if wanted.rule is not None and not (
        isinstance(wanted.rule, str) and 0 < len(wanted.rule) <= LONGEST_RULE
    ):
        raise RequestError(
            f"rule: expected the name of a rule, of at most {LONGEST_RULE} characters, or nothing"
        )
    if wanted.rule and wanted.action in ("revalidate", "recollect"):
        raise RequestError(f"rule: '{wanted.action}' judges the whole night; leave the rule empty")
    if wanted.action == "discard" and not (wanted.reason or "").strip():
        raise RequestError("reason: needed to discard rows; it is kept with them")


def _replayed(platform: Platform, source: Source, nights: DateRange, asked: Try, wanted: Replay) -> Facts:
    """Judge the landed files again, with the rows of the rule mended if the action is a fix."""
    table = raw_table(source)
    platform.warehouse.ensure(table)
    # The lease before anything is read: of two replays at once, the earlier writes nothing.
    lease = platform.warehouse.lease(table, nights.dates, asked.holder)
    batches = _batches(platform, source.name, nights)
    delivered, known = landed(platform, batches), known_of(platform, source, batches)
    checked = validating.validate_batches(source, delivered, known)
    stored = _stored(platform, source, batches, checked)
    mended: Rows = {}
    if wanted.action in source.fixes:
        checked, mended = _mended(source, delivered, known, checked, wanted)
    moved = {day: np.setdiff1d(stored[day], numbers) for day, numbers in _rejected(checked, nights).items()}
    changed = [b for b in batches if _changes(b, checked, stored, moved)]
    if changed:
        docs_key = put_docs(platform, source, checked, nights)
        with platform.warehouse.write(lease) as write:
            file_batches(write, platform, source, checked, changed)
            record_batches(write, source, checked, changed, (docs_key, asked.run_id))
            for batch in changed:
                if batch["batch_date"] in mended:
                    write.execute(MEND, _resolution(source, batch, mended, asked, wanted))
    checked.require_passed()
    return {
        **_facts(platform, source, nights, asked),
        "moved": sum(len(moved[batch["batch_date"]]) for batch in changed),
        "still_set_aside": len(checked.rejected),
    }


def _changes(batch: Facts, checked: validating.Validation, stored: Rows, moved: Rows) -> bool:
    """Return whether the night passes, and is not in the warehouse as it would be now."""
    day = batch["batch_date"]
    verdict = checked.verdicts[day]
    same = batch["status"] == "published" and verdict.rejected == len(stored[day])
    return verdict.passed and (len(moved[day]) > 0 or not same)


def _mended(
    source: Source,
    delivered: Mapping[date, pd.DataFrame],
    known: validating.Known,
    before: validating.Validation,
    wanted: Replay,
) -> tuple[validating.Validation, Rows]:
    """Return the judgement with the fix applied to the rows it helps, and these rows."""
    chosen = _chosen(source, known, before, wanted)
    if not chosen:
        return before, {}
    trial = validating.validate_batches(source, delivered, _and_mended(known, wanted.action, chosen))
    still = _rejected(trial, chosen)
    helped = {day: np.setdiff1d(numbers, still[day]) for day, numbers in chosen.items()}
    helped = {day: numbers for day, numbers in helped.items() if len(numbers)}
    if all(len(numbers) == len(helped.get(day, ())) for day, numbers in chosen.items()):
        return trial, helped
    # A row the fix does not help stays as delivered: mended, it could contradict the key of a good one.
    return validating.validate_batches(source, delivered, _and_mended(known, wanted.action, helped)), helped


def _and_mended(known: validating.Known, fix: str, rows: Rows) -> validating.Known:
    return replace(known, mended=[*known.mended, *((day, fix, numbers) for day, numbers in rows.items())])


def _chosen(source: Source, known: validating.Known, before: validating.Validation, wanted: Replay) -> Rows:
    """Return the rows that break the rule on the fix's column, but those discarded or mended so before."""
    column = source.fixes[wanted.action].column
    broken = before.rejected[validating.breaking(before.rejected, wanted.rule, column)]
    done = [(day, numbers) for day, fix, numbers in known.mended if fix == wanted.action]
    done += known.discarded.items()
    chosen = {}
    for day, numbers in _by_date(broken).items():
        left = np.setdiff1d(numbers, np.concatenate([[0], *(n for d, n in done if d == day)]))
        if len(left):
            chosen[day] = left
    return chosen


def _rejected(checked: validating.Validation, dates: DateRange | Rows) -> Rows:
    found = _by_date(checked.rejected)
    wanted = dates.dates if isinstance(dates, DateRange) else dates
    return {day: found.get(day, np.empty(0, dtype=np.int64)) for day in wanted}


def _by_date(rows: pd.DataFrame) -> Rows:
    days = rows["batch_date"].dt.date
    return {day: group.to_numpy() for day, group in rows["row_number"].groupby(days)}


def _stored(platform: Platform, source: Source, batches: list[Facts], checked: validating.Validation) -> Rows:
    """Return the rows now set aside: in quarantine, or, of a batch that failed, by the rules as they are."""
    rows = platform.warehouse.rows(
        "SELECT batch_date, array_agg(row_number) AS numbers FROM quarantine.rows "
        "WHERE source = %s AND batch_date BETWEEN %s AND %s GROUP BY 1",
        (source.name, batches[0]["batch_date"], batches[-1]["batch_date"]),
    )
    held = {row["batch_date"]: np.array(row["numbers"], dtype=np.int64) for row in rows}
    judged, empty = _by_date(checked.rejected), np.empty(0, dtype=np.int64)
    return {
        b["batch_date"]: (held if b["status"] == "published" else judged).get(b["batch_date"], empty)
        for b in batches
    }


def _resolution(source: Source, batch: Facts, mended: Rows, asked: Try, wanted: Replay) -> tuple[object, ...]:
    about = (source.name, batch["batch_date"], batch["sha256"], wanted.action)
    numbers = json.dumps(mended[batch["batch_date"]].tolist())
    return (*about, wanted.reason or "", wanted.actor, asked.run_id, numbers)


def _batches(platform: Platform, name: str, nights: DateRange) -> list[Facts]:
    found = platform.warehouse.rows(BATCHES, (name, nights.first, nights.last))
    missing = sorted(set(nights.dates) - {row["batch_date"] for row in found})
    if missing:
        raise NotReady(f"source '{name}' has no batch for {missing[0]}; run collect_{name} for it")
    return found


def _facts(platform: Platform, source: Source, nights: DateRange, asked: Try) -> Facts:
    """Return the nights that this run published, by its own records: a retry after a crash tells the same."""
    rows = platform.warehouse.rows(
        "SELECT batch_date FROM catalog.batches WHERE source = %s AND batch_date BETWEEN %s AND %s "
        "AND run_id = %s AND status = 'published' ORDER BY 1",
        (source.name, nights.first, nights.last, asked.run_id),
    )
    return {
        "source": source.name,
        "nights": str(nights),
        "dates": [str(row["batch_date"]) for row in rows],
    }


def _recollected(platform: Platform, source: Source, nights: DateRange, asked: Try, wanted: Replay) -> Facts:
    """Collect and validate once more; the dates are those whose batch is another one now."""

    def published(*, by_others: bool) -> dict[str, tuple[object, ...]]:
        rows = platform.warehouse.rows(BATCHES, (source.name, nights.first, nights.last))
        return {
            str(row["batch_date"]): (row["sha256"], row["accepted"])
            for row in rows
            # What an earlier try of this run wrote has perhaps not been announced.
            if row["status"] == "published" and not (by_others and row["run_id"] == asked.run_id)
        }

    before = published(by_others=True)
    collect(platform, source.name, nights, asked)
    facts = validate(platform, source.name, nights, asked)
    dates = [day for day, batch in published(by_others=False).items() if before.get(day) != batch]
    return {**facts, "dates": dates}


def _discarded(platform: Platform, source: Source, nights: DateRange, asked: Try, wanted: Replay) -> Facts:
    """Write down that the open rows of the rule stay set aside for good. No partition changes."""
    about = (wanted.reason, wanted.actor, asked.run_id, wanted.rule or "")
    lease = platform.warehouse.lease(raw_table(source), nights.dates, asked.holder)
    with platform.warehouse.write(lease) as write:
        write.execute(DISCARD, (source.name, nights.first, nights.last, *about))
    found = platform.warehouse.row(
        "SELECT count(*) AS n FROM quarantine.resolutions WHERE source = %s AND run_id = %s AND action = 'discard'",
        (source.name, asked.run_id),
    )
    return {
        "source": source.name,
        "nights": str(nights),
        "dates": [],
        "discarded": found["n"] if found else 0,
    }


ACTIONS: dict[str, Callable[[Platform, Source, DateRange, Try, Replay], Facts]] = {
    "revalidate": _replayed,
    "recollect": _recollected,
    "discard": _discarded,
}
