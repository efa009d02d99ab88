"""Faults of nights: looked for when a night is built, and asked for by who would use it."""

from collections.abc import Callable, Mapping
from datetime import date

from nightshift.calendar import DateRange
from nightshift.database import Reads
from nightshift.monitor.faults import find
from nightshift.platform.handles import Platform
from nightshift.platform.sketching import nights_of
from nightshift.records import faults
from nightshift.records.faults import Fault
from nightshift.records.sketches import Edges, FeatureSketch
from nightshift.specs import FeatureSet

# Of columns of a night that is being built: the sources that each comes from.
Origins = Callable[[date, list[str]], Mapping[str, list[str]]]


def look(
    platform: Platform,
    spec: FeatureSet,
    built: list[FeatureSketch],
    edges: Edges,
    origins: Origins,
    run_id: str,
) -> list[Fault]:
    """Return what is wrong with nights that are being built, each against all faultless nights before it."""
    last = max(each.batch_date for each in built)
    anew = {each.batch_date for each in built}
    known = nights_of(platform, spec, last, edges)
    left_out = faulty_nights(platform, spec, DateRange(date.min, last)) | anew
    earlier = (
        {night: sketch for night, sketch in known.sketches.items() if night not in left_out} if known else {}
    )
    found = []
    for each in sorted(built, key=lambda one: one.batch_date):
        faults_of = find(edges, earlier, each.batch_date, each.sketch)
        columns = sorted({fault.column for fault in faults_of if fault.column})
        come_from = origins(each.batch_date, columns) if columns else {}
        found += [
            Fault(
                feature_set=spec.set,
                feature_version=spec.version,
                batch_date=each.batch_date,
                column_name=fault.column,
                measure=fault.measure,
                words=fault.words,
                sources=come_from.get(fault.column) or sorted(spec.inputs),
                sketch_sha256=each.sketch_sha256,
                run_id=run_id,
            )
            for fault in faults_of
        ]
        if not faults_of:
            earlier[each.batch_date] = each.sketch
    return found


def faulty_nights(reads: Platform | Reads, spec: FeatureSet, nights: DateRange) -> set[date]:
    """Return which of ``nights`` have an open fault."""
    asked = reads.warehouse if isinstance(reads, Platform) else reads
    found = asked.all(
        faults.NIGHTS, feature_set=spec.set, version=spec.version, first=nights.first, last=nights.last
    )
    return {night.batch_date for night in found}


def open_faults(platform: Platform, spec: FeatureSet, nights: DateRange) -> list[Fault]:
    """Return the open faults of ``nights``, by night and column."""
    return platform.warehouse.all(
        faults.OPEN, feature_set=spec.set, version=spec.version, first=nights.first, last=nights.last
    )
