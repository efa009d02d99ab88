"""Labels as partitions: what each night's batch reported, derived from its rows once.

A partition is current while its batch, and what labels mean, are those that it was derived from. Whoever reads has what
is current from the table, and derives the rest from the raw rows, in one transaction: nobody waits for the stage that
keeps the table, and labels are the same before it has.
"""

import json
from collections.abc import Iterable, Iterator
from datetime import date, timedelta

import numpy as np
import pandas as pd

from nightshift import train
from nightshift.calendar import Calendar, DateRange
from nightshift.monitor.maturity import Looked, arrived, partial
from nightshift.platform.handles import Platform, Try
from nightshift.records import deliveries, labels, monitoring
from nightshift.records.labels import LabelBatch
from nightshift.specs import Model
from nightshift.specs.tables import LABEL
from nightshift.types import content_sha256
from nightshift.warehouse import Reading, Table, label_table, raw_table

DAY = timedelta(days=1)
# So many nights of the past are derived at once: of a year that is new to the table, a part each night.
MOST_NIGHTS = 60


def definition(platform: Platform, model: Model) -> str:
    """Return what decides a model's labels beside the rows: the target, and how its source's columns are typed."""
    columns = platform.project.source(model.truth.source).columns
    kinds = {name: columns[name].type for name in (*_entity(platform, model), model.truth.column)}
    return json.dumps({"target": json.loads(model.truth.definition), "types": kinds}, sort_keys=True)


def table_of(platform: Platform, model: Model) -> Table:
    """Return the table of a model's labels."""
    return label_table(model, platform.project.feature_set(model.features))


def ensure_reports(platform: Platform, model: Model) -> None:
    """Create the table that a model's labels are derived from, where there is none yet."""
    platform.warehouse.ensure(raw_table(platform.project.source(model.truth.source)))


def read_reports(reading: Reading, platform: Platform, model: Model, first: date, last: date) -> pd.DataFrame:
    """Return what batches of ``first`` .. ``last`` reported, as :func:`train.reports` does, ascending by batch."""
    current = reading.all(labels.CURRENT, **_of(platform, model, first, last))
    nights = [each.batch_date for each in current]
    parts = [_derived(reading, platform, model, *gap) for gap in _gaps(nights, first, last)]
    if nights:
        kept = reading.read(table_of(platform, model), nights[0], nights[-1])
        parts.append(kept[kept["batch_date"].dt.date.isin(nights)])
    filled = [part for part in parts if len(part)] or parts[:1]
    return pd.concat(filled, ignore_index=True).sort_values("batch_date", kind="stable", ignore_index=True)


def looked_at_night(calendar: Calendar, night: date, part: pd.DataFrame, batch_date: date) -> Looked:
    """Return when the labels of a night's rows came, in nights by their cut-offs, up to that of ``batch_date``.

    ``part``: its rows, with what :func:`train.came` tells of each.
    """
    nights = DateRange(night, batch_date).dates
    cutoffs = pd.DatetimeIndex([calendar.cutoff(day) for day in nights])
    known = part[part[LABEL].notna()]
    reported, ages = (
        np.asarray(cutoffs.searchsorted(pd.DatetimeIndex(instants), side="left"), dtype=np.float64)
        for instants in (part[train.FIRST_REPORTED].dropna(), known[train.FIRST_KNOWN])
    )
    labels = known[LABEL].to_numpy(dtype=np.float64)
    return Looked(night, len(part), arrived(reported, ages, labels, len(nights) - 1))


def partial_nights(
    calendar: Calendar,
    model: Model,
    entity: list[str],
    features: pd.DataFrame,
    reported: pd.DataFrame,
    as_of: date,
) -> dict[date, str]:
    """Return the nights of which a training as of a date would learn labels unlike all of theirs, and why.

    ``features``: the rows of nights. ``reported``: what :func:`read_reports` has of them.
    """
    last = as_of - timedelta(days=model.matures_after_days)
    asked = pd.Timestamp(last - timedelta(days=MOST_NIGHTS - 1)), pd.Timestamp(last)
    rows = features.loc[features["batch_date"].between(*asked), ["batch_date", *entity]]
    known_by = pd.Timestamp(calendar.cutoff(as_of))
    came = train.came(reported[reported["batch_date"] >= asked[0]], entity, known_by)
    parts = rows.merge(came, on=entity, how="left").groupby(rows["batch_date"].dt.date.to_numpy())
    looked = [looked_at_night(calendar, night, part, as_of) for night, part in parts]
    return partial(looked, model.matures_after_days, as_of)


def keep_labels(platform: Platform, model: Model, needed: DateRange, asked: Try) -> int:
    """Derive the partitions up to the last of ``needed`` that are not current, newest first; return how many.

    All of ``needed``, and so many before that it comes to 60 nights. A night a transaction, under its lease.

    Raises:
        Superseded: a newer try is deriving one of these nights.
    """
    table, raw = table_of(platform, model), raw_table(platform.project.source(model.truth.source))
    ensure_reports(platform, model)
    platform.warehouse.ensure(table)
    if not _stale(platform, model, raw, needed):
        return 0
    with platform.warehouse.session() as session:
        # Other nights of the model's monitoring derive the same: who comes second finds it done.
        session.run(monitoring.LOCK, name=table.qualified)
        stale = _stale(platform, model, raw, needed)
        for night in stale:
            _keep(platform, model, night, asked)
    return len(stale)


def _stale(platform: Platform, model: Model, raw: Table, needed: DateRange) -> list[date]:
    """Return the nights to derive: whose batch is another now, and those of ``needed`` whose rows have no record."""
    first, last = min(platform.project.settings.first_night, needed.first), needed.last
    most = max(MOST_NIGHTS, len(needed.dates))
    with platform.warehouse.reading() as reading:
        stale = reading.all(labels.STALE, **_of(platform, model, first, last), most=most)
        batches = reading.all(deliveries.BATCHES, source=raw.name, first=needed.first, last=last)
        unrecorded = set(reading.dates(raw, needed.first, last)) - {each.batch_date for each in batches}
    return [*(each.batch_date for each in stale), *sorted(unrecorded)]


def _keep(platform: Platform, model: Model, night: date, asked: Try) -> None:
    table = table_of(platform, model)
    lease = platform.warehouse.lease(table, [night], asked.holder)
    with platform.warehouse.reading() as reading:
        batch = reading.one(deliveries.BATCHES, source=model.truth.source, first=night, last=night)
        rows = _derived(reading, platform, model, night, night)
    record = LabelBatch(
        model=model.name,
        batch_date=night,
        source=model.truth.source,
        judged_at=batch.recorded_at if batch else None,
        definition=definition(platform, model),
        row_count=len(rows),
        content_sha256=content_sha256(rows),
        run_id=asked.run_id,
    )
    with platform.warehouse.write(lease) as write:
        write.replace(table, rows)
        write.run(labels.DERIVED, record)


def _derived(reading: Reading, platform: Platform, model: Model, first: date, last: date) -> pd.DataFrame:
    raw, entity = raw_table(platform.project.source(model.truth.source)), _entity(platform, model)
    names = dict.fromkeys(("batch_date", "known_at", *entity, model.truth.column))
    return train.reports(model, reading.read(raw.narrowed(names), first, last), entity)


def _gaps(nights: Iterable[date], first: date, last: date) -> Iterator[tuple[date, date]]:
    """Yield the ranges of ``first`` .. ``last`` that none of the nights, ascending, is in."""
    for night in nights:
        if first < night:
            yield first, night - DAY
        first = night + DAY
    if first <= last:
        yield first, last


def _of(platform: Platform, model: Model, first: date, last: date) -> dict[str, object]:
    said = definition(platform, model)
    return {
        "model": model.name,
        "source": model.truth.source,
        "definition": said,
        "first": first,
        "last": last,
    }


def _entity(platform: Platform, model: Model) -> list[str]:
    return platform.project.feature_set(model.features).entity
