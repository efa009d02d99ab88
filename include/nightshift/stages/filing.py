"""File what was judged: a night's rows to ``raw`` and to quarantine, a block at a time, with the batch's record."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import date
from functools import partial
from pathlib import Path
from uuid import uuid4

import pandas as pd
import pyarrow as pa

from nightshift import validate as validating
from nightshift.engine.files import named, pieces, stream
from nightshift.engine.merging import in_pieces, merged
from nightshift.platform import Platform
from nightshift.platform.blocks import BLOCK_ROWS, content_of
from nightshift.platform.lineage import first_content_sha256
from nightshift.records import deliveries
from nightshift.records.deliveries import Batch, Judged, Landing
from nightshift.specs import Source
from nightshift.stages.reconciling import require_balance
from nightshift.types import content_sha256, declared, to_arrow, to_frame
from nightshift.warehouse import ROWS_A_PIECE, PartitionWrite, Table, quarantine_table, raw_table
from nightshift.warehouse.database import in_blocks

Delivery = Landing | Judged
Contents = Mapping[date, tuple[str, str]]


def kept_in(folder: Path, frame: pd.DataFrame) -> Callable[[], pd.DataFrame]:
    """Keep typed rows in a file, for as long as the folder is there."""
    rows = to_arrow(frame, declared(frame))
    half = folder / f"{uuid4().hex}.half"
    with half.open("wb") as sink, stream(sink, rows.schema) as writer:
        writer.write_table(rows)
    # Bound to the file and nothing else: a reference to the rows would keep them.
    return partial(_read, named(half, "good"), rows.schema)


def _read(file: Path, schema: pa.Schema) -> pd.DataFrame:
    return to_frame(pa.Table.from_batches(pieces(file, "block"), schema))


def contents_of(
    source: Source, checked: validating.Validation, dates: Collection[date], folder: Path
) -> Contents:
    """Return the hash of what each of ``dates`` holds that passed, and the one of the first kind that it once had.

    A night of several blocks is hashed in blocks of the order of its key, and has no other; nor has one without a row.
    """
    found: dict[date, tuple[str, str]] = {}
    for part in checked.parts:
        passed = {day for day in part.dates & set(dates) if checked.verdicts[day].passed}
        filled = {day for day in passed if checked.verdicts[day].accepted}
        if filled < passed:  # what such a night held before is gone: that is news too
            nothing = content_sha256(next(part.accepted()).iloc[:0])
            found |= dict.fromkeys(passed - filled, (nothing, ""))
        found |= _hashes(source, part, filled, folder) if filled else {}
    return found


def _hashes(source: Source, part: validating.Part, nights: set[date], folder: Path) -> Contents:
    if len(part.blocks) > 1:
        (night,) = nights
        return {night: (content_of(map(content_sha256, _in_order(source, part, folder))), "")}
    (rows,) = part.accepted()
    return {
        day: (content_sha256(of_day), first_content_sha256(of_day.sort_values(source.key)))
        for day, of_day in rows.groupby(rows["batch_date"].dt.date)
        if day in nights
    }


def _in_order(source: Source, part: validating.Part, folder: Path) -> Iterator[pd.DataFrame]:
    """Yield a large night's accepted rows in the order of their key, a block at a time."""
    files = []
    for rows in part.accepted():
        if rows.empty:
            continue  # two files of nothing would be the same one
        half = folder / f"{uuid4().hex}.half"
        table = to_arrow(rows, declared(rows)).sort_by([(name, "ascending") for name in source.key])
        with half.open("wb") as sink:
            in_pieces(table, sink)
        files.append(named(half, "part"))
    for block in in_blocks(merged(files, source.key), BLOCK_ROWS):
        yield to_frame(block)
    for file in files:
        file.unlink()


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
    accepted, rejected = (
        partial(_of, checked, passed, rows_of)
        for rows_of in (validating.Part.accepted, validating.Part.rejected)
    )
    known, whose = partial(_with_known_at, platform, source), partial(_with_delivery, source, landings)
    write.replace(table, _pieces(table, accepted, known), dates=passed)
    write.replace(set_aside, _pieces(set_aside, rejected, whose), dates=passed, source=source.name)
    raw = write.counts(table, passed)
    aside = write.counts(set_aside, passed, source=source.name)
    for landing in landings:
        if (day := landing.batch_date) in raw:
            verdict = checked.verdicts[day]
            judged = (verdict.accepted, verdict.rejected)
            require_balance(source.name, day, landing.row_count, judged, (raw[day], aside[day]))
    return sum(raw.values()), sum(aside.values())


def _of(
    checked: validating.Validation,
    dates: Sequence[date],
    rows_of: Callable[[validating.Part], Iterator[pd.DataFrame]],
) -> Iterator[pd.DataFrame]:
    nights = pd.to_datetime(list(dates))
    for part in checked.parts:
        for rows in rows_of(part) if part.dates & set(dates) else ():
            yield rows if part.dates <= set(dates) else rows[rows["batch_date"].isin(nights)]


def _pieces(
    table: Table,
    frames: Callable[[], Iterator[pd.DataFrame]],
    completed: Callable[[pd.DataFrame], pd.DataFrame],
) -> Callable[[], Iterator[pa.RecordBatch]]:
    """Return what gives the rows of frames piece by piece, with the columns that are ours."""
    return lambda: (
        piece
        for rows in frames()
        for piece in table.arrow(completed(rows)).to_batches(max_chunksize=ROWS_A_PIECE)
    )


def _with_delivery(source: Source, landings: Sequence[Delivery], rows: pd.DataFrame) -> pd.DataFrame:
    digests = {pd.Timestamp(each.batch_date): each.sha256 for each in landings}
    return rows.assign(source=source.name, landed_sha256=rows["batch_date"].map(digests).astype("str"))


def _with_known_at(platform: Platform, source: Source, rows: pd.DataFrame) -> pd.DataFrame:
    """Return the rows with the instant at which each became known: by its own column, else at the cut-off.

    An event is not known before it happens, whichever night collected it.
    """
    if source.known_at:
        return rows.assign(known_at=rows[source.known_at])
    cutoffs = {night: platform.project.calendar.cutoff(night.date()) for night in rows["batch_date"].unique()}
    # Typed, also where there is no row to tell the type by.
    known = pd.to_datetime(rows["batch_date"].map(cutoffs), utc=True).astype("datetime64[us, UTC]")
    for name in source.events:
        known = known.mask(rows[name] > known, rows[name])
    return rows.assign(known_at=known)


def record_batches(
    write: PartitionWrite,
    source: Source,
    checked: validating.Validation,
    landings: Sequence[Delivery],
    contents: Contents,
    by: tuple[str, str],
) -> None:
    """Write the record of each landing's batch; ``by``: the data docs' key and the run's id."""
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
        if landing.batch_date in contents:
            content, earlier = contents[landing.batch_date]
            write.run(deliveries.CONTENT_CHANGED, batch, content=content, earlier=earlier)
