"""Collect what is upstream, then judge it: accepted rows to ``raw``, rejected ones to ``quarantine``."""

import io
from datetime import date

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from pandas.api.types import is_object_dtype

from nightshift import collect as collecting
from nightshift import validate as validating
from nightshift.calendar import DateRange
from nightshift.errors import NotReady
from nightshift.specs import Source
from nightshift.stages.platform import Facts, Platform, Try
from nightshift.warehouse import quarantine_table, raw_table

LAND = (
    "INSERT INTO catalog.landings (source, batch_date, run_id, object_key, sha256, row_count) "
    "VALUES (%s, %s, %s, %s, %s, %s) ON CONFLICT (source, batch_date, run_id) DO UPDATE SET (object_key, sha256, "
    "row_count, landed_at) = (excluded.object_key, excluded.sha256, excluded.row_count, clock_timestamp())"
)
FILE = (
    "INSERT INTO catalog.batches (source, batch_date, status, collected, accepted, rejected, reasons, "
    "landed_sha256, docs_key, run_id) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) "
    "ON CONFLICT (source, batch_date) DO UPDATE SET (status, collected, accepted, rejected, reasons, "
    "landed_sha256, docs_key, run_id, recorded_at) = (excluded.status, excluded.collected, excluded.accepted, "
    "excluded.rejected, excluded.reasons, excluded.landed_sha256, excluded.docs_key, excluded.run_id, "
    "clock_timestamp())"
)


def collect(platform: Platform, name: str, nights: DateRange, asked: Try) -> Facts:
    """Land what the source delivers for each night, untouched, as Parquet named by its hash.

    Raises:
        SourceError: the upstream is down, or answers nonsense. Nothing was overwritten.
    """
    source = platform.project.source(name)
    landed = []
    beside = platform.project.folder.parent
    connection = collecting.connection_of(source, platform.connection, beside)
    with collecting.open_source(source, connection) as reader:
        for batch_date in nights.dates:
            rows = reader.read(batch_date, platform.project.calendar.window(batch_date))
            key, digest = platform.objects.put_once(f"landed/{name}/{batch_date}", parquet(rows), ".parquet")
            landed.append((name, batch_date, asked.run_id, key, digest, len(rows)))
    with platform.warehouse.transaction() as cursor:
        cursor.executemany(LAND, landed)
    return {"source": name, "nights": str(nights), "rows": sum(row[-1] for row in landed)}


def validate(platform: Platform, name: str, nights: DateRange, asked: Try) -> Facts:
    """Split what this run landed and file it: one transaction for raw rows, quarantine and the batches' records.

    A date whose batch fails keeps the rows it had; the failure is recorded, and raised at the end.

    Raises:
        BatchRejected: naming each failed date, the columns and the rules.
    """
    source = platform.project.source(name)
    table = raw_table(source)
    platform.warehouse.ensure(table)
    # The lease before the rows are read: from here on, an older try can no longer write these dates.
    lease = platform.warehouse.lease(table, nights.dates, asked.holder)
    landings = _landings(platform, name, nights, asked)
    checked = validating.validate_batches(source, _landed(platform, landings))
    docs_key = f"data_docs/{name}/{nights}.html"
    platform.objects.put(docs_key, validating.data_docs(source, checked, nights.dates).encode())
    passed = [d for d in nights.dates if checked.verdicts[d].passed]
    accepted, rejected = _of(checked.accepted, passed), _of(checked.rejected, passed)
    with platform.warehouse.write(lease) as write:
        write.replace(table, _with_known_at(platform, source, accepted), dates=passed)
        write.replace(quarantine_table(), rejected.assign(source=name), dates=passed, source=name)
        for row in _batch_rows(name, checked, landings, docs_key, asked):
            write.execute(FILE, row)
    checked.require_passed()
    return {
        "source": name,
        "nights": str(nights),
        "accepted": len(accepted),
        "quarantined": len(rejected),
        "docs": docs_key,
    }


def parquet(frame: pd.DataFrame, **about: object) -> bytes:
    """Return ``frame`` as Parquet, with ``about`` in its metadata. The same rows and facts give the same bytes."""
    table = pa.Table.from_pandas(_writable(frame), preserve_index=False)
    facts = {name: str(value) for name, value in about.items()}
    sink = io.BytesIO()
    table = table.replace_schema_metadata({**(table.schema.metadata or {}), **facts})
    pq.write_table(table, sink, compression="zstd")
    return sink.getvalue()


def _writable(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the frame with columns of mixed types as text: what a broken upstream may well deliver."""
    for name in frame.columns[[is_object_dtype(kind) for kind in frame.dtypes]]:
        try:
            pa.array(frame[name], from_pandas=True)
        except (pa.ArrowInvalid, pa.ArrowTypeError):
            frame = frame.assign(**{name: frame[name].map(str, na_action="ignore")})
    return frame


def _landings(platform: Platform, name: str, nights: DateRange, asked: Try) -> list[Facts]:
    found = platform.warehouse.rows(
        "SELECT batch_date, object_key, sha256 FROM catalog.landings "
        "WHERE source = %s AND run_id = %s AND batch_date BETWEEN %s AND %s ORDER BY batch_date",
        (name, asked.run_id, nights.first, nights.last),
    )
    missing = sorted(set(nights.dates) - {row["batch_date"] for row in found})
    if missing:
        raise NotReady(
            f"source '{name}': run {asked.run_id} has landed nothing for {missing[0]}; clear 'collect' too"
        )
    return found


def _landed(platform: Platform, landings: list[Facts]) -> dict[date, pd.DataFrame]:
    return {
        row["batch_date"]: pq.read_table(io.BytesIO(platform.objects.get(row["object_key"]))).to_pandas()
        for row in landings
    }


def _of(frame: pd.DataFrame, dates: list[date]) -> pd.DataFrame:
    return frame[frame["batch_date"].isin(pd.to_datetime(dates))]


def _with_known_at(platform: Platform, source: Source, rows: pd.DataFrame) -> pd.DataFrame:
    if source.known_at:
        return rows.assign(known_at=rows[source.known_at])
    cutoffs = {night: platform.project.calendar.cutoff(night.date()) for night in rows["batch_date"].unique()}
    return rows.assign(known_at=rows["batch_date"].map(cutoffs))


def _batch_rows(
    name: str,
    checked: validating.Validation,
    landings: list[Facts],
    docs_key: str,
    asked: Try,
) -> list[tuple[object, ...]]:
    rows: list[tuple[object, ...]] = []
    for landing in landings:
        verdict = checked.verdicts[landing["batch_date"]]
        counts = (verdict.collected, verdict.accepted, verdict.rejected)
        status = "published" if verdict.passed else "failed"
        reasons = "; ".join(verdict.reasons)
        rows.append(
            (name, landing["batch_date"], status, *counts, reasons, landing["sha256"], docs_key, asked.run_id)
        )
    return rows
