"""Collect what is upstream, then judge it: accepted rows to ``raw``, rejected ones to ``quarantine``."""

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, timedelta
from functools import partial
from pathlib import Path
from typing import IO
from uuid import uuid4

import numpy as np
import pandas as pd

from nightshift import collect as collecting
from nightshift import kept, results
from nightshift import validate as validating
from nightshift.calendar import DateRange
from nightshift.errors import NotReady, SourceError
from nightshift.landing import Delivered, delivered, in_blocks, landed_file, same_rows, stacked
from nightshift.objects import sha256, sha256_of
from nightshift.platform import Platform, Try
from nightshift.platform.blocks import BLOCK_ROWS
from nightshift.platform.clock import require_same_clock
from nightshift.platform.scratch import scratch
from nightshift.records import deliveries, quarantine
from nightshift.records.deliveries import Earlier, Landing
from nightshift.specs import Source
from nightshift.stages.filing import Delivery, contents_of, file_batches, kept_in, record_batches
from nightshift.stages.rereading import require_same_reading
from nightshift.warehouse import raw_table

log = logging.getLogger(__name__)


def collect(
    platform: Platform, name: str, nights: DateRange, asked: Try, *, must_pass: DateRange | None = None
) -> results.Collected:
    """Land what the source delivers for each night, untouched, as Parquet named by its hash.

    Rows that came before land as the file that they were: they are the same delivery. A night outside ``must_pass``
    that the upstream no longer delivers is left as it stands.

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
    with scratch("collect") as folder, collecting.open_source(source, connection, zone) as reader:
        take = partial(_taken, folder)
        # Those that must be there come first: a source that is down is then asked once.
        for batch_date in sorted(nights.dates, key=lambda night: night not in must):
            try:
                rows, file = reader.take(batch_date, platform.project.calendar.window(batch_date), take)
            except SourceError as error:
                if batch_date in must:
                    raise
                log.warning("%s, looking back on %s: %s", name, batch_date, error)
                continue
            key, digest = _put(platform, folder, (name, batch_date), (rows, file))
            landed.append(
                Landing(
                    source=name,
                    batch_date=batch_date,
                    run_id=asked.run_id,
                    object_key=key,
                    sha256=digest,
                    row_count=rows,
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
    landings = _newest(platform, name, landings, must)
    dates = [landing.batch_date for landing in landings]
    known = known_of(platform, source, landings)
    with scratch("validate") as folder:
        checked = judged(source, landed(platform, landings), known, folder)
        docs_key = put_docs(platform, source, checked, nights)
        contents = contents_of(source, checked, dates, folder)
        with platform.warehouse.write(lease) as write:
            accepted, rejected = file_batches(write, platform, source, checked, landings)
            record_batches(write, source, checked, landings, contents, (docs_key, asked.run_id))
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


def _taken(folder: Path, frames: Iterable[pd.DataFrame]) -> tuple[int, bytes | Path]:
    return landed_file(in_blocks(frames, BLOCK_ROWS), folder)


def _put(
    platform: Platform, folder: Path, night: tuple[str, date], taken: tuple[int, bytes | Path]
) -> tuple[str, str]:
    """Keep the file of a source's night, or the earlier one of the same rows; return its key and hash.

    What people decided about rows is bound to the hash of their file. Bytes tell of more than the rows: of what wrote
    them, and of the rows of other nights that were read with these.
    """
    (name, day), (rows, file) = night, taken
    before = platform.warehouse.all(deliveries.EARLIER, source=name, batch_date=day, rows=rows)
    earlier = _of_same_rows(platform, folder, before, file)
    put = platform.objects.put_once(kept.landed(name, day), earlier or file, ".parquet")
    for each in (file, earlier):
        if isinstance(each, Path):
            each.unlink()
    return put


def _of_same_rows(
    platform: Platform, folder: Path, before: Sequence[Earlier], file: bytes | Path
) -> Path | None:
    """Return a copy of the first earlier file that holds the rows of ``file`` to the value, if it is another one."""
    digest = sha256(file) if isinstance(file, bytes) else sha256_of(file)
    for each in before:
        if each.sha256 == digest:
            return None
        copy = folder / f"{uuid4().hex}.earlier"
        try:
            with copy.open("wb") as sink:
                sink.writelines(platform.objects.chunks(each.object_key))
        except FileNotFoundError:
            continue  # retention has taken it away
        if sha256_of(copy) == each.sha256 and same_rows(copy, file, BLOCK_ROWS):
            return copy
        copy.unlink()
    return None


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


def _newest(platform: Platform, name: str, landings: list[Landing], must: set[date]) -> list[Landing]:
    """Return the landings but for those that another run has landed anew since, and published.

    Raises:
        NotReady: one that ``must`` be judged is among these.
    """
    days = [landing.batch_date for landing in landings]
    stands = {
        each.batch_date: each for each in platform.warehouse.all(deliveries.STANDS, source=name, nights=days)
    }
    found = []
    for landing in landings:
        newer = stands.get(landing.batch_date)
        if newer is None or newer.sha256 == landing.sha256 or newer.landed_at <= landing.landed_at:
            found.append(landing)
        elif landing.batch_date in must:
            raise NotReady(
                f"source '{name}', {landing.batch_date}: what this run landed is older than what stands, which run "
                f"{newer.run_id} landed; clear 'collect' too, to have the night as the upstream has it now"
            )
    return found


def landed(platform: Platform, landings: Sequence[Delivery]) -> dict[date, Delivered]:
    """Return the rows of each landing, as delivered: in memory if they are one block together.

    Raises:
        NotReady: a file is not there, now or once it is read: retention has taken it away.
    """
    found = {
        each.batch_date: delivered(partial(_opened, platform, each.object_key), BLOCK_ROWS)
        for each in landings
    }
    if sum(each.rows for each in found.values()) > BLOCK_ROWS:
        return found
    return {day: Delivered.of(stacked(list(each.each()))) for day, each in found.items()}


@contextmanager
def _opened(platform: Platform, key: str) -> Iterator[IO[bytes]]:
    try:
        with platform.objects.opened(key) as file:
            yield file
    except FileNotFoundError as error:
        raise NotReady(
            f"{error}; retention takes away what was landed long ago (catalog.retired says when): collect the night "
            "again, or replay it with action 'recollect'"
        ) from error


def judged(
    source: Source, rows: Mapping[date, Delivered], known: validating.Known, folder: Path
) -> validating.Validation:
    """Return what came, judged. What is accepted of more than a block waits in ``folder``."""
    is_one = sum(each.rows for each in rows.values()) <= BLOCK_ROWS
    keep = validating.held if is_one else partial(kept_in, folder)
    return validating.validate_batches(source, rows, known, most=BLOCK_ROWS, keep=keep)
