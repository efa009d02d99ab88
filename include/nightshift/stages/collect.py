"""Collect what is upstream, then judge it: accepted rows to ``raw``, rejected ones to ``quarantine``."""

import logging
from collections.abc import Sequence
from datetime import date, timedelta

import numpy as np
import pandas as pd

from nightshift import collect as collecting
from nightshift import kept, results
from nightshift import validate as validating
from nightshift.calendar import DateRange
from nightshift.errors import NotReady, SourceError
from nightshift.landing import parquet, rows_of
from nightshift.platform import Platform, Try
from nightshift.platform.clock import require_same_clock
from nightshift.platform.lineage import first_content_sha256
from nightshift.records import deliveries, quarantine
from nightshift.records.deliveries import Batch, Judged, Landing
from nightshift.specs import Source
from nightshift.stages.reconciling import require_balance
from nightshift.stages.rereading import require_same_reading
from nightshift.types import content_sha256
from nightshift.warehouse import PartitionWrite, quarantine_table, raw_table

log = logging.getLogger(__name__)
Delivery = Landing | Judged


def collect(
    platform: Platform, name: str, nights: DateRange, asked: Try, *, must_pass: DateRange | None = None
) -> results.Collected:
    """Land what the source delivers for each night, untouched, as Parquet named by its hash.

    A night outside ``must_pass`` that the upstream no longer delivers is left as it stands.

    Raises:
        SourceError: the upstream is down, or answers nonsense. Nothing was overwritten.
        SpecError: older nights were cut in another time zone, or read otherwise, than the specs say now.
    """
    require_same_clock(platform)
    source = platform.project.source(name)
    require_same_reading(platform, source)
    must = set((must_pass or nights).dates)
    landed = []
    beside = platform.project.folder.parent
    connection = collecting.connection_of(source, platform.connection, beside)
    zone = platform.project.calendar.zone
    with collecting.open_source(source, connection, zone) as reader:
        # Those that must be there come first: a source that is down is then asked once.
        for batch_date in sorted(nights.dates, key=lambda night: night not in must):
            try:
                rows = reader.read(batch_date, platform.project.calendar.window(batch_date))
            except SourceError as error:
                if batch_date in must:
                    raise
                log.warning("%s, looking back on %s: %s", name, batch_date, error)
                continue
            key, digest = platform.objects.put_once(kept.landed(name, batch_date), parquet(rows), ".parquet")
            landed.append(
                Landing(
                    source=name,
                    batch_date=batch_date,
                    run_id=asked.run_id,
                    object_key=key,
                    sha256=digest,
                    row_count=len(rows),
                )
            )
    with platform.warehouse.session() as session:
        session.each(deliveries.LAND, landed)
    return {"source": name, "nights": str(nights), "rows": sum(each.row_count for each in landed)}


def validate(
    platform: Platform, name: str, nights: DateRange, asked: Try, *, must_pass: DateRange | None = None
) -> results.Validated:
    """Split what this run landed and file it: one transaction for raw rows, quarantine and the batches' records.

    A date whose batch fails keeps the rows it had; the failure is recorded, and raised at the end. Dates
    outside ``must_pass`` were collected again to look for corrections: those that landed as they stand are left
    alone, and what is broken in the others is recorded, but does not stop tonight.

    Raises:
        BatchRejected: naming each failed date, the columns and the rules.
    """
    require_same_clock(platform)
    source = platform.project.source(name)
    require_same_reading(platform, source)
    table = raw_table(source)
    platform.warehouse.ensure(table)
    must = set((must_pass or nights).dates)
    landings = _news(platform, name, _landings(platform, name, nights, must, asked), must)
    dates = [landing.batch_date for landing in landings]
    # The lease before the rows are read: from here on, an older try can no longer write these dates.
    lease = platform.warehouse.lease(table, dates, asked.holder)
    known = known_of(platform, source, landings)
    checked = validating.validate_batches(source, landed(platform, landings), known)
    docs_key = put_docs(platform, source, checked, nights)
    with platform.warehouse.write(lease) as write:
        accepted, rejected = file_batches(write, platform, source, checked, landings)
        record_batches(write, source, checked, landings, (docs_key, asked.run_id))
    checked.require_passed(must)
    return {
        "source": name,
        "nights": str(nights),
        "judged": len(dates),
        "failed": sum(not verdict.passed for verdict in checked.verdicts.values()),
        "accepted": accepted,
        "quarantined": rejected,
        "docs": docs_key,
    }


def known_of(platform: Platform, source: Source, landings: Sequence[Delivery]) -> validating.Known:
    """Return what counts beside the rows: earlier volumes, cut-offs, and what people decided about these deliveries."""
    name, calendar = source.name, platform.project.calendar
    digests = {landing.batch_date: landing.sha256 for landing in landings}
    first, last = min(digests), max(digests)
    before = first - timedelta(weeks=source.volume.weeks) if source.volume else first
    found = [
        resolved
        for resolved in platform.warehouse.all(quarantine.RESOLVED, source=name, first=first, last=last)
        if resolved.landed_sha256 == digests.get(resolved.batch_date)
    ]
    gone: dict[date, list[int]] = {}
    for resolved in found:
        if resolved.action == "discard":
            gone.setdefault(resolved.batch_date, []).extend(resolved.numbers)
    return validating.Known(
        history={
            batch.batch_date: batch.collected
            for batch in platform.warehouse.all(deliveries.BATCHES, source=name, first=before, last=last)
            if batch.status == "published"
        },
        cutoffs={day: calendar.cutoff(day) for day in digests},
        home=calendar.zone,
        mended=[
            (resolved.batch_date, resolved.fix, np.array(resolved.numbers))
            for resolved in found
            if resolved.action == "fix"
        ],
        discarded={day: np.array(numbers) for day, numbers in gone.items()},
    )


def put_docs(platform: Platform, source: Source, checked: validating.Validation, nights: DateRange) -> str:
    """Keep the data docs of these nights; return their key."""
    key = kept.data_docs(source.name, nights)
    platform.objects.put(key, validating.data_docs(source, checked, nights.dates).encode())
    return key


def file_batches(
    write: PartitionWrite,
    platform: Platform,
    source: Source,
    checked: validating.Validation,
    landings: Sequence[Delivery],
) -> tuple[int, int]:
    """Replace the nights of ``landings`` that passed; return how many rows went to ``raw`` and to quarantine.

    Raises:
        Unreconciled: what the tables hold now is not what was collected. Nothing is committed.
    """
    table, set_aside = raw_table(source), quarantine_table()
    passed = [each.batch_date for each in landings if checked.verdicts[each.batch_date].passed]
    accepted, rejected = _of(checked.accepted, passed), _of(checked.rejected, passed)
    digests = {pd.Timestamp(each.batch_date): each.sha256 for each in landings}
    rejected = rejected.assign(
        source=source.name, landed_sha256=rejected["batch_date"].map(digests).astype("str")
    )
    write.replace(table, _with_known_at(platform, source, accepted), dates=passed)
    write.replace(set_aside, rejected, dates=passed, source=source.name)
    raw = write.counts(table, passed)
    aside = write.counts(set_aside, passed, source=source.name)
    for landing in landings:
        if (day := landing.batch_date) in raw:
            verdict = checked.verdicts[day]
            judged = (verdict.accepted, verdict.rejected)
            require_balance(source.name, day, landing.row_count, judged, (raw[day], aside[day]))
    return len(accepted), len(rejected)


def _landings(platform: Platform, name: str, nights: DateRange, must: set[date], asked: Try) -> list[Landing]:
    found = platform.warehouse.all(
        deliveries.LANDED, source=name, run_id=asked.run_id, first=nights.first, last=nights.last
    )
    missing = sorted(must - {landing.batch_date for landing in found})
    if missing:
        raise NotReady(
            f"source '{name}': run {asked.run_id} has landed nothing for {missing[0]}; clear 'collect' too"
        )
    return found


def _news(platform: Platform, name: str, landings: list[Landing], must: set[date]) -> list[Landing]:
    """Return the landings of the dates that ``must`` be judged, and of those that differ from what was published."""
    days = [landing.batch_date for landing in landings]
    stands = {
        (batch.batch_date, batch.landed_sha256)
        for batch in platform.warehouse.all(deliveries.BATCHES, source=name, first=min(days), last=max(days))
        if batch.status == "published"
    }
    return [
        each for each in landings if each.batch_date in must or (each.batch_date, each.sha256) not in stands
    ]


def landed(platform: Platform, landings: Sequence[Delivery]) -> dict[date, pd.DataFrame]:
    """Return the rows of each landing, as delivered.

    Raises:
        NotReady: a file is not there: retention has taken it away.
    """
    try:
        return {each.batch_date: rows_of(platform.objects.get(each.object_key)) for each in landings}
    except FileNotFoundError as error:
        raise NotReady(
            f"{error}; retention takes away what was landed long ago (catalog.retired says when): collect the night "
            "again, or replay it with action 'recollect'"
        ) from error


def _of(frame: pd.DataFrame, dates: list[date]) -> pd.DataFrame:
    return frame[frame["batch_date"].isin(pd.to_datetime(dates))]


def _with_known_at(platform: Platform, source: Source, rows: pd.DataFrame) -> pd.DataFrame:
    """Return the rows with the instant at which each became known: by its own column, else at the cut-off.

    An event is not known before it happens, whichever night collected it.
    """
    if source.known_at:
        return rows.assign(known_at=rows[source.known_at])
    cutoffs = {night: platform.project.calendar.cutoff(night.date()) for night in rows["batch_date"].unique()}
    # Typed, also when no night has passed and there is no row to tell the type by.
    known = pd.to_datetime(rows["batch_date"].map(cutoffs), utc=True).astype("datetime64[us, UTC]")
    for name in source.events:
        known = known.mask(rows[name] > known, rows[name])
    return rows.assign(known_at=known)


def record_batches(
    write: PartitionWrite,
    source: Source,
    checked: validating.Validation,
    landings: Sequence[Delivery],
    by: tuple[str, str],
) -> None:
    """Write the record of each landing's batch; ``by``: the data docs' key and the run's id."""
    contents = dict(list(checked.accepted.groupby(checked.accepted["batch_date"].dt.date)))
    docs_key, run_id = by
    for landing in landings:
        verdict = checked.verdicts[landing.batch_date]
        batch = Batch(
            source=source.name,
            batch_date=landing.batch_date,
            status="published" if verdict.passed else "failed",
            collected=verdict.collected,
            accepted=verdict.accepted,
            rejected=verdict.rejected,
            reasons="; ".join(verdict.reasons),
            warnings="; ".join(verdict.warnings),
            landed_sha256=landing.sha256,
            docs_key=docs_key,
            run_id=run_id,
        )
        write.run(deliveries.JUDGED, batch)
        if verdict.passed and verdict.accepted:
            rows = contents[landing.batch_date]
            earlier = first_content_sha256(rows.sort_values(source.key))
            write.run(deliveries.CONTENT_CHANGED, batch, content=content_sha256(rows), earlier=earlier)
