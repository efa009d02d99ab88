"""Faults are looked for when a night is built."""

from collections.abc import Callable, Mapping
from datetime import date

from nightshift.monitor.faults import find_each
from nightshift.platform.handles import Platform
from nightshift.platform.sketching import sound_nights
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
    made = {each.batch_date: each for each in built}
    earlier = sound_nights(platform, spec, made.keys(), edges)
    found = []
    for night, faults_of in find_each(edges, earlier, {n: each.sketch for n, each in made.items()}).items():
        columns = sorted({fault.column for fault in faults_of if fault.column})
        come_from = origins(night, columns) if columns else {}
        found += [
            Fault(
                feature_set=spec.set,
                feature_version=spec.version,
                batch_date=night,
                column_name=fault.column,
                measure=fault.measure,
                words=fault.words,
                sources=come_from.get(fault.column) or sorted(spec.inputs),
                sketch_sha256=made[night].sketch_sha256,
                run_id=run_id,
            )
            for fault in faults_of
        ]
    return found
