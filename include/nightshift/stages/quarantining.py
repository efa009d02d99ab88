"""Work the quarantine: judge landed nights again, mend rows by a declared fix, or discard them with a reason.

What a night holds follows from three things: the file that was landed, the spec as it is, and the resolutions
in ``quarantine.resolutions``. A replay adds resolutions and replaces the night by what follows then, so doing
it again changes nothing.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import partial

import numpy as np

from nightshift import results
from nightshift import validate as validating
from nightshift.calendar import DateRange
from nightshift.errors import NotReady, RequestError, RunStage, Subject, did_you_mean
from nightshift.platform import Platform, Try
from nightshift.platform.clock import require_same_clock
from nightshift.platform.scratch import scratch
from nightshift.records import deliveries, quarantine
from nightshift.records.deliveries import Judged
from nightshift.specs import REPLAY_ACTIONS, Source, require_replay
from nightshift.stages.collect import collect, judged, known_of, landed, put_docs, validate
from nightshift.stages.filing import contents_of, file_batches, record_batches
from nightshift.stages.rereading import require_same_reading
from nightshift.warehouse import PartitionWrite, raw_table

Rows = Mapping[date, np.ndarray]  # row numbers, from 1 as delivered, by date


@dataclass(frozen=True)
class Replay:
    """What is asked of a quarantine. ``action``: one of ACTIONS, or a declared fix; ``rule``: None for every rule."""

    action: str
    actor: str
    rule: str | None = None
    reason: str | None = None


def replay(platform: Platform, name: str, nights: DateRange, asked: Try, wanted: Replay) -> results.Replayed:
    """Do what is wanted; return how many rows moved, and the ``dates`` that this run published anew.

    Raises:
        RequestError: no such action, a rule where none belongs, no reason for a discard.
        NotReady: a night was never collected.
        BatchRejected: a night still fails. The others were written.
        Superseded: another replay or collection has taken one of the nights.
    """
    require_same_clock(platform)
    source = platform.project.source(name)
    require_same_reading(platform, source)
    _check(source, wanted)
    return ACTIONS.get(wanted.action, _replayed)(platform, source, nights, asked, wanted)


def _check(source: Source, wanted: Replay) -> None:
    known = [*REPLAY_ACTIONS, *source.fixes]
    if not isinstance(wanted.action, str) or wanted.action not in known:
        given = str(wanted.action)[:60]
        raise RequestError(f"action: source '{source.name}' has no '{given}'{did_you_mean(given, known)}")
    require_replay(wanted.action, wanted.rule, wanted.reason)


def _replayed(
    platform: Platform, source: Source, nights: DateRange, asked: Try, wanted: Replay
) -> results.Replayed:
    """Judge the landed files again, with the rows of the rule mended if the action is a fix."""
    table = raw_table(source)
    platform.warehouse.ensure(table)
    # The lease before anything is read: of two replays at once, the earlier writes nothing.
    lease = platform.warehouse.lease(table, nights.dates, asked.holder)
    batches = _batches(platform, source.name, nights)
    known = known_of(platform, source, batches)
    with scratch("replay") as folder:
        judge = partial(judged, source, landed(platform, batches), folder=folder)
        checked = judge(known)
        stored = _stored(platform, source, batches, checked)
        mended: Rows = {}
        if wanted.action in source.fixes:
            checked, mended = _mended(source, judge, known, checked, wanted)
        moved = {
            day: np.setdiff1d(stored[day], numbers) for day, numbers in _rejected(checked, nights).items()
        }
        contents = contents_of(source, checked, nights.dates, folder)
        as_it_is = [b.batch_date for b in batches if b.content_sha256 in contents.get(b.batch_date, ())]
        changed = [b for b in batches if _changes(b, checked, stored, moved, as_it_is)]
        if changed:
            by = (put_docs(platform, source, checked, nights), asked.run_id)
            with platform.warehouse.write(lease) as write:
                file_batches(write, platform, source, checked, changed)
                record_batches(write, source, checked, changed, contents, by)
                for batch in changed:
                    if batch.batch_date in mended:
                        _mend(write, source, batch, mended[batch.batch_date], asked, wanted)
    checked.require_passed()
    return {
        **_facts(platform, source, nights, asked),
        "moved": sum(len(moved[batch.batch_date]) for batch in changed),
        "still_set_aside": sum(verdict.rejected for verdict in checked.verdicts.values()),
    }


def _changes(
    batch: Judged, checked: validating.Validation, stored: Rows, moved: Rows, as_it_is: Sequence[date]
) -> bool:
    """Return whether the night passes, and is not in the warehouse as it would be now.

    ``as_it_is``: the nights that hold what would be accepted now: of the same rows, the values may be others.
    """
    day = batch.batch_date
    verdict = checked.verdicts[day]
    same = batch.status == "published" and verdict.rejected == len(stored[day]) and day in as_it_is
    return verdict.passed and (len(moved[day]) > 0 or not same)


def _mended(
    source: Source,
    judge: Callable[[validating.Known], validating.Validation],
    known: validating.Known,
    before: validating.Validation,
    wanted: Replay,
) -> tuple[validating.Validation, Rows]:
    """Return the judgement with the fix applied to the rows it helps, and these rows."""
    chosen = _chosen(source, known, before, wanted)
    if not chosen:
        return before, {}
    trial = judge(_and_mended(known, wanted.action, chosen))
    still = _rejected(trial, chosen)
    helped = {day: np.setdiff1d(numbers, still[day]) for day, numbers in chosen.items()}
    helped = {day: numbers for day, numbers in helped.items() if len(numbers)}
    if all(len(numbers) == len(helped.get(day, ())) for day, numbers in chosen.items()):
        return trial, helped
    # A row the fix does not help stays as delivered: mended, it could contradict the key of a good one.
    return judge(_and_mended(known, wanted.action, helped)), helped


def _and_mended(known: validating.Known, fix: str, rows: Rows) -> validating.Known:
    return replace(known, mended=[*known.mended, *((day, fix, numbers) for day, numbers in rows.items())])


def _chosen(source: Source, known: validating.Known, before: validating.Validation, wanted: Replay) -> Rows:
    """Return the rows that break the rule on the fix's column, but those discarded or mended so before."""
    column = source.fixes[wanted.action].column
    done = [(day, numbers) for day, fix, numbers in known.mended if fix == wanted.action]
    done += known.discarded.items()
    chosen = {}
    for day, numbers in before.numbers(wanted.rule, column).items():
        left = np.setdiff1d(numbers, np.concatenate([[0], *(n for d, n in done if d == day)]))
        if len(left):
            chosen[day] = left
    return chosen


def _rejected(checked: validating.Validation, dates: DateRange | Rows) -> Rows:
    found = checked.numbers()
    wanted = dates.dates if isinstance(dates, DateRange) else dates
    return {day: found.get(day, np.empty(0, dtype=np.int64)) for day in wanted}


def _stored(
    platform: Platform, source: Source, batches: list[Judged], checked: validating.Validation
) -> Rows:
    """Return the rows now set aside: in quarantine, or, of a batch that failed, by the rules as they are."""
    first, last = batches[0].batch_date, batches[-1].batch_date
    rows = platform.warehouse.all(quarantine.SET_ASIDE, source=source.name, first=first, last=last)
    held = {row.batch_date: np.array(row.numbers, dtype=np.int64) for row in rows}
    now, empty = checked.numbers(), np.empty(0, dtype=np.int64)
    return {
        b.batch_date: (held if b.status == "published" else now).get(b.batch_date, empty) for b in batches
    }


def _mend(
    write: PartitionWrite, source: Source, batch: Judged, numbers: np.ndarray, asked: Try, wanted: Replay
) -> None:
    write.run(
        quarantine.MEND,
        source=source.name,
        batch_date=batch.batch_date,
        sha256=batch.sha256,
        fix=wanted.action,
        reason=wanted.reason or "",
        actor=wanted.actor,
        run_id=asked.run_id,
        numbers=json.dumps(numbers.tolist()),
    )


def _batches(platform: Platform, name: str, nights: DateRange) -> list[Judged]:
    found = platform.warehouse.all(deliveries.WITH_FILES, source=name, first=nights.first, last=nights.last)
    missing = sorted(set(nights.dates) - {batch.batch_date for batch in found})
    if missing:
        raise NotReady(
            "has no batch", subject=Subject("source", name), nights=missing, remedy=RunStage("collect", name)
        )
    return found


def _facts(platform: Platform, source: Source, nights: DateRange, asked: Try) -> results.Replayed:
    """Return the nights that this run published, by its own records: a retry after a crash tells the same."""
    batches = platform.warehouse.all(
        deliveries.BATCHES, source=source.name, first=nights.first, last=nights.last
    )
    ours = [b for b in batches if b.run_id == asked.run_id and b.status == "published"]
    return {"source": source.name, "nights": str(nights), "dates": [str(b.batch_date) for b in ours]}


def _recollected(
    platform: Platform, source: Source, nights: DateRange, asked: Try, wanted: Replay
) -> results.Replayed:
    """Collect and validate once more; the dates are those whose batch is another one now."""

    def published(*, by_others: bool) -> dict[str, tuple[object, ...]]:
        batches = platform.warehouse.all(
            deliveries.WITH_FILES, source=source.name, first=nights.first, last=nights.last
        )
        return {
            str(batch.batch_date): (batch.sha256, batch.accepted, batch.content_sha256)
            for batch in batches
            # What an earlier try of this run wrote has perhaps not been announced.
            if batch.status == "published" and not (by_others and batch.run_id == asked.run_id)
        }

    before = published(by_others=True)
    collect(platform, source.name, nights, asked)
    validated = validate(platform, source.name, nights, asked)
    dates = [day for day, batch in published(by_others=False).items() if before.get(day) != batch]
    return {
        "source": source.name,
        "nights": str(nights),
        "dates": dates,
        "accepted": validated["accepted"],
        "quarantined": validated["quarantined"],
    }


def _discarded(
    platform: Platform, source: Source, nights: DateRange, asked: Try, wanted: Replay
) -> results.Replayed:
    """Write down that the open rows of the rule stay set aside for good. No partition changes."""
    lease = platform.warehouse.lease(raw_table(source), nights.dates, asked.holder)
    with platform.warehouse.write(lease) as write:
        write.run(
            quarantine.DISCARD,
            source=source.name,
            first=nights.first,
            last=nights.last,
            reason=wanted.reason,
            actor=wanted.actor,
            run_id=asked.run_id,
            rule=wanted.rule or "",
        )
    found = platform.warehouse.one(quarantine.DISCARDED, source=source.name, run_id=asked.run_id)
    return {
        "source": source.name,
        "nights": str(nights),
        "dates": [],
        "discarded": found.n if found else 0,
    }


ACTIONS: dict[str, Callable[[Platform, Source, DateRange, Try, Replay], results.Replayed]] = {
    "revalidate": _replayed,
    "recollect": _recollected,
    "discard": _discarded,
}
