"""Open faults of nights: asked for by who would use them."""

from datetime import date

from nightshift.calendar import DateRange
from nightshift.database import Reads
from nightshift.platform.handles import Platform
from nightshift.records import faults
from nightshift.records.faults import Fault
from nightshift.rows import Query, R
from nightshift.specs import FeatureSet


def faulty_nights(reads: Platform | Reads, spec: FeatureSet, nights: DateRange) -> set[date]:
    """Return which of ``nights`` have an open fault."""
    found = _all(reads, faults.NIGHTS, spec, nights)
    return {night.batch_date for night in found}


def open_faults(reads: Platform | Reads, spec: FeatureSet, nights: DateRange) -> list[Fault]:
    """Return the open faults of ``nights``, by night and column."""
    return _all(reads, faults.OPEN, spec, nights)


def _all(reads: Platform | Reads, query: Query[R], spec: FeatureSet, nights: DateRange) -> list[R]:
    asked = reads.warehouse if isinstance(reads, Platform) else reads
    return asked.all(query, feature_set=spec.set, version=spec.version, first=nights.first, last=nights.last)
