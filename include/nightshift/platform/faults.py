"""Open faults of nights: asked for by who would use them."""

from datetime import date

from nightshift.calendar import DateRange
from nightshift.database import Reads
from nightshift.platform.handles import Platform
from nightshift.records import faults
from nightshift.records.faults import Fault
from nightshift.specs import FeatureSet


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
