"""Collect what is upstream, then judge it: accepted rows to ``raw``, rejected ones to ``quarantine``."""

import logging
from datetime import date, timedelta

import numpy as np
import pandas as pd

from nightshift import collect as collecting
from nightshift import validate as validating
from nightshift.calendar import DateRange
from nightshift.errors import NotReady, SourceError
from nightshift.landing import parquet, rows_of
from nightshift.specs import Source
from nightshift.stages.clock import require_same_clock
from nightshift.stages.featurising import first_content_sha256
from nightshift.stages.platform import Facts, Platform, Try
from nightshift.stages.reconciling import require_balance
from nightshift.types import content_sha256
from nightshift.warehouse import PartitionWrite, quarantine_table, raw_table

log = logging.getLogger(__name__)
LAND = (
    "INSERT INTO catalog.landings (source, batch_date, run_id, object_key, sha256, row_count) "
    "VALUES (%s, %s, %s, %s, %s, %s) ON CONFLICT (source, batch_date, run_id) DO UPDATE SET (object_key, sha256, "
    "row_count, landed_at) = (excluded.object_key, excluded.sha256, excluded.row_count, clock_timestamp())"
)
FILE = (
    "INSERT INTO catalog.batches (source, batch_date, status, collected, accepted, rejected, reasons, warnings, "
    "landed_sha256, docs_key, run_id) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) "
    "ON CONFLICT (source, batch_date) DO UPDATE SET (status, collected, accepted, rejected, reasons, warnings, "
    "landed_sha256, docs_key, run_id, recorded_at) = (excluded.status, excluded.collected, excluded.accepted, "
    "excluded.rejected, excluded.reasons, excluded.warnings, excluded.landed_sha256, excluded.docs_key, "
    "excluded.run_id, clock_timestamp())"
)
HISTORY = (
    "SELECT batch_date, collected FROM catalog.batches "
    "WHERE source = %s AND status = 'published' AND batch_date BETWEEN %s AND %s"
)
# By run too: what one run did to a row comes before what a later one did.
RESOLVED = (
    "SELECT batch_date, landed_sha256, action, fix, array_agg(row_number ORDER BY row_number) AS numbers "
    "FROM quarantine.resolutions WHERE source = %s AND batch_date BETWEEN %s AND %s "
    "GROUP BY batch_date, landed_sha256, action, fix, run_id ORDER BY min(resolved_at)"
)
# The same content found again keeps the run that first had it.
CHANGED = (
    "UPDATE catalog.batches SET content_sha256 = $3, content_run_id = $4 "
    "WHERE source = $1 AND batch_date = $2 AND content_sha256 IS DISTINCT FROM $3 "
    # The hash of the first kind: after an upgrade no batch is news that is not.
    "AND content_sha256 IS DISTINCT FROM $5"
)


def collect(
    platform: Platform, name: str, nights: DateRange, asked: Try, *, must_pass: DateRange | None = None
) -> Facts:
    """Land what the source delivers for each night, untouched, as Parquet named by its hash.

    A night outside ``must_pass`` that the upstream no longer delivers is left as it stands.

    Raises:
        SourceError: the upstream is down, or answers nonsense. Nothing was overwritten.
        SpecError: the project's time zone is not the one that older nights were cut in.
    """
    require_same_clock(platform)
    source = platform.project.source(name)
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
            key, digest = platform.objects.put_once(f"landed/{name}/{batch_date}", parquet(rows), ".parquet")
            landed.append((name, batch_date, asked.run_id, key, digest, len(rows)))
    with platform.warehouse.transaction() as cursor:
        cursor.executemany(LAND, landed)
    return {"source": name, "nights": str(nights), "rows": sum(row[-1] for row in landed)}


def validate(
    platform: Platform, name: str, nights: DateRange, asked: Try, *, must_pass: DateRange | None = None
) -> Facts:
    """Split what this run landed and file it: one transaction for raw rows, quarantine and the batches' records.

    A date whose batch fails keeps the rows it had; the failure is recorded, and raised at the end. Dates
    outside ``must_pass`` were collected again to look for corrections: those that landed as they stand are left
    alone, and what is broken in the others is recorded, but does not stop tonight.

    Raises:
        BatchRejected: naming each failed date, the columns and the rules.
    """
    require_same_clock(platform)
    source = platform.project.source(name)
    table = raw_table(source)
    platform.warehouse.ensure(table)
    must = set((must_pass or nights).dates)
    landings = _news(platform, name, _landings(platform, name, nights, must, asked), must)
    dates = [row["batch_date"] for row in landings]
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


def known_of(platform: Platform, source: Source, landings: list[Facts]) -> validating.Known:
    """Return what counts beside the rows: earlier volumes, cut-offs, and what people decided about these deliveries."""
    name, calendar = source.name, platform.project.calendar
    digests = {row["batch_date"]: row["sha256"] for row in landings}
    first, last = min(digests), max(digests)
    before = first - timedelta(weeks=source.volume.weeks) if source.volume else first
    found = [
        row
        for row in platform.warehouse.rows(RESOLVED, (name, first, last))
        if row["landed_sha256"] == digests.get(row["batch_date"])
    ]
    gone: dict[date, list[int]] = {}
    for row in found:
        if row["action"] == "discard":
            gone.setdefault(row["batch_date"], []).extend(row["numbers"])
    return validating.Known(
        history={
            row["batch_date"]: row["collected"]
            for row in platform.warehouse.rows(HISTORY, (name, before, last))
        },
        cutoffs={day: calendar.cutoff(day) for day in digests},
        home=calendar.zone,
        mended=[
            (row["batch_date"], row["fix"], np.array(row["numbers"]))
            for row in found
            if row["action"] == "fix"
        ],
        discarded={day: np.array(numbers) for day, numbers in gone.items()},
    )


def put_docs(platform: Platform, source: Source, checked: validating.Validation, nights: DateRange) -> str:
    """Keep the data docs of these nights; return their key."""
    key = f"data_docs/{source.name}/{nights}.html"
    platform.objects.put(key, validating.data_docs(source, checked, nights.dates).encode())
    return key


def file_batches(
    write: PartitionWrite,
    platform: Platform,
    source: Source,
    checked: validating.Validation,
    landings: list[Facts],
) -> tuple[int, int]:
    """Replace the nights of ``landings`` that passed; return how many rows went to ``raw`` and to quarantine.

    Raises:
        Unreconciled: what the tables hold now is not what was collected. Nothing is committed.
    """
    table, quarantine = raw_table(source), quarantine_table()
    passed = [row["batch_date"] for row in landings if checked.verdicts[row["batch_date"]].passed]
    accepted, rejected = _of(checked.accepted, passed), _of(checked.rejected, passed)
    digests = {pd.Timestamp(row["batch_date"]): row["sha256"] for row in landings}
    rejected = rejected.assign(
        source=source.name, landed_sha256=rejected["batch_date"].map(digests).astype("str")
    )
    write.replace(table, _with_known_at(platform, source, accepted), dates=passed)
    write.replace(quarantine, rejected, dates=passed, source=source.name)
    raw = write.counts(table, passed)
    aside = write.counts(quarantine, passed, source=source.name)
    for row in landings:
        if (day := row["batch_date"]) in raw:
            verdict = checked.verdicts[day]
            judged = (verdict.accepted, verdict.rejected)
            require_balance(source.name, day, row["row_count"], judged, (raw[day], aside[day]))
    return len(accepted), len(rejected)


def _landings(platform: Platform, name: str, nights: DateRange, must: set[date], asked: Try) -> list[Facts]:
    found = platform.warehouse.rows(
        "SELECT batch_date, object_key, sha256, row_count FROM catalog.landings "
        "WHERE source = %s AND run_id = %s AND batch_date BETWEEN %s AND %s ORDER BY batch_date",
        (name, asked.run_id, nights.first, nights.last),
    )
    missing = sorted(must - {row["batch_date"] for row in found})
    if missing:
        raise NotReady(
            f"source '{name}': run {asked.run_id} has landed nothing for {missing[0]}; clear 'collect' too"
        )
    return found


def _news(platform: Platform, name: str, landings: list[Facts], must: set[date]) -> list[Facts]:
    """Return the landings of the dates that ``must`` be judged, and of those that differ from what was published."""
    stands = {
        (row["batch_date"], row["landed_sha256"])
        for row in platform.warehouse.rows(
            "SELECT batch_date, landed_sha256 FROM catalog.batches "
            "WHERE source = %s AND status = 'published' AND batch_date = ANY(%s)",
            (name, [row["batch_date"] for row in landings]),
        )
    }
    return [
        row
        for row in landings
        if row["batch_date"] in must or (row["batch_date"], row["sha256"]) not in stands
    ]


def landed(platform: Platform, landings: list[Facts]) -> dict[date, pd.DataFrame]:
    """Return the rows of each landing, as delivered."""
    return {row["batch_date"]: rows_of(platform.objects.get(row["object_key"])) for row in landings}


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
    landings: list[Facts],
    by: tuple[str, str],
) -> None:
    """Write the record of each landing's batch; ``by``: the data docs' key and the run's id."""
    contents = dict(list(checked.accepted.groupby(checked.accepted["batch_date"].dt.date)))
    for landing in landings:
        verdict = checked.verdicts[landing["batch_date"]]
        counts = (verdict.collected, verdict.accepted, verdict.rejected)
        status = "published" if verdict.passed else "failed"
        words = ("; ".join(verdict.reasons), "; ".join(verdict.warnings))
        about = (source.name, landing["batch_date"])
        write.execute(FILE, (*about, status, *counts, *words, landing["sha256"], *by))
        if verdict.passed and verdict.accepted:
            rows = contents[landing["batch_date"]]
            first = first_content_sha256(rows.sort_values(source.key))
            write.execute(CHANGED, (*about, content_sha256(rows), by[1], first))
